"""Bad calls of layers and operands of symbols: what is no symbol, too many, another rank or dtype, unknown keywords.

A call gives symbols or an error of jgraph; what JAX says of shapes inside a layer is told as a fault of its inputs.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.symbol import Symbol
from jgraph.errors import ArgumentError, DTypeError, JGraphError, ShapeError, SymbolError
from tests.laws.members import LAYERS, Member

CLASSES = {type(member.make("float32") if member.typed else member.make()): member for member in LAYERS}
members = pytest.mark.parametrize("member", CLASSES.values(), ids=lambda member: member.id)

MODEL = ("model", "model-masked")
FOREIGN = ("lora", "flax-dense", "flax-batch_norm", "nnx-linear", "equinox-linear", "flax-dropout", "op")
"""Layers that hand all they are given on, to whom it is no argument."""

NO_SYMBOLS = (np.ones((2, 3), "float32"), 5, None, "x", [5], {"a": "x"}, object(), jg.layers.Dense(2))


def layer_of(member: Member) -> jg.Layer:
    return member.make("float32") if member.typed else member.make()


def given(member: Member, shape: Callable[[Any], Any] = tuple, dtype: str | None = None) -> tuple[Any, ...]:
    """The inputs of a good call, of other shapes and dtypes."""
    symbols = [jg.Input(shape(own), dtype or member.dtype) for own in member.shapes]
    return (symbols,) if member.merges else (symbols[0], symbols[1:]) if member.cell else tuple(symbols)


def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call gives, or its error."""
    try:
        return function(*args, **kwargs)
    except JGraphError as error:
        return error


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> JGraphError:
    """The error of a call, which says all that it has to."""
    error = attempt(function, *args, **kwargs)
    assert isinstance(error, JGraphError)
    assert all((error.where, error.expected, error.got, error.cure))
    return error


@members
def test_what_is_no_symbol_is_refused(member: Member) -> None:
    for value in NO_SYMBOLS:
        error = refusal(layer_of(member), value)
        assert isinstance(error, SymbolError) or member.id in MODEL
    assert type(refusal(layer_of(member))) is (ArgumentError if member.id in MODEL else SymbolError)
    assert type(refusal(layer_of(member), *given(member), mask="x")) is SymbolError
    assert type(refusal(layer_of(member), *given(member), mask=jg.Input((3,)))) is DTypeError


@members
def test_arguments_that_are_not_there_are_refused(member: Member) -> None:
    for words in ({"nothing": 1}, {"trainning": True}):
        error = refusal(layer_of(member), *given(member), **words)
        assert type(error) is (ShapeError if member.id in FOREIGN else ArgumentError)
        assert next(iter(words)) in str(error)
    assert type(refusal(layer_of(member), *given(member), train=True)) is ArgumentError


def others(member: Member) -> Iterator[tuple[Any, ...]]:
    """Inputs of other ranks, dtypes and numbers than those of a good call."""
    yield given(member, lambda shape: ())
    yield given(member, lambda shape: (2, *shape))
    yield given(member, lambda shape: shape[1:])
    yield given(member, dtype="bool")
    yield given(member, dtype="complex64")
    yield (*given(member), *given(member), *given(member))


@members
def test_other_inputs_give_symbols_or_an_error_that_says_so(member: Member) -> None:
    for inputs in others(member):
        found = attempt(layer_of(member), *inputs)
        if isinstance(found, JGraphError):
            assert type(found) in (ShapeError, DTypeError, ArgumentError)
            assert all((found.where, found.expected, found.got, found.cure))
        else:
            assert all(isinstance(leaf, Symbol) for leaf in jax.tree.leaves(found))


def operators() -> list[str]:
    """The methods of symbols that take another operand."""
    methods = {name: method for name, method in vars(Symbol).items() if inspect.isfunction(method)}
    return [name for name, method in methods.items() if [*inspect.signature(method).parameters] == ["self", "other"]]


@pytest.mark.parametrize("operator", operators())
def test_symbols_compute_with_numbers_and_symbols_alone(operator: str) -> None:
    compute = getattr(jg.Input((3, 4)), operator)
    for other in (object(), None, "a", b"x", {"a": 1}, int, jg.layers.Dense(2), [1, 2], {1}, len):
        assert type(refusal(compute, other)) is SymbolError
    for other in (np.ones((7, 9)), jg.Input((7, 9))):
        assert type(refusal(compute, other)) is ShapeError


@pytest.mark.parametrize("index", ["a", 1.5, (0, 0, 0, 0), (slice(None), 9, "a"), object(), {"a": 1}, (slice(None), 5)])
def test_symbols_are_indexed_as_arrays_are(index: Any) -> None:
    assert type(refusal(jg.Input((3, 4)).__getitem__, index)) is ShapeError


@pytest.mark.parametrize("use", [bool, int, float, iter, len, np.asarray, complex])
def test_symbols_are_no_numbers_and_no_lists(use: Callable[[Any], Any]) -> None:
    assert type(refusal(use, jg.Input((3, 4)))) is SymbolError


@pytest.mark.parametrize("make", [jg.layers.LSTM, jg.layers.GRU, jg.layers.SimpleRNN])
def test_complex_numbers_are_not_made_real(make: Callable[[int], jg.Layer]) -> None:
    assert type(refusal(make(3), jg.Input((5, 2), "complex64"))) is DTypeError


@pytest.mark.parametrize(
    ("word", "cure"),
    [
        ("data_format", "channels are always last"),
        ("dtype", "policy=jg.Policy"),
        ("trainable", "model.freeze"),
        ("input_shape", "jg.Input"),
        ("seed", "keys come from"),
        ("weights", "trainer.init"),
        ("usebias", "Did you mean 'use_bias'?"),
    ],
)
def test_what_keras_has_and_jgraph_has_not_is_said_with_what_to_do(word: str, cure: str) -> None:
    make: Any = jg.layers.Dense
    with pytest.raises(ArgumentError, match="Dense: expected arguments among 'units'") as caught:
        make(3, **{word: None})
    assert cure in caught.value.cure
