"""A layer applied to every time step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.infer import takes_mask
from jgraph.core.layer import Layer
from jgraph.core.sequential import Stack
from jgraph.core.spec import BATCH
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError
from jgraph.layers.checks import check_features
from jgraph.layers.wrapping import Wrapping, mixing, parts_of
from jgraph.ops.activations import linear
from jgraph.typing import Array, Function, Key, Params, PyTree, Spec, State


class TimeDistributed(Wrapping):
    """A layer, stack, model or Flax module on each time step: [batch, time, ...] -> [batch, time, ...].

    Time steps become rows of the batch, [batch * time, ...], so one call serves them all. Params and state are the
    inner layer's, as they are; they are this layer's own, also where the inner one is drawn elsewhere too. As
    `keras.layers.TimeDistributed`, and:

    A mask [batch, time] goes on. An inner layer that reads masks gets it too: a step that is masked is masked whole.
    Of a mask with more axes the inner layer gets what belongs to the step; what goes on is the mask that it passes on
    or makes, as an Embedding does, or else whether anything in the step counts (Keras: the mask that came). A mask does
    not go into a model or a stack, nor out of one.

    Raises:
        ArgumentError: `layer` is no layer, or a model with penalties inside, which would be lost.
        ShapeError: the input has no time axis, or the inner layer cannot take a step.

    >>> import jgraph as jg
    >>> jg.layers.TimeDistributed(jg.layers.Conv2D(4, 3))(jg.Input((10, 28, 28, 3)))
    <Symbol float32[batch, 10, 26, 26, 4]>
    """

    layer: Layer

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, Layer):
            raise ArgumentError(
                "TimeDistributed, layer",
                expected="a layer",
                got=repr(self.layer),
                cure="Lift functions with jg.op, Flax modules with jg.as_layer.",
            )
        if self.layer.is_graph and any(part.penalizes() for part in parts_of(self.layer)):
            raise ArgumentError(
                "TimeDistributed, layer",
                expected="a model without penalties, which only a drawn layer adds to the loss",
                got=repr(self.layer),
                cure="Give the layer with the penalty a TimeDistributed of its own.",
            )
        weighted = any(part.regularizes() or part.constrains() for part in parts_of(self.layer))
        if isinstance(self.layer, Stack) and weighted:
            raise ArgumentError(
                "TimeDistributed, layer",
                expected="a model where weights are regularized or constrained, as a stack does not know their names",
                got=repr(self.layer),
                cure="Begin the stack with an input: jg.Sequential([jg.Input((8,)), ...]).",
            )

    mixes_rows = mixing

    def held(self) -> dict[tuple[str, ...], Any]:
        """The inner layer, whose params are this layer's."""
        return {(): self.layer}

    @property
    def logits(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the inner layer's."""
        return self.layer.logits

    def opened(self) -> tuple[Layer, Function]:
        """As the inner layer opens."""
        inner, last = self.layer.opened()
        return (self, last) if last is linear else (dataclasses.replace(self, layer=inner), last)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Makes what the inner layer keeps."""
        check_features(self, x)
        rows = rows_of(x)
        return whole(self.layer, rows).init(key, rows)

    def apply(
        self,
        params: Params,
        state: State,
        x: Array,
        *,
        mask: Array | None = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[PyTree, State]:
        """Applies the inner layer to all steps at once."""
        rows, masks = rows_of(x), step_masks(self, mask, x)
        options = {"mask": masks} if takes_mask(type(self.layer)) else {}
        outputs, state = whole(self.layer, rows).apply(params, state, rows, **options, train=train, key=key)
        return jax.tree.map(lambda y: y.reshape(*x.shape[:2], *y.shape[1:]), outputs), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The mask that the inner layer hands on or makes, else whether anything in a step counts."""
        given = step_masks(self, mask, inputs[0])
        made = self.layer.pass_mask(given, rows_of(inputs[0]))
        made = made[0] if isinstance(made, (tuple, list)) else made
        if made is not None and made is not given:
            return made.reshape(*inputs[0].shape[:2], *made.shape[1:])
        if mask is None or mask.ndim == 2:
            return mask
        return mask if made is not None else jnp.any(mask, axis=tuple(range(2, mask.ndim)))

    def penalizes(self) -> bool:
        """True where the inner layer does."""
        return self.layer.penalizes()

    def penalty(self, params: Params, inputs: tuple, outputs: PyTree) -> Array | float:
        """The inner layer's, on all steps at once."""
        return self.layer.penalty(params, *jax.tree.map(rows_of, (inputs, outputs)))


def whole(layer: Layer, rows: Any) -> Layer:
    """The layer itself, or a stack as the model that it is for such rows."""
    if not isinstance(layer, Stack):
        return layer
    return layer.on(jax.ShapeDtypeStruct((BATCH, *rows.shape[1:]), rows.dtype))


def rows_of(x: Any) -> Any:
    """Time steps as rows of the batch: [batch, time, ...] -> [batch * time, ...], of an array or a spec."""
    shape = (x.shape[0] * x.shape[1], *x.shape[2:])
    return jax.ShapeDtypeStruct(shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x.reshape(shape)


def step_masks(layer: Layer, mask: Array | None, x: Array) -> Array | None:
    """The mask of each step as a row, with the axis that a sequence within the step would have.

    Raises:
        ShapeError: the mask is not of the input's first axes.
    """
    if mask is None:
        return None
    if mask.ndim < 2 or mask.shape != x.shape[: mask.ndim]:
        raise ShapeError(
            f"{layer!r}, mask",
            expected=f"the batch and time axes of its input {show(x)}, and perhaps more",
            got=show(mask),
            cure="Give a mask of shape [batch, time].",
        )
    rows = rows_of(mask)
    return rows if rows.ndim > 1 or x.ndim < 4 else jnp.broadcast_to(rows[:, None], (rows.shape[0], x.shape[2]))
