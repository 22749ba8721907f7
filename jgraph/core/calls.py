"""Drawing a call of a layer on symbols and constants, and the masks that go with it."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jgraph.core.infer import Inference, infer, takes_mask
from jgraph.core.symbol import Call, Symbol
from jgraph.core.treatment import PLAIN, Treatment
from jgraph.draw.specs import show, show_tree
from jgraph.errors import ArgumentError, DTypeError, JGraphError, ShapeError, SymbolError
from jgraph.tree import check_keys
from jgraph.typing import PyTree

RESERVED = ("train", "key")


def draw(layer: Any, args: tuple, kwargs: dict[str, Any], mask: Any = None) -> PyTree:
    """Draws a call of a layer on symbols and constants and returns its outputs as a tree of symbols.

    Raises:
        SymbolError: no argument is a symbol, or a tracer is among them.
        ArgumentError: a mask is given to a layer that has no use for one, or a reserved keyword is used.
        DTypeError: the mask is not of booleans.
        ShapeError: the layer cannot take these shapes.
    """
    _check_call(layer, args, kwargs, mask)
    args, kwargs = jax.tree.map(_own, (args, kwargs))
    by_hand = mask is not None
    call = make_call(layer, args, kwargs, mask if by_hand else automatic_mask(args, kwargs), by_hand)
    return jax.tree.unflatten(call.inference.tree, call.symbols())


def make_call(layer: Any, args: tuple, kwargs: dict[str, Any], mask: Any, by_hand: bool, **place: Any) -> Call:
    """A call with its inference; `draw` checks first, models redraw through this alone.

    `place` holds the fields of the call that say where it stands: scope, path, treatment, within.

    Raises:
        ShapeError: the layer cannot take these shapes, or cannot do without an optional input.
    """
    treatment = place.get("treatment", PLAIN)
    spec = functools.partial(jax.tree.map, lambda leaf: leaf.spec if isinstance(leaf, Symbol) else leaf)
    asked = spec(args), spec(kwargs), spec(mask)
    inference = infer(layer, *asked, treatment)
    leaves = jax.tree.leaves((args, kwargs))
    absent = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Symbol) and leaf.optional]
    for places in [absent] * bool(absent) + [[i] for i in absent] * (len(absent) > 1):
        _check_absent(layer, asked, treatment, inference, frozenset(places))
    return Call(layer, args, kwargs, mask, by_hand, inference, **place)


def _check_absent(
    layer: Any,
    asked: tuple[tuple, dict[str, Any], Any],
    treatment: Treatment,
    present: Inference,
    absent: frozenset[int],
) -> None:
    """Checks that the layer gives the same outputs without these of its inputs."""
    cure = "Let it give the same shape and dtype for None there, or draw the input without optional=True."
    try:
        without = infer(layer, *asked, treatment, absent)
    except JGraphError as error:
        raise ShapeError(
            f"{layer!r}, on an optional input that is absent",
            expected="a layer that takes None in place of an array",
            got=f"an error: {error.got}",
            cure=cure,
        ) from error
    if (without.outputs, without.tree) != (present.outputs, present.tree):
        raise ShapeError(
            f"{layer!r}, on an optional input that is absent",
            expected=f"the outputs that it gives with it: {show_tree(present.outputs)}",
            got=show_tree(without.outputs),
            cure=cure,
        )


def _own(leaf: Any) -> Any:
    """A constant that nobody else can change: arrays of NumPy are copied."""
    if not isinstance(leaf, np.ndarray):
        return leaf
    leaf = leaf.copy()
    leaf.setflags(write=False)
    return leaf


def automatic_mask(args: tuple, kwargs: dict[str, Any]) -> Any:
    """The mask of the one input, or a tuple of masks where there are several inputs, or `None` where none has one."""
    inputs, alone = inputs_in(args, kwargs, Symbol)
    return joined_masks(inputs, alone)


def inputs_in(args: tuple, kwargs: dict[str, Any], kind: type) -> tuple[list[Any], bool]:
    """The inputs of a call, symbols or references, and whether there is but one, given as it is.

    A `None` among the arguments is an input that is absent.
    """
    leaves = jax.tree.leaves(args, is_leaf=lambda leaf: leaf is None)
    inputs = [leaf for leaf in leaves if leaf is None or isinstance(leaf, kind)]
    inputs += [leaf for leaf in jax.tree.leaves(kwargs) if isinstance(leaf, kind)]
    return inputs, len(inputs) == 1 and any(inputs[0] is given for given in args[:1] or kwargs.values())


def joined_masks(symbols: Sequence[Symbol | None], alone: bool) -> Any:
    """The masks of the inputs as a layer is given them; an absent input has none, but keeps its place."""
    masks = tuple(None if s is None else s.mask for s in symbols)
    if alone:
        return masks[0]
    return masks if any(m is not None for m in masks) else None


def check_masks(mask: Any, where: str) -> None:
    """Checks that what is given as a mask is a symbol of booleans, or holds nothing else.

    Raises:
        SymbolError, DTypeError: it is not.
    """
    masks = jax.tree.leaves(mask)
    if not masks or not all(isinstance(m, Symbol) for m in masks):
        raise SymbolError(where, expected="a symbol as mask", got=type(mask).__name__, cure="Draw the mask too.")
    wrong = next((m for m in masks if m.dtype != jnp.bool_), None)
    if wrong is not None:
        raise DTypeError(
            f"{where}, mask",
            expected="bool, true where a step counts",
            got=show(wrong.spec),
            cure="Write mask=m > 0.",
        )


def _check_call(layer: Any, args: tuple, kwargs: dict[str, Any], mask: Any) -> None:
    check_keys((args, kwargs), repr(layer))
    leaves = jax.tree.leaves((args, kwargs))
    if any(isinstance(leaf, Tracer) for leaf in leaves) or not any(isinstance(s, Symbol) for s in leaves):
        kinds = ", ".join(sorted({type(leaf).__name__ for leaf in leaves})) or "nothing"
        raise SymbolError(
            repr(layer),
            expected="symbols, made by jg.Input, when a layer is called",
            got=kinds,
            cure="On arrays use layer.apply(params, state, x), or model.apply(params, state, inputs).",
        )
    for word in RESERVED:
        if word in kwargs:
            raise ArgumentError(
                repr(layer),
                expected=f"no argument {word!r} when a layer is drawn",
                got=f"{word}={kwargs[word]!r}",
                cure="Give the symbol by its place: layer(query, value, key)."
                if isinstance(kwargs[word], Symbol)
                else f"Give it to apply: model.apply(params, state, inputs, {word}=...).",
            )
    if mask is None:
        return
    check_masks(mask, repr(layer))
    if not (takes_mask(type(layer)) or layer.passes_mask()):
        raise ArgumentError(
            repr(layer),
            expected="no mask",
            got="mask=...",
            cure="Give `apply` a parameter `mask=None`, or override `pass_mask`, if the layer is to use one.",
        )
