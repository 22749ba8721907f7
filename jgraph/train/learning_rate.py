"""Whether multiplying an optimizer's updates is the same as multiplying its learning rate.

An optax optimizer is functions within functions: what `chain` and the other wrappers were given stands in the closures
of their `update`. They are read here, down to the single transformations. The two are the same where the rate is the
last factor, so where all that follows it is linear and remembers nothing. What cannot be read, or is not known, counts
as a place where the rate could be: whoever is refused without need can give the trainer the rate itself.
`tests/train/test_learning_rate.py` holds this against every optimizer of optax, by running it.
"""

import inspect
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import optax

KNOW_THE_RATE = "Write jg.Trainer(model, optax.adam, learning_rate=1e-3, ...): a factory, and the rate beside it."
"""The cure where the trainer has to know its learning rate."""

LINEAR = {
    "identity",
    "set_to_zero",
    "scale_by_param_block_norm",
    "scale_by_param_block_rms",
    "scale_by_shape",
    "centralize",
    "zero_nans",
    "snapshot",
    "monitor",
    "reduce_on_plateau",
}
"""Transformations that multiply updates by what does not depend on them, or pass them on."""

FREE_OF_RATE = {
    "trace",
    "ema",
    "add_decayed_weights",
    "clip",
    "clip_by_global_norm",
    "clip_by_block_rms",
    "adaptive_grad_clip",
    "add_noise",
    "apply_every",
    "normalize_by_update_norm",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_adan",
    "scale_by_amsgrad",
    "scale_by_belief",
    "scale_by_distance_over_gradients",
    "scale_by_factored_rms",
    "scale_by_lbfgs",
    "scale_by_lion",
    "scale_by_novograd",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rss",
    "scale_by_sign",
    "scale_by_sm3",
    "scale_by_stddev",
    "scale_by_trust_ratio",
    "scale_by_yogi",
    "scale_by_acprop",
    "scale_by_ademamix",
    "scale_by_adopt",
    "scale_by_dog",
    "scale_by_dowg",
    "scale_by_muon",
    "scale_by_simplified_ademamix",
    "scale_by_sophia",
    "differentially_private_aggregate",
}
"""Transformations that no learning rate is given to."""

INNER = {
    "masked": "inner",
    "flatten": "inner",
    "apply_if_finite": "inner",
    "conditionally_mask": "inner",
    "conditionally_transform": "inner",
    "split_real_and_imaginary": "inner",
    "with_extra_args_support": "tx",
}
"""Wrappers that pass the updates of one optimizer on, or none: what they call it in their closure."""


SCALES = ("scale", "scale_by_schedule")
"""What a learning rate ends as."""


class Part(NamedTuple):
    """A transformation: `factor` is what it multiplies updates by, 1 where it is linear, `None` where it is neither."""

    name: str
    factor: float | None


def inexact(optimizer: optax.GradientTransformation) -> str | None:
    """What keeps a multiple of the updates from being the same as that multiple of the learning rate, by name.

    `None` where both are the same, as for sgd (with momentum too), adam, adamw, lamb and lion.

    >>> import optax
    >>> inexact(optax.adamw(1e-3)), inexact(optax.chain(optax.clip(1.0), optax.sgd(0.1, momentum=0.9)))
    (None, None)
    >>> inexact(optax.rmsprop(1e-3, momentum=0.9)), inexact(optax.contrib.schedule_free_sgd(0.1))
    ('trace behind the learning rate', 'schedule_free')
    """
    try:
        found = [_obstacle(path) for path in _inside(optimizer)]
    except (AttributeError, KeyError, TypeError, ValueError):  # another optax, which names its parts otherwise
        return f"{type(optimizer).__name__}, which cannot be read"
    return next((name for name in found if name is not None), None)


def _obstacle(path: list[Part]) -> str | None:
    """What stands in the way along a chain of transformations."""
    tail = list(itertools.takewhile(lambda part: part.factor is not None, reversed(path)))
    front, factor = path[: len(path) - len(tail)], math.prod(part.factor or 0.0 for part in tail)
    if not front or (factor < 0 and factor != -1):  # a descent at a rate; -1 may be a mere change of sign
        return None
    if any(part.name in SCALES for part in front):
        return f"{front[-1].name} behind the learning rate"
    return next((part.name for part in front if part.name not in FREE_OF_RATE | LINEAR), None)


def _inside(optimizer: Any) -> Iterator[list[Part]]:
    return _paths(optimizer.init, optimizer.update)


def _paths(init: Any, update: Any) -> Iterator[list[Part]]:
    """The transformations that updates pass through, in their order: one path for each group of parameters."""
    name, held = _read(update)
    if name == "chain":
        yield from _product(zip(_read(init)[1]["init_fns"], held["update_fns"], strict=True))
    elif name == "named_chain":
        yield from _product(transform for _, transform in held["transforms"])
    elif name == "partition":
        for transform in held["transforms"].values():
            yield from _inside(transform)
    elif name in INNER:
        yield from _inside(held[INNER[name]])
    elif name == "MultiSteps":
        yield from _inside(held["self"].inner_opt)
    elif name == "inject_hyperparams":
        yield from _inside(_injected(_read(init)[1]))
    else:
        yield [Part(name, _factor(name, held))]


def _product(transforms: Iterable[tuple[Any, Any]]) -> Iterator[list[Part]]:
    for paths in itertools.product(*(list(_paths(*transform)) for transform in transforms)):
        yield list(itertools.chain.from_iterable(paths))


def _read(function: Any) -> tuple[str, dict[str, Any]]:
    """The factory of optax that a function is from, and what the function holds; else its full name, and nothing."""
    function = inspect.unwrap(function)
    plain = getattr(function, "__func__", function)
    module, root = (
        getattr(plain, "__module__", None),
        getattr(plain, "__qualname__", type(plain).__name__).split(".")[0],
    )
    if not hasattr(plain, "__code__") or not str(module).startswith("optax."):
        return f"{module}.{root}", {}
    cells = (cell.cell_contents for cell in plain.__closure__ or ())
    return root, {
        "self": getattr(function, "__self__", None),
        **dict(zip(plain.__code__.co_freevars, cells, strict=True)),
    }


def _injected(held: dict[str, Any]) -> optax.GradientTransformation:
    """The optimizer that `inject_hyperparams` makes at the first step."""
    scheduled = {name: schedule(schedule.init()) for name, schedule in held["sched_hps"].items()}
    return held["inner_factory"](**held["other_hps"], **held["numeric_hps"], **scheduled)


def _factor(name: str, held: dict[str, Any]) -> float | None:
    if name == "scale":
        return float(held["step_size"])
    if name == "scale_by_schedule":  # never a mere change of sign, whatever its values
        values = (float(held["step_size_fn"](count)) for count in (0, 1, 10, 100, 1000))
        return math.copysign(2.0, next((value for value in values if value), 1.0))
    decay = held.get({"add_decayed_weights": "weight_decay", "trace": "decay"}.get(name, ""))
    idle = isinstance(decay, int | float) and decay == 0
    return 1.0 if name in LINEAR or idle else None
