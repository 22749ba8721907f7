"""The members of several runs: seeds and rates that go together, and callbacks that write to places of their own."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks.csv_logger import CSVLogger
from jgraph.errors import ArgumentError
from jgraph.train.members import Member, at_rate, callbacks_of, members_of

K = jg.callbacks


@pytest.mark.parametrize(
    ("seeds", "rates", "expected"),
    [
        (3, None, [(0, 0, None), (1, 1, None), (2, 2, None)]),
        ([5, 2], None, [(0, 5, None), (1, 2, None)]),
        (range(4, 6), 0.1, [(0, 4, 0.1), (1, 5, 0.1)]),
        (2, [0.1, 0.2], [(0, 0, 0.1), (1, 1, 0.2)]),
        ([7], [0.1, 0.2], [(0, 7, 0.1), (1, 7, 0.2)]),
        (1, (0.1, 0.2), [(0, 0, 0.1), (1, 0, 0.2)]),
        (np.array([3, 3]), np.array([0.5, 0.25]), [(0, 3, 0.5), (1, 3, 0.25)]),
        ([1], None, [(0, 1, None)]),
    ],
)
def test_seeds_and_rates_make_members(seeds: Any, rates: Any, expected: list[tuple]) -> None:
    assert members_of(seeds, rates) == [Member(*member) for member in expected]


@pytest.mark.parametrize(
    ("seeds", "rates", "text"),
    [
        (0, None, "fit_many, seeds: .*got 0 seeds"),
        ([], None, "got 0 seeds"),
        (-1, None, "got 0 seeds"),
        ([1, 2, 3], [0.1, 0.2], "got 3 seeds and 2 rates"),
        ([1, 2], [], "got 2 seeds and 0 rates"),
        (2.5, None, r"fit_many, seeds: expected a list, or how many, got 2.5. Write seeds=8"),
        (True, None, "got True"),
        ("12", None, "got '12'"),
        ([0.5], None, r"fit_many, seeds: expected an integer from 0 to 4294967295, got 0.5"),
        ([2**32], None, "from 0 to 4294967295"),
        (2, "0.1", "fit_many, learning_rate: expected a list, or one number"),
        (2, [0.1, -0.1], "fit_many, learning_rate: expected finite numbers of at least 0, got -0.1"),
        (2, [0.1, float("nan")], "got nan"),
        (2, optax.constant_schedule(0.1), "expected a list, or one number"),
    ],
)
def test_what_makes_no_members(seeds: Any, rates: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        members_of(seeds, rates)


def trainer(**options: Any) -> jg.Trainer:
    options = {"optimizer": optax.sgd, "learning_rate": 0.1, **options}
    return jg.Trainer(jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)]), loss="mse", **options)


@pytest.mark.parametrize("rate", [0.1, 0.3, 1e-3, 0.0])
@pytest.mark.parametrize("base", [0.1, optax.linear_schedule(0.2, 0.0, 10)], ids=["number", "schedule"])
def test_a_member_begins_at_its_rate(base: Any, rate: float) -> None:
    of = trainer(learning_rate=base)
    state = at_rate(Member(0, 0, rate), of.init(jax.random.key(0)), of.step_function)
    np.testing.assert_allclose(float(of.learning_rate_of(state)), rate, rtol=1e-6)
    half = float(of.learning_rate_of(state.replace(step=state.step + 5)))
    np.testing.assert_allclose(half, rate if base == 0.1 else rate / 2, rtol=1e-6)


def test_a_rate_needs_a_trainer_that_knows_its_own() -> None:
    blind = trainer(optimizer=optax.sgd(0.1), learning_rate=None)
    state = blind.init(jax.random.key(0))
    assert at_rate(Member(0, 0), state, blind.step_function) is state
    with pytest.raises(
        ArgumentError, match=r"made with its rate inside. Write jg.Trainer\(model, optax.adam, learning_"
    ):
        at_rate(Member(0, 0, 0.1), state, blind.step_function)
    warming = trainer(learning_rate=optax.linear_schedule(0.0, 0.1, 10))
    with pytest.raises(ArgumentError, match="got a rate that begins at 0"):
        at_rate(Member(0, 0, 0.1), warming.init(jax.random.key(0)), warming.step_function)


def test_each_member_writes_to_places_of_its_own(tmp_path: Path) -> None:
    given = [
        K.Checkpoint(tmp_path / "run", max_to_keep=2, name="saved"),
        CSVLogger(str(tmp_path / "log.csv"), separator=";"),
        K.TensorBoard("board"),
        K.EarlyStopping(),
    ]
    saved, logged, drawn, stopping = callbacks_of(Member(3, 0), given)
    assert isinstance(saved, K.Checkpoint)
    assert isinstance(logged, CSVLogger)
    assert (saved.directory, saved.max_to_keep, saved.name) == (str(tmp_path / "run" / "member_3"), 2, "saved")
    assert (logged.path, logged.separator) == (str(tmp_path / "log_member_3.csv"), ";")
    assert drawn.places() == (str(Path("board", "member_3")),)
    assert stopping is given[3], "who writes nothing stays who he is"


class Diary(K.Callback):
    """Writes to a place that is not among its fields."""

    folder: tuple[str, ...] = ("diary",)

    def places(self) -> tuple[str, ...]:
        return self.folder


@pytest.mark.parametrize(
    ("callback", "text"),
    [
        (K.on_step_end(print, every_steps=5), "callback 'on_step_end': .*got one with on_step_end"),
        (K.on_step_begin(print), "got one with on_step_begin. Leave it out"),
        (K.Checkpoint("run", every_steps=5), "callback 'checkpoint'"),
        (K.Checkpoint("run", every_minutes=5), "by the clock"),
        (K.TensorBoard("run", every_steps=5), "callback 'tensor_board'"),
        (K.ProgressBar(), "callback 'progress_bar'"),
        (Diary(), "Diary: expected a place for each member.*'diary' for all of them"),
        (print, "Wrap a function"),
    ],
)
def test_callbacks_that_do_not_go_with_members(callback: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        callbacks_of(Member(0, 0), [callback])
