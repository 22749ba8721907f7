"""Metrics: pure functions over one vector of weighted sums, which lies on the device and is read once an epoch.

The sums are float32. A count is exact up to 2**24, about 17 million examples of weight 1; beyond that every sum is
rounded to 7 digits each time that a batch is added to it.
"""

import abc
import dataclasses
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jgraph.errors import (
    ArgumentError,
    DataError,
    LossError,
    ShapeError,
    check_flag,
    check_one_of,
    check_text,
    is_function,
)
from jgraph.typing import Array, Function, Spec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric(abc.ABC):
    """What a metric is: `init` makes its sums, one vector of float32; `update` adds examples; `compute` reads it.

    `merge` puts the sums of two sets of examples together: it is associative, `init()` is its unit, and merging the
    sums of parts gives those of the whole. As most do, this one adds. `compute` gives one number, from a NumPy or a JAX
    vector; NaN where there was no example. Weights are those of the examples, [batch] or [batch, time].

    `name` is that of the log. `targets` says whether a target has the output's shape (`same`), is an integer label for
    its last axis (`labels`), or anything (`free`). As for layers, `mixes_rows` says that a row's value may depend on
    other rows of the batch: where no row without weight changes the sums, it is false. `direction` says which value is
    the better one, the smallest (`min`) or the largest (`max`); callbacks that watch a metric without one have to be
    told, by their `mode`.

    >>> import dataclasses, jax.numpy as jnp, jgraph as jg
    >>> @dataclasses.dataclass(frozen=True)
    ... class Largest(jg.metrics.Metric):
    ...     def init(self):
    ...         return jnp.full(1, -jnp.inf)
    ...     def update(self, sums, targets, outputs, weights):
    ...         error = jnp.where(weights != 0, jnp.abs(targets - outputs), -jnp.inf)
    ...         return jnp.maximum(sums, jnp.max(error))
    ...     def merge(self, a, b):
    ...         return jnp.maximum(a, b)
    ...     def compute(self, sums):
    ...         return sums[0]
    >>> float(Largest(name="largest_error")([1.0, 2.0], [1.5, 2.25]))
    0.5
    """

    name: str
    targets: Literal["same", "labels", "free"] = "same"
    mixes_rows: bool = False
    direction: Literal["min", "max"] | None = None

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_text(where, name=self.name)
        check_one_of(where, "targets", self.targets, ("same", "labels", "free"))
        check_one_of(where, "direction", self.direction, (None, "min", "max"))
        flags = (f.name for f in dataclasses.fields(self) if isinstance(f.default, bool))
        check_flag(where, **{name: getattr(self, name) for name in flags})

    def for_output(self, output: Spec) -> Self:
        """The metric for an output of this spec, for those that depend on it, as on the number of classes."""
        del output
        return self

    def for_targets(self, targets: str) -> "Metric | None":
        """The metric for targets as the output's loss has them (`same`, `labels` or `free`), if there is one."""
        return self if "free" in (targets, self.targets) or targets == self.targets else None

    def on_logits(self, link: str) -> "Metric | None":
        """The metric that takes logits instead, where the output is trained through a cross-entropy; none by default.

        Then the metric gets what the link, `softmax` or `sigmoid`, gives.
        """
        del link
        return None

    @abc.abstractmethod
    def init(self) -> Array:
        """The sums of no examples."""

    @abc.abstractmethod
    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added."""

    def merge(self, a: Array, b: Array) -> Array:
        """The sums of two sets of examples together."""
        return a + b

    @abc.abstractmethod
    def compute(self, sums: Any) -> Any:
        """The value."""

    def __call__(self, targets: Any, outputs: Any, weights: Any = None) -> Any:
        """The value for one set of examples, all of weight 1 where there are no weights.

        Raises:
            DataError: they are no numbers, or not for the same examples. Others where a metric does not fit them.
        """
        targets, outputs = examples(self.name, targets, outputs)
        weights = jnp.ones(outputs.shape[:1]) if weights is None else weights_of(self.name, weights, outputs)
        metric = self.for_output(jax.ShapeDtypeStruct(outputs.shape, outputs.dtype))
        return metric.compute(metric.update(metric.init(), targets, outputs, weights))


class PerExample(Metric):
    """The base of weighted means of per-example values: `sum(weight * value) / sum(weight)`."""

    @abc.abstractmethod
    def each(self, targets: Any, outputs: Any) -> Any:
        """One value per example (and time step)."""

    def init(self) -> Array:
        """The sums of no examples: [weighted values, weights]."""
        return jnp.zeros(2, jnp.float32)

    def update(self, sums: Array, targets: Any, outputs: Any, weights: Array) -> Array:
        """The sums with these examples added.

        Raises:
            LossError: there is not one value per example. ShapeError: the targets do not fit the outputs.
        """
        check_shapes(self, targets, outputs)
        values = check_values(f"{self.name!r}, a metric", self.each(targets, outputs), outputs, weights)
        return sums + weighted_sums(values, weights)

    def compute(self, sums: Any) -> Any:
        """The mean; NaN where there was no example."""
        return ratio(sums[0], sums[1], np.nan)


@dataclasses.dataclass(frozen=True)
class Mean(PerExample):
    """The weighted mean of the values of a function: `sum(weight * value) / sum(weight)`.

    `values` maps (targets, outputs) to one value per example (and time step). Where the output is trained through a
    cross-entropy, `logit_values`, if given, is used on its logits instead, be they those of a softmax or of a sigmoid.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> metric = jg.metrics.Mean(lambda targets, outputs: abs(targets - outputs), name="error")
    >>> sums = metric.update(metric.init(), jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0]), jnp.array([1.0, 3.0]))
    >>> float(metric.compute(sums))
    1.5
    """

    values: Function
    logit_values: Function | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for argument in ("values", "logit_values"):
            function = getattr(self, argument)
            if not is_function(function) and (argument == "values" or function is not None):
                raise ArgumentError(
                    f"Mean, {argument}",
                    expected="a function (targets, outputs) -> per-example values",
                    got=repr(function),
                    cure="Write jg.metrics.Mean(lambda targets, outputs: ..., name='error').",
                )

    def on_logits(self, link: str) -> "Mean | None":
        """The mean of the values of logits, if there are such."""
        del link
        return self.logit_values and dataclasses.replace(self, values=self.logit_values)

    def each(self, targets: Any, outputs: Any) -> Any:
        """What the function gives."""
        return self.values(targets, outputs)


def examples(where: str, targets: Any, outputs: Any) -> tuple[Array, Array]:
    """Targets and outputs, given as arrays, lists or numbers of other libraries, as arrays of one number of rows.

    Raises:
        DataError: they are none.
    """
    targets, outputs = as_array(f"{where}, targets", targets), as_array(f"{where}, outputs", outputs)
    if targets.shape[0] != outputs.shape[0]:
        raise DataError(
            f"{where}, targets",
            expected=f"{outputs.shape[0]} rows, as many as there are outputs",
            got=shape_of(targets),
            cure="Give the targets of the same rows.",
        )
    return targets, outputs


def weights_of(where: str, weights: Any, outputs: Array) -> Array:
    """Weights of the rows of outputs as an array.

    Raises:
        DataError: they are not one for each row (and step), or a number is below 0 or not finite.
    """
    weights = as_array(f"{where}, weights", weights).astype(jnp.float32)
    fits = (weights >= 0) & jnp.isfinite(weights)
    wrong = [] if isinstance(weights, Tracer) else weights[~fits].tolist()
    if weights.shape != outputs.shape[: weights.ndim] or wrong:
        raise DataError(
            f"{where}, weights",
            expected=f"finite numbers of at least 0, one for each row of {shape_of(outputs)}",
            got=f"{wrong[0]:g} among them" if wrong else shape_of(weights),
            cure="Weights are [batch], or [batch, time].",
        )
    return weights


def as_array(where: str, value: Any) -> Array:
    """An array, or what can be made one, with an axis of rows.

    Raises:
        DataError: it holds no numbers, or is a single one.
    """
    try:
        array = jnp.asarray(value)
        got = shape_of(array)
    except (TypeError, ValueError, OverflowError) as error:
        array, got = None, f"{type(value).__name__}: {str(error).splitlines()[0].rstrip('.')}"
    real = array is not None and any(jnp.issubdtype(array.dtype, k) for k in (jnp.floating, jnp.integer, jnp.bool_))
    if array is None or not real or not array.ndim:
        raise DataError(where, expected="numbers, with an axis of rows", got=got, cure="Give an array [batch, ...].")
    return array


def check_values(where: str, values: Any, output: Array, weights: Array) -> Array:
    """What a loss or metric function gave, if it is one value per example, and per step where weights or a mask are.

    Raises:
        LossError: it is not.
    """
    shape = getattr(values, "shape", None)
    if not shape or shape != output.shape[: len(shape)]:
        raise LossError(
            where,
            expected=f"one value per example: as many as the first axes of the output, {shape_of(output)}, hold",
            got=shape_of(values) if shape is not None else type(values).__name__,
            cure="Do not average over the batch, and reshape targets that would broadcast.",
        )
    if weights.ndim > len(shape) or any(w not in (1, n) for w, n in zip(weights.shape, shape, strict=False)):
        raise LossError(
            where,
            expected=f"a value for each entry of the weights (or mask) {list(weights.shape)}",
            got=shape_of(values),
            cure="Average over the last axis only, or end the mask before the output.",
        )
    return values


def check_shapes(metric: Metric, targets: Any, outputs: Any) -> None:
    """Checks that targets have the outputs' shape, or that of labels for their last axis, so that nothing broadcasts.

    Raises:
        ShapeError: they have another one.
    """
    expected = {"same": outputs.shape, "labels": outputs.shape[:-1]}.get(metric.targets, targets.shape)
    if targets.shape != expected:
        raise ShapeError(
            f"{metric.name!r}, a metric",
            expected=f"targets [{', '.join(map(str, expected))}] for outputs {shape_of(outputs)}",
            got=shape_of(targets),
            cure="Reshape the targets.",
        )


def shape_of(array: Any) -> str:
    """Dtype and shape, for errors."""
    return f"{array.dtype}[{', '.join(map(str, array.shape))}]"


def weighted_sums(values: Array, weights: Array) -> Array:
    """`[sum(weights * values), sum(weights)]` in float32, weights broadcast from the left; weight 0 erases a value."""
    weights = widen(weights, values.ndim) * jnp.ones(values.shape, jnp.float32)
    kept = jnp.where(weights != 0, values.astype(jnp.float32), 0.0)
    return jnp.stack([jnp.sum(weights * kept), jnp.sum(weights)])


def widen(weights: Array, rank: int) -> Array:
    """Weights [batch, ...] with axes of size 1 behind, up to a rank."""
    return weights.reshape(*weights.shape, *[1] * (rank - weights.ndim)).astype(jnp.float32)


def spread(weights: Array, shape: tuple[int, ...]) -> Array:
    """Weights [batch, ...], one for each entry of an array of this shape."""
    return widen(weights, len(shape)) * jnp.ones(shape, jnp.float32)


def mean_last(values: Array) -> Array:
    """The mean over the last axis, which makes one value per example; values that are one per example stay."""
    return jnp.mean(values, axis=-1) if values.ndim > 1 else values


def ratio(a: Any, b: Any, otherwise: Any = 0.0) -> Any:
    """`a / b` of NumPy or JAX numbers, and `otherwise` where `b` is 0."""
    numbers = b.__array_namespace__()
    return numbers.where(b != 0, a / numbers.where(b != 0, b, 1.0), otherwise)


def where_seen(value: Any, weight: Any) -> Any:
    """A value, NaN where no example had any weight."""
    numbers = weight.__array_namespace__()
    return numbers.where(weight != 0, value, numbers.nan)
