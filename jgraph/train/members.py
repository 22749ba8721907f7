"""The members of several runs that train as one: their seeds and learning rates, and callbacks of their own."""

import dataclasses
import itertools
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import ArgumentError
from jgraph.train.actions import number_of
from jgraph.train.callback import Callback
from jgraph.train.hooks import has_hook
from jgraph.train.learning_rate import KNOW_THE_RATE
from jgraph.train.plan import check_seed
from jgraph.train.start import cast_of
from jgraph.train.state import TrainState
from jgraph.train.step import Step


class Member(NamedTuple):
    """One of several runs: its number, counted from 0, its seed, and its learning rate, where it has one of its own."""

    number: int
    seed: int
    rate: float | None = None

    def __str__(self) -> str:
        return f"member {self.number} (seed {self.seed}" + (")" if self.rate is None else f", rate {self.rate:g})")


def members_of(seeds: Any, learning_rate: Any) -> list[Member]:
    """The members by seed and learning rate; one seed, or one rate, is that of all.

    Raises:
        ArgumentError: there are none, as many seeds as rates are not given, or one has no meaning.

    >>> [str(member) for member in members_of(2, None)]
    ['member 0 (seed 0)', 'member 1 (seed 1)']
    >>> [str(member) for member in members_of([7], [0.1, 0.01])]
    ['member 0 (seed 7, rate 0.1)', 'member 1 (seed 7, rate 0.01)']
    """
    whole = isinstance(seeds, int | np.integer) and not isinstance(seeds, bool)
    seeds, rates = (list(range(seeds)) if whole else _listed("seeds", seeds)), [None]
    if learning_rate is not None:
        one = math.isfinite(number_of(learning_rate))
        rates = [learning_rate] if one else _listed("learning_rate", learning_rate)
    for seed in seeds:
        check_seed("fit_many, seeds", seed)
    for rate in rates:
        if rate is not None and not 0 <= number_of(rate) < math.inf:
            raise ArgumentError(
                "fit_many, learning_rate",
                expected="finite numbers of at least 0",
                got=repr(rate),
                cure="Write learning_rate=[1e-2, 1e-3], one for each seed.",
            )
    count = max(len(seeds), len(rates))
    if not seeds or not rates or {len(seeds), len(rates)} - {1, count}:
        raise ArgumentError(
            "fit_many, seeds",
            expected="one seed for each member, and one learning rate for each, or for all",
            got=f"{len(seeds)} seeds" + ("" if learning_rate is None else f" and {len(rates)} rates"),
            cure="Write seeds=8 for eight of them, or seeds=[0], learning_rate=[1e-2, 1e-3] for a sweep.",
        )
    pairs = itertools.islice(zip(itertools.cycle(seeds), itertools.cycle(rates), strict=False), count)
    return [Member(n, int(s), None if r is None else number_of(r)) for n, (s, r) in enumerate(pairs)]


def _listed(argument: str, given: Any) -> list[Any]:
    if not isinstance(given, list | tuple | range | np.ndarray | jax.Array):
        raise ArgumentError(
            f"fit_many, {argument}",
            expected="a list" + (", or how many" if argument == "seeds" else ", or one number"),
            got=repr(given)[:80],
            cure="Write seeds=8, or seeds=[0, 1, 2]." if argument == "seeds" else "Write learning_rate=[1e-2, 1e-3].",
        )
    return list(given)


def at_rate(member: Member, train_state: TrainState, step: Step) -> TrainState:
    """A train state before its first step, with the learning rate of its member; a schedule is scaled as a whole.

    Raises:
        ArgumentError: the trainer does not know its rate, or it is 0 there.
    """
    if member.rate is None:
        return train_state
    base = 0.0 if step.rate is None else float(step.rate(train_state.step))
    if not base:
        unknown = step.rate is None
        raise ArgumentError(
            "fit_many, learning_rate",
            expected="a trainer that knows its learning rate, which is not 0 at the first step",
            got="an optimizer that was made with its rate inside" if unknown else "a rate that begins at 0",
            cure=KNOW_THE_RATE if unknown else "Let the trainer's rate begin above 0.",
        )
    scale = member.rate / base
    return train_state.replace(lr_scale=jnp.asarray(scale, train_state.lr_scale.dtype))


def callbacks_of(member: Member, callbacks: Any) -> list[Callback]:
    """The callbacks of one member, who writes to places of its own.

    A directory has one more below it, `runs/qa/member_0`, and a file another name, `log_member_0.csv`.

    Raises:
        ArgumentError: something is no callback; one acts at steps; or its places are not among its fields.
    """
    for name, callback in cast_of(callbacks).items():
        steps = [hook for hook in ("on_step_begin", "on_step_end") if has_hook(callback, hook)]
        if steps and (callback.due_from(1) is not None or callback.glances()):
            raise ArgumentError(
                f"fit_many, callback {name!r}",
                expected="callbacks that look at epochs, as members are apart from each other at their ends alone",
                got=f"one with {steps[0]}",
                cure="Leave it out, or switch off what it does at steps or by the clock; or use fit.",
            )
        if callback.locates():
            raise ArgumentError(
                f"fit_many, callback {name!r}",
                expected="callbacks that do not replay steps, as those of members are one program",
                got=repr(callback),
                cure="Leave locate out, and look at the member that stops with fit and its seed.",
            )
    return [_moved(member.number, callback) for callback in callbacks]


def _moved(number: int, callback: Callback) -> Callback:
    """A callback with another place for each one that it writes."""
    places, moved = set(callback.places()), {}
    for field in dataclasses.fields(callback):
        value = getattr(callback, field.name)
        if isinstance(value, str | os.PathLike) and os.fspath(value) in places:
            path, name = Path(value), f"member_{number}"
            own = path / name if field.name == "directory" else path.with_name(f"{path.stem}_{name}{path.suffix}")
            moved[field.name] = str(own)
    own = dataclasses.replace(callback, **moved) if moved else callback
    if kept := places & set(own.places()):
        raise ArgumentError(
            f"fit_many, {type(callback).__name__}",
            expected="a place for each member, as a path that is a field can be changed",
            got=f"{min(kept)!r} for all of them",
            cure="Give the callback a field with the path, called `directory` where it is one.",
        )
    return own
