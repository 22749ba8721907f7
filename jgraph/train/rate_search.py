"""The learning-rate range test: the rate grows from step to step, and where the loss falls fastest is a good one."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.draw.search import draw_search
from jgraph.errors import ArgumentError
from jgraph.train.actions import number_of
from jgraph.train.batches import Binding
from jgraph.train.learning_rate import KNOW_THE_RATE
from jgraph.train.plan import Plan, check_batch_size, check_integer, check_seed
from jgraph.train.programs import Programs, one_at_a_time
from jgraph.train.source import Source, read_logs
from jgraph.train.sources import source_of
from jgraph.train.state import TrainState, check_train_state, check_trainer, fresh_copy

SMOOTHING = 0.9
"""The momentum of the smoothed loss. The 0.98 of fastai and Lightning lags 50 steps behind, half of the test."""

DIVERGED = 4.0
"""The test ends where the smoothed loss is so many times its best, as in fastai and Lightning."""

EDGES = 0.1, 0.02
"""The parts of the test at its beginning and its end that suggest nothing: there the smoothed loss means little."""


@dataclasses.dataclass(frozen=True)
class RateSearch:
    """What a range test found: rates, the loss of each step, the smoothed losses, and the rate that they suggest.

    `smoothed` are moving means with the momentum 0.9, corrected for their beginning, taken forward and then backward,
    so that they do not lag behind. `suggestion` is where they fall fastest over the logarithm of the rate; `None` where
    they never fall.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None

    def plot(self, path: str | os.PathLike[str], *, title: str = "") -> None:
        """Draws losses over rates, with the suggestion, as a picture (PNG, SVG or PDF by the suffix).

        Raises:
            ArgumentError: another suffix, or matplotlib is not installed. WriteError: the file cannot be written.
        """
        draw_search(path, self.rates, self.losses, self.smoothed, self.suggestion, title=title)

    def __repr__(self) -> str:
        found = "none" if self.suggestion is None else f"{self.suggestion:.3g}"
        return f"RateSearch({len(self.rates)} steps, {self.rates[0]:.3g} to {self.rates[-1]:.3g}, suggestion {found})"


def find_learning_rate(
    trainer: Any,
    data: Any,
    *,
    least: float = 1e-7,
    most: float = 1.0,
    steps: int = 100,
    batch_size: int = 32,
    seed: int = 0,
    train_state: TrainState | None = None,
) -> RateSearch:
    """Trains `steps` steps with a rate that grows from `least` to `most`, and suggests one (Smith 2017).

    `rate_i = least * (most / least) ** (i / (steps - 1))`; the loss of a step is that before its update. It ends early
    where the smoothed loss is four times its best, or a loss is not finite. It begins as `fit` would with this seed, or
    from a train state, of which it trains a copy: nothing is changed, and nothing remembered. The trainer has to know
    its learning rate, whatever that is; a schedule may not be at 0.

    Raises:
        ArgumentError: an argument has a value that it cannot have, or the trainer does not know its rate. As `fit`, for
            the data.

    >>> import jgraph as jg, numpy as np, optax
    >>> model = jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)])
    >>> trainer = jg.Trainer(model, optax.sgd, loss="mse", learning_rate=0.1)
    >>> found = jg.find_learning_rate(trainer, (np.ones((64, 2)), np.full(64, 5.0)), least=1e-4, steps=50)
    >>> 1e-3 < found.suggestion < 1.0
    True
    """
    check_trainer("find_learning_rate", trainer)
    least, most = _check(least, most, steps)
    check_batch_size("find_learning_rate", batch_size)
    check_seed("find_learning_rate, seed", seed)
    programs = trainer.programs
    if programs.step.rate is None:
        got = "an optimizer that was made with its rate inside"
        expected = "a trainer that knows its learning rate"
        raise ArgumentError("find_learning_rate", expected=expected, got=got, cure=KNOW_THE_RATE)
    if train_state is not None:
        check_train_state("find_learning_rate", train_state, trainer.template)
    start = fresh_copy(train_state or trainer.init(jax.random.key(seed)))
    binding = Binding(trainer.model, trainer.objective)
    source = source_of(binding, programs, data, "find_learning_rate", 1).place(start)
    plan = Plan(1, batch_size, seed, True, None, False)
    return searched(programs, start, endless(source, plan), rates_between(least, most, steps))


