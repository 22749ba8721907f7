"""A loss: per-example values of targets and outputs, and how targets have to look."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DataError, LossError, listing, nearest
from jgraph.metrics.metric import Metric
from jgraph.typing import Array, Function


@dataclasses.dataclass(frozen=True)
class Loss:
    """`values(targets, outputs)`: one value per example (and time step), averaged by the step with weights.

    `link` is the activation that a cross-entropy undoes: its values are taken on logits. `targets` says whether a
    target has the output's shape, or is an integer label for the output's last axis, or anything (`free`). As for
    layers, `mixes_rows` says that a row's value may depend on other rows of the batch.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> jg.losses.mean_squared_error(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([2.], dtype=float32)
    """

    name: str
    values: Function
    link: Literal["softmax", "sigmoid"] | None = None
    targets: Literal["same", "labels", "free"] = "same"
    mixes_rows: bool = True

    def __call__(self, targets: Array, outputs: Array) -> Array:
        """Per-example values; of logits for a cross-entropy."""
        return self.values(align(self, targets, outputs), outputs)


def align(judge: Loss | Metric, targets: Array, outputs: Any) -> Array:
    """Targets in the shape that a loss or metric computes with: one axis of size 1 may be missing, or too many."""
    ranks = len(targets.shape), len(outputs.shape)
    if judge.targets == "labels" and ranks[0] == ranks[1] and targets.shape[-1] == 1:
        return targets[..., 0]
    if judge.targets == "same" and ranks[0] == ranks[1] - 1 and outputs.shape[-1] == 1:
        return targets[..., None]
    return targets


def check_targets(where: str, judge: Loss | Metric, targets: Any, output: Any) -> None:
    """Checks shape and dtype of one output's targets, the batch axis apart, so that nothing broadcasts.

    Raises:
        DataError: the targets do not fit the loss or metric.
    """
    if judge.targets == "free":
        return
    labels = judge.targets == "labels"
    got, want = tuple(targets.shape[1:]), tuple(output.shape[1:])
    allowed = [want[:-1], (*want[:-1], 1)] if labels else [want, *[want[:-1]] * (want[-1:] == (1,))]
    if not targets.shape or not any(_fits(got, a) for a in allowed):
        shapes = " or ".join(f"[rows{''.join(f', {n}' for n in a)}]" for a in dict.fromkeys(allowed))
        raise DataError(
            where,
            expected=f"targets {shapes} for {judge.name} of {show(output)}",
            got=show(targets),
            cure="Reshape the targets" + (", or use categorical_crossentropy for one-hot targets." if labels else "."),
        )
    if labels and not jnp.issubdtype(targets.dtype, jnp.integer):
        raise DataError(
            where, expected="integer labels", got=show(targets), cure="Convert the labels with .astype('int32')."
        )


def _fits(got: tuple, want: tuple) -> bool:
    """Whether two shapes agree in rank and in every size that is known."""
    return len(got) == len(want) and all(g == w or not isinstance(w, int) for g, w in zip(got, want, strict=True))


def resolve(where: str, value: Any, table: dict[str, Loss]) -> Loss:
    """A loss from its name, from a `Loss`, or from any function (targets, outputs) -> per-example values.

    Raises:
        ArgumentError: the name is not known; the nearest one is suggested.
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str) and value in table:
        return table[value]
    if callable(value) and not isinstance(value, type):
        return Loss(getattr(value, "__name__", "loss"), value, targets="free")
    raise ArgumentError(
        where,
        expected="the name of a loss, a function (targets, outputs) -> per-example values, or None",
        got=repr(value),
        cure=f"{nearest(value, table)}Known: {listing(table, 20)}.",
    )


def check_differentiable(output: str, values: Any) -> Any:
    """What a loss function gave, if it can be differentiated at all.

    Raises:
        LossError: it is integers or truth values.
    """
    if hasattr(values, "dtype") and not jnp.issubdtype(values.dtype, jnp.floating):
        raise LossError(
            f"the loss of output {output!r}",
            expected="floating-point values, which have gradients",
            got=show(values),
            cure="Use it as a metric, and a loss that is smooth in the outputs.",
        )
    return values
