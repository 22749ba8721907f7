"""Several tensors into one."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.draw.specs import show_tree
from jgraph.errors import ShapeError
from jgraph.layers.checks import check_axis
from jgraph.typing import Array, Key, Params, PyTree, Spec, State


class Add(Layer):
    """The sum of a list of tensors, which broadcast along axes of size 1. As `keras.layers.Add`.

    A mask is passed on where every input has one: true where any of them is (Keras' rule).

    Raises:
        ShapeError: no list of inputs, or shapes that do not go together.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.Add()([x, 2 * x])
    <Symbol float32[batch, 4]>
    """

    mixes_rows = False
    logits = "as inputs"

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs; there is nothing to keep."""
        check_list(
            self,
            xs,
            "tensors of one rank",
            len({len(x.shape) for x in jax.tree.leaves(xs) if hasattr(x, "shape")}) == 1,
        )
        return {}, {}

    def apply(
        self, params: Params, state: State, xs: Sequence[Array], *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Adds from left to right."""
        del params, train, key
        return functools.reduce(jnp.add, xs), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The union of the masks, if all inputs have one."""
        return None if mask is None or any(m is None for m in mask) else functools.reduce(jnp.logical_or, mask)


class Concatenate(Layer):
    """Tensors put one after the other along an axis. As `keras.layers.Concatenate`.

    Along the last axis a mask is passed on where any input has one: true where any of them is, an unmasked input
    being true everywhere. Along a time axis the masks are joined as the tensors are (Keras' rule).

    Raises:
        ArgumentError: the axis is the batch axis.
        ShapeError: no list of inputs, or other axes that differ.

    >>> import jgraph as jg
    >>> jg.layers.Concatenate()([jg.Input((4,)), jg.Input((3,))])
    <Symbol float32[batch, 7]>
    """

    axis: int = -1

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axis("Concatenate", self.axis)

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs; there is nothing to keep."""
        shapes = [list(getattr(x, "shape", ())) for x in xs] if isinstance(xs, (list, tuple)) else []
        fits = all(-len(s) < self.axis < len(s) and s[self.axis] for s in shapes) and shapes != []
        rest = (
            {tuple(map(str, s[: self.axis % len(s)] + s[self.axis % len(s) + 1 :])) for s in shapes} if fits else set()
        )
        check_list(self, xs, f"tensors that differ along axis {self.axis} alone", len(rest) == 1)
        return {}, {}

    def apply(
        self, params: Params, state: State, xs: Sequence[Array], *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Concatenates."""
        del params, train, key
        return jnp.concatenate(xs, axis=self.axis), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The masks, widened to the inputs, joined as the inputs are; true where any channel is."""
        if mask is None:
            return None
        wide = [
            jnp.broadcast_to(True if m is None else m.reshape(*m.shape, *[1] * (x.ndim - m.ndim)), x.shape)
            for m, x in zip(mask, inputs[0], strict=True)
        ]
        return jnp.any(jnp.concatenate(wide, axis=self.axis), axis=-1)


def add(inputs: Sequence[Any], *, name: str | None = None) -> Any:
    """The sum of a list of symbols: `Add(name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.add([x, x])
    <Symbol float32[batch, 4]>
    """
    return Add(name=name)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, *, name: str | None = None) -> Any:
    """A list of symbols put one after the other: `Concatenate(axis, name=name)(inputs)`.

    >>> import jgraph as jg
    >>> jg.layers.concatenate([jg.Input((4,)), jg.Input((3,))])
    <Symbol float32[batch, 7]>
    """
    return Concatenate(axis, name=name)(inputs)


def check_list(layer: Layer, xs: PyTree, expected: str, fits: bool) -> None:
    """Checks that a merge got a list of tensors that go together; Keras takes a list of one too.

    Raises:
        ShapeError: it did not.
    """
    if not isinstance(xs, (list, tuple)) or not xs or not fits:
        raise ShapeError(
            repr(layer),
            expected=f"a list of {expected}",
            got=show_tree(xs),
            cure="Bring the inputs to fitting shapes, and give them as one list.",
        )