def rates_between(least: float, most: float, steps: int) -> list[float]:
    """Rates that grow by one factor from step to step.

    >>> [round(rate, 6) for rate in rates_between(0.001, 0.1, 3)]
    [0.001, 0.01, 0.1]
    """
    return [least * (most / least) ** (step / (steps - 1)) for step in range(steps)]


def searched(programs: Programs, train_state: TrainState, batches: Iterator[tuple], rates: list[float]) -> RateSearch:
    """Trains a step at each rate, until the loss diverges. The train state is given up: its buffers are donated."""
    step, losses, loss = programs.step, list[float](), math.nan
    for rate in rates:
        scale = rate / _base(step, train_state)
        train_state = train_state.replace(lr_scale=jnp.asarray(scale, train_state.lr_scale.dtype))
        train_state, sums = programs.one(train_state, step.init(), *next(batches))
        taken, refused = np.asarray(sums)
        loss = read_logs(step.objective, refused if refused[-1] else taken)["loss"]
        if not math.isfinite(loss):
            break
        losses.append(loss)
        so_far = moving_means(losses)
        if so_far[-1] > DIVERGED * min(so_far) > 0:
            break
    if not losses:
        cure = "Look at the data and the start values; jg.debug.locate_nan finds the node."
        raise ArgumentError("find_learning_rate", expected="a finite loss at the first step", got=f"{loss}", cure=cure)
    known, smoothed = rates[: len(losses)], moving_means(moving_means(losses)[::-1])[::-1]
    return RateSearch(tuple(known), tuple(losses), tuple(smoothed), steepest(known, smoothed, len(rates)))


def moving_means(values: list[float]) -> list[float]:
    """`m_i = 0.9 * m_(i-1) + 0.1 * v_i`, divided by `1 - 0.9^i`, so that the first ones are no smaller.

    >>> [round(mean, 6) for mean in moving_means([1.0, 1.0, 1.0])]
    [1.0, 1.0, 1.0]
    """
    means, mean = list[float](), 0.0
    for count, value in enumerate(values, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        means.append(mean / (1 - SMOOTHING**count))
    return means


def steepest(rates: list[float], losses: list[float], steps: int) -> float | None:
    """The rate at which a loss falls fastest over the logarithm of the rate, the edges left out; `None` if nowhere.

    >>> steepest([0.001, 0.01, 0.1, 1.0], [2.0, 1.9, 1.0, 0.9], 4)
    0.01
    """
    first, last = int(EDGES[0] * steps), len(losses) - int(EDGES[1] * steps)
    if last - first < 2:
        return None
    slopes = np.gradient(np.asarray(losses[first:last]), np.log(rates[first:last]))
    place = int(slopes.argmin())
    return float(rates[first + place]) if slopes[place] < 0 else None


def _base(step: Any, train_state: TrainState) -> float:
    """The trainer's own rate of the next step, before it is scaled."""
    base = float(step.rate(train_state.step))
    if not base:
        raise ArgumentError(
            "find_learning_rate",
            expected="a learning rate above 0 at each step",
            got=f"a schedule that is at 0 at step {int(train_state.step)}",
            cure="Search with a number as the trainer's learning_rate.",
        )
    return base


def _check(least: Any, most: Any, steps: Any) -> tuple[float, float]:
    check_integer("find_learning_rate, steps", steps, 10)
    low, high = number_of(least), number_of(most)
    if not 0 < low < high < math.inf:
        raise ArgumentError(
            "find_learning_rate, least",
            expected="numbers with 0 < least < most",
            got=f"least={least!r}, most={most!r}",
            cure="Write least=1e-7, most=1.0, for example.",
        )
    return low, high


def endless(source: Source, plan: Plan, epoch: int = 0) -> Iterator[tuple]:
    """The batches of one epoch after the other, in their order, each with which of its rows are real."""
    first = epoch
    while True:
        with contextlib.closing(source.epoch(plan, epoch, 0, lambda: source.programs)) as feed:
            done = 0
            for batch in one_at_a_time(feed):
                yield batch
                done += 1
        source.check_given(done, None, again=epoch > first)
        epoch += 1
