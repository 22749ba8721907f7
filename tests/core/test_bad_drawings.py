"""Every wrong drawing is refused while it is drawn, by a class of `errors.py` that says what is wrong, and the cure."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import (
    ArgumentError,
    DTypeError,
    GraphError,
    JGraphError,
    KeyMismatchError,
    NameClashError,
    PathError,
    ShapeError,
    SymbolError,
)

L = jg.layers
ROWS = np.ones((2, 4), "float32")
NUMBER: Any = 4
TEXT: Any = "first"


def x(name: str | None = None, size: int = 4, **options: Any) -> Any:
    return jg.Input((size,), name=name, **options)


def free(axis: Any = None, name: str | None = None) -> Any:
    return jg.Input((axis, 4), name=name)


def pair() -> jg.Model:
    """Two inputs, a tower that is called on both, and its difference."""
    a, b, i = x("a"), x("b"), x("i")
    tower = jg.Model(i, L.Dense(3, name="dense")(i), name="tower")
    return jg.Model({"a": a, "b": b}, {"far": tower(a) - tower(b)}, name="pair")


def scales() -> jg.Model:
    """A small picture and one of four times its height and width."""
    small, large = jg.Input(("h", "w", 3), name="small"), jg.Input(("4*h", "4*w", 3), name="large")
    return jg.Model([small, large], L.Conv2D(2, 3, padding="same")(large))


class Widened(jg.Layer):
    """Joins what may be absent, which changes the shape."""

    def apply(self, params: Any, state: Any, a: Any, b: Any, *, train: bool = False, key: Any = None) -> Any:
        return a if b is None else jnp.concatenate([a, b], -1), state


def in_jit(draw: Callable[[Any], Any]) -> Any:
    return jax.jit(lambda v: draw(v) and v)(jnp.ones(4))


CASES: list[tuple[str, Callable[[], Any], type[JGraphError], str]] = [
    # Inputs
    ("shape is a number", lambda: jg.Input(NUMBER), ArgumentError, r"Input\(4\).*Write Input"),
    ("shape of floats", lambda: jg.Input((4.0,)), ArgumentError, "positive integers"),
    ("shape of nothing", lambda: jg.Input((0,)), ArgumentError, "positive integers"),
    ("shape with the batch axis", lambda: jg.Input(x().shape), ArgumentError, r"leave out the batch axis"),
    ("axis with a typo", lambda: jg.Input(("4h",)), ArgumentError, r"axis '4h'.*'4\*steps \+ 1'"),
    ("axis of two", lambda: jg.Input(("h, w",)), ArgumentError, "axis 'h, w'.*expected a dimension"),
    ("axis without a name", lambda: jg.Input(("3",)), ArgumentError, "Write a size as a number"),
    ("axis named batch", lambda: jg.Input(("batch",)), ArgumentError, "is not 'batch'"),
    ("axis of code", lambda: jg.Input(("__import__('os')",)), ArgumentError, "expected a dimension"),
    ("dtype", lambda: x(dtype="float33"), ArgumentError, "float33"),
    ("optional", lambda: x(optional="yes"), ArgumentError, "True or False"),
    ("name with a slash", lambda: x("a/b"), ArgumentError, "Slashes part the names"),
    ("name that is none", lambda: L.Dense(2, name=""), ArgumentError, "non-empty string"),
    ("names of sizes", lambda: jg.Model(i := jg.Input(("h*w",)), i), ShapeError, r"got h\*w.*stands alone"),
    # What a layer is called on
    ("an array", lambda: L.Dense(2)(ROWS), SymbolError, "got ndarray.*layer.apply"),
    ("nothing", lambda: L.Dense(2)(), SymbolError, "got nothing"),
    ("a spec", lambda: L.Dense(2)(jax.ShapeDtypeStruct((2, 4), "float32")), SymbolError, "ShapeDtypeStruct"),
    ("a tracer", lambda: in_jit(lambda v: x() + v), SymbolError, "Tracer"),
    ("a list", lambda: L.Dense(2)([x(), x()]), ShapeError, r"jg.layers.concatenate\(list\)"),
    ("two inputs", lambda: L.Dense(2)(x(), x()), ArgumentError, r"the arguments \(x\), got too many"),
    ("two for a list", lambda: L.Add()(x(), x()), ArgumentError, "the arguments .*too many"),
    ("a keyword with a typo", lambda: L.MultiHeadAttention(1, 2)(free(), vlue=free()), ArgumentError, "'value'"),
    ("Keras' training", lambda: L.Dropout(0.5)(x(), training=True), ArgumentError, "keyword argument 'training'"),
    ("train", lambda: L.Dropout(0.5)(x(), train=True), ArgumentError, "Give it to apply"),
    ("a mask for no use", lambda: L.Flatten()(free(), mask=x() > 0), ArgumentError, "no mask.*mask=None"),
    ("a mask of numbers", lambda: L.LSTM(2)(free(), mask=x()), DTypeError, "Write mask=m > 0"),
    ("keys of two kinds", lambda: jg.op(len)({1: x(), "a": 3}), KeyMismatchError, "the keys 1, 'a'"),
    ("rank", lambda: L.Conv2D(2, 3)(x()), ShapeError, "rank 4.*got rank 2"),
    ("indices of floats", lambda: L.Embedding(3, 2)(x()), DTypeError, "dtype='int32'"),
    ("widths", lambda: L.add([x(), x(size=5)]), ShapeError, r"float32\[batch, 4\], float32\[batch, 5\]"),
    ("weights on a free axis", lambda: L.Dense(2)(L.Flatten()(free())), ShapeError, "known size of axis -1"),
    ("one layer on two widths", lambda: shared_on_two(), ShapeError, "the same weights.*Use two layers"),
    ("an optional input", lambda: L.Dense(2)(x(optional=True)), ShapeError, "optional input that is absent"),
    (
        "an optional shape",
        lambda: Widened()(x(), x(optional=True)),
        ShapeError,
        r"float32\[batch, 8\], got .*\[batch, 4\]",
    ),
    # Sizes that cannot be known to be equal: both are named
    ("free axes", lambda: free(name="p") + free(name="q"), ShapeError, "batch, p_1, 4.*batch, q_1, 4.*name them alike"),
    ("free axes without names", lambda: free() + free(), ShapeError, "None#1.*None#2"),
    ("a free axis and a number", lambda: free() + free(5), ShapeError, "give a free axis the size"),
    ("multiples", lambda: free("t") + free("2*t"), ShapeError, r"batch, t, 4.*2\*t, 4.*as a multiple"),
    ("halves", lambda: free("t") + L.Conv1D(4, 1, strides=2)(free("t")), ShapeError, "as a multiple"),
    # Operations
    ("a list beside a symbol", lambda: x() - [1, 2, 3, 4], SymbolError, r"subtract: .*got \[1, 2, 3, 4\].*numpy.array"),
    ("a text beside a symbol", lambda: x() * "two", SymbolError, "multiply: .*got 'two'"),
    ("nothing beside a symbol", lambda: None - x(), SymbolError, "subtract: .*got None"),
    ("an index out of range", lambda: x()[:, 4], ShapeError, "index 4 is out of range for axis 1, of size 4"),
    ("an index before the start", lambda: x()[..., -5], ShapeError, "index -5 is out of range"),
    ("indices out of range", lambda: x()[:, np.array([0, 9])], ShapeError, "out of range for axis 1"),
    ("too many indices", lambda: x()[:, 0, 0], ShapeError, "Too many indices"),
    ("an index of floats", lambda: x()[:, 1.5], ShapeError, "integer or boolean"),
    ("a slice up to a symbol", lambda: x()[:, : x("n")], SymbolError, "dynamic_slice_in_dim"),
    ("matrices", lambda: x() @ np.ones((3, 2)), ShapeError, r"\(4,\) and \(3,\)"),
    ("a condition", lambda: 1 if x() > 0 else 2, SymbolError, r"jg.op\(jnp.where\)"),
    ("a double comparison", lambda: 0 < x() < 1, SymbolError, r"\(0 < x\) & \(x < 1\)"),
    ("a number", lambda: float(x()), SymbolError, "lift what computes"),
    ("op of a class", lambda: jg.op(L.Dense), ArgumentError, "expected a function"),
    ("op of NumPy", lambda: jg.op(np.tanh)(x()), ShapeError, r"Op\(numpy.tanh\)"),
    ("op that gives nothing", lambda: jg.op(lambda v: None)(x()), SymbolError, "at least one array"),
    ("op that gives a text", lambda: jg.op(lambda v: "y")(x()), ShapeError, "class 'str'"),
    # Models
    ("inputs of two kinds of keys", lambda: jg.Model({1: (a := x()), "b": x()}, a), KeyMismatchError, "keys 1, 'b'"),
    ("outputs of two kinds of keys", lambda: jg.Model(a := x(), {1: a, "1": a}), KeyMismatchError, "outputs.*strings"),
    ("a key with a slash", lambda: jg.Model(a := x(), {"a/b": -a}), KeyMismatchError, "'a/b'.*Nest a dict"),
    ("keys that collide", lambda: jg.Model(a := x(), {"a": {"b": -a}, "a/b": a}), KeyMismatchError, "Nest a dict"),
    ("an input's key with a slash", lambda: jg.Model({"a/b": (a := x())}, -a), KeyMismatchError, "inputs.*'a/b'"),
    ("an empty key", lambda: jg.Model(a := x(), {"": -a, "b": a}), KeyMismatchError, "not empty"),
    ("a key that is no name", lambda: jg.Model(a := x(), {None: a}), KeyMismatchError, "the keys None"),
    ("an array as input", lambda: jg.Model(ROWS, x()), SymbolError, "inputs.*got ndarray"),
    ("nothing among outputs", lambda: jg.Model(a := x(), [a, None]), SymbolError, "outputs '1'.*NoneType"),
    ("a layer as output", lambda: jg.Model(x(), L.Dense(2)), SymbolError, "outputs.*got Dense"),
    ("a set of inputs", lambda: jg.Model({(a := x())}, a), SymbolError, "got set"),
    ("no output", lambda: jg.Model(x(), {}), GraphError, "at least one symbol"),
    ("an input twice", lambda: jg.Model([a := x(), a], a), GraphError, "'0' and '1'"),
    ("a missing input", lambda: jg.Model(a := x("a"), a + x("b")), GraphError, "also needs the input 'b'"),
    ("an end before the start", lambda: upside_down(), GraphError, "also needs the input 'a'"),
    ("an optional output", lambda: jg.Model([a := x(), b := x(optional=True)], [a, b]), GraphError, "optional input"),
    ("names that clash", lambda: jg.Model(a := x("a"), L.Dense(2, name="a")(a)), NameClashError, "Rename one"),
    ("a model's name with a slash", lambda: jg.Model(a := x(), a, name="a/b"), ArgumentError, "Slashes part"),
    # Models that are called
    ("a list for a dict", lambda: pair()([x(), x()]), KeyMismatchError, "exactly 'a', 'b', got a list"),
    ("a key with a typo", lambda: pair()({"a": x(), "bb": x()}), KeyMismatchError, "missing 'b'.*Did you mean 'b'"),
    ("a key too many", lambda: pair()({"a": x(), "b": x(), "c": x()}), KeyMismatchError, "extra 'c'"),
    ("inputs as keywords", lambda: pair()(a=x(), b=x()), ArgumentError, "one list or dict"),
    ("an array among symbols", lambda: pair()({"a": x(), "b": ROWS}), SymbolError, "input 'b'.*model.apply"),
    ("nothing for an input", lambda: pair()({"a": x(), "b": None}), SymbolError, "input 'b'.*got NoneType"),
    ("an optional for an input", lambda: pair()({"a": x(), "b": x(optional=True)}), SymbolError, "always there"),
    ("another rank", lambda: pair()({"a": x(), "b": jg.Input((4, 4))}), ShapeError, "input 'b'.*rank 2.*rank 3"),
    ("another width", lambda: pair()({"a": x(), "b": x(size=5)}), ShapeError, "input 'b', axis 1.*size 4"),
    ("another dtype", lambda: pair()({"a": x(), "b": x(dtype="int32")}), DTypeError, "input 'b'.*float32.*int32"),
    (
        "sizes that disagree",
        lambda: scales()([jg.Input((5, 3, 3)), jg.Input((20, 13, 3))]),
        ShapeError,
        r"size 12 \(for 4\*w",
    ),
    (
        "names that disagree",
        lambda: scales()([jg.Input(("p", "q", 3)), jg.Input(("4*p", "3*q", 3))]),
        ShapeError,
        r"4\*q.*3\*q",
    ),
    (
        "free axes for names",
        lambda: scales()([jg.Input((None, 3, 3)), jg.Input((None, 12, 3))]),
        ShapeError,
        "None#1.*None#2",
    ),
    # Paths
    ("a path with a typo", lambda: pair().output_of("tower/dens", call=0), PathError, "Did you mean 'tower/dense'"),
    ("a path of several calls", lambda: pair().output_of("tower/dense"), PathError, "call=0 on 'a'; call=1 on 'b'"),
    ("a call that is not", lambda: pair().output_of("tower", call=2), PathError, "got call=2"),
    ("a call that is no number", lambda: pair().output_of("tower", call=TEXT), PathError, "got call='first'"),
    ("what an input reads", lambda: pair().input_of("a"), GraphError, "got an input"),
    ("a number for a path", lambda: pair().output_of(NUMBER), PathError, "a path of the model"),
]


def shared_on_two() -> jg.Model:
    layer = L.Dense(2)
    return jg.Model([a := x(), b := x(size=5)], [layer(a), layer(b)])


def upside_down() -> jg.Model:
    start = x("a")
    first = L.Dense(3)(start)
    return jg.Model(L.Dense(2)(first), first)


@pytest.mark.parametrize(("draw", "kind", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_wrong_drawing_is_refused_when_it_is_drawn(
    draw: Callable[[], Any], kind: type[JGraphError], said: str
) -> None:
    with pytest.raises(JGraphError) as caught:
        draw()
    error = caught.value
    assert type(error) is kind
    assert re.search(said, str(error)), str(error)
    assert all(part.strip() for part in (error.where, error.expected, error.got, error.cure))
    assert " at 0x" not in str(error)
