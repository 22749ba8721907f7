"""A loss: per-example values of targets and outputs, and how targets have to look."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal, dataclass_transform

import jax.numpy as jnp

from jgraph.draw.specs import show
from jgraph.errors import (
    ArgumentError,
    DataError,
    LossError,
    check_flag,
    check_known,
    check_one_of,
    check_text,
    is_function,
)
from jgraph.losses.checks import check_places, home_of
from jgraph.metrics.metric import Metric, examples, mean_last
from jgraph.typing import Array, Function

TARGETS, LINKS = ("same", "labels", "free"), (None, "softmax", "sigmoid")

ABSENT = {
    "from_logits": "Leave it out: cross-entropies are taken on logits, and an end in softmax or sigmoid seen through.",
    "reduction": "Leave it out: a loss gives one value per example, and the step takes their weighted mean.",
    "axis": "Leave it out: classes are on the last axis.",
    "dtype": "Leave it out: losses are taken in at least float32.",
}
"""Arguments that Keras' classes have and ours do not, and what to do instead."""


@dataclasses.dataclass(frozen=True, repr=False)
class Loss:
    """A loss of one's own: `fn(targets, outputs)` gives one value per example (and time step).

    The step takes the mean of the values, with weights. `fn` gets arrays; with `of`, a list of names of outputs and
    paths of nodes (a tuple `("path", 1)` for the second call of a layer), it gets tuples in the order of `of`: for an
    output what users see of it and its targets, for any other node its values and `None`. Such a loss stands in the
    trainer's dict under a name that is no output's.

    `targets` says whether a target has the output's shape (`same`), is an integer label for its last axis (`labels`),
    or anything (`free`). `link` is the activation that a cross-entropy undoes: with one, `fn` gets logits. As for
    layers, `mixes_rows` says that a row's value may depend on other rows of the batch; where it never does, say so, and
    batches may be filled up.

    Raises:
        ArgumentError: an argument has a value that it cannot have; the function is of optax, which takes its arguments
            the other way round.

    >>> import jax.numpy as jnp, jgraph as jg
    >>> loss = jg.Loss(lambda targets, outputs: abs(targets - outputs)[:, 0], name="first", mixes_rows=False)
    >>> loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.5, 4.0]]))
    Array([0.5], dtype=float32)
    >>> apart = jg.Loss(lambda targets, outputs: (outputs[0] - outputs[1]).mean(-1) ** 2, of=["left", "tower/dense"])
    >>> loss_of_trainer = {"left": "mse", "right": "mse", "apart": apart}
    """

    fn: Function
    of: Any = dataclasses.field(default=None, kw_only=True)
    name: str | None = dataclasses.field(default=None, kw_only=True)
    targets: Literal["same", "labels", "free"] = dataclasses.field(default="free", kw_only=True)
    link: Literal["softmax", "sigmoid"] | None = dataclasses.field(default=None, kw_only=True)
    mixes_rows: bool = dataclasses.field(default=True, kw_only=True)

    of_probabilities: ClassVar[bool] = False
    """Whether logits, as an output that ends linear has them, are no outputs for it."""

    def __post_init__(self) -> None:
        if not is_function(self.fn) or home_of(self.fn) == "optax":
            raise ArgumentError(
                "Loss, fn",
                expected="a function (targets, outputs) -> per-example values",
                got=f"{self.fn!r}, which takes (outputs, targets)" if is_function(self.fn) else repr(self.fn),
                cure="Write jg.Loss(lambda targets, outputs: ...).",
            )
        check_one_of("Loss", "targets", self.targets, TARGETS)
        check_one_of("Loss", "link", self.link, LINKS)
        check_flag("Loss", mixes_rows=self.mixes_rows)
        object.__setattr__(self, "of", check_places("Loss, of", self.of))
        own = getattr(self.fn, "__name__", "loss") if self.name is None else self.name
        check_text(type(self).__name__, name=own)
        object.__setattr__(self, "name", own)

    def values(self, targets: Any, outputs: Any) -> Any:
        """One value per example, of targets in the shape that `align` gives them."""
        return self.fn(targets, outputs)

    def weights(self, targets: Any) -> Any:
        """What an example counts for by its target, beside all weights; `None` where that is no matter.

        An example that counts for nothing is left out of the output's metrics too.
        """
        del targets
        return None

    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest number that a target may be, where there are such; labels have their own."""
        return (0, 1) if self.link and self.targets == "same" else None

    def __call__(self, targets: Any, outputs: Any) -> Any:
        """Per-example values; of logits for a cross-entropy.

        Raises:
            DataError: targets and outputs are no numbers, or do not go together.
        """
        if self.of:
            return self.values(targets, outputs)
        targets, outputs = examples(f"{self.name}", targets, outputs)
        check_targets(f"{self.name}, targets", self, targets, outputs)
        return self.values(align(self, targets, outputs), outputs)

    def __repr__(self) -> str:
        fields = [f for f in dataclasses.fields(self) if f.init and f.name not in ("fn", "name")]
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join([repr(self.name)] * (type(self) is Loss) + shown)})"

    def __str__(self) -> str:
        """The name, and what is not as usual; the same in every process."""
        options = repr(self).partition("(")[2][:-1].removeprefix(repr(self.name)).removeprefix(", ")
        return f"{self.name}({options})" if options else f"{self.name}"


def _values_of(self: Loss, targets: Any, outputs: Any) -> Any:
    """The function of a loss of the library is its method."""
    return self.values(targets, outputs)


@dataclass_transform(frozen_default=True)
@dataclasses.dataclass(frozen=True, repr=False)
class LibraryLoss(Loss):
    """The base of the losses of jgraph: frozen options, and a method `values`. Every subclass becomes a dataclass.

    Their names and arguments are those of Keras 3's classes, or optax' where Keras has none.

    Raises:
        ArgumentError: an argument is not known; for those that only Keras has, the error says what to do instead.
    """

    fn: Function = dataclasses.field(default=_values_of, init=False, compare=False)
    of: Any = dataclasses.field(default=None, init=False)
    targets: Literal["same", "labels", "free"] = dataclasses.field(default="same", init=False)
    link: Literal["softmax", "sigmoid"] | None = dataclasses.field(default=None, init=False)
    mixes_rows: bool = dataclasses.field(default=False, init=False)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, repr=False)(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A loss whose arguments are known; the class itself says it better than Python would."""
        check_known(cls.__name__, [f.name for f in dataclasses.fields(cls) if f.init], kwargs, ABSENT)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", snake(type(self).__name__) if self.name is None else self.name)
        super().__post_init__()
        self.check()

    def check(self) -> None:
        """Checks the options.

        Raises:
            ArgumentError: one has a value that it cannot have.
        """


def snake(name: str) -> str:
    """A class's name as Keras and optax write the function's.

    >>> snake("KLDivergence"), snake("BinaryCrossentropy")
    ('kl_divergence', 'binary_crossentropy')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def elementwise(function: Callable[[Array, Array], Array], targets: Array, outputs: Array) -> Array:
    """The mean over the last axis of `function(outputs, targets)`, the order of optax, in the outputs' dtype."""
    return mean_last(function(outputs, targets.astype(outputs.dtype)))


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
