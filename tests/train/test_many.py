"""Members that train as one equal their solo runs, stop on their own, and are ordinary runs."""

import dataclasses
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import CallbackError, DataError, MonitorError

K = jg.callbacks
RATES, SEEDS = [1e-2, 3e-2, 1e-1], [0, 3, 5]


def plain(x: Any) -> Any:
    return jg.layers.Dense(16, activation="relu")(x)


def normed(x: Any) -> Any:
    return jg.layers.Dropout(0.3)(jg.layers.BatchNormalization()(x))


def recurrent(x: Any) -> Any:
    return jg.layers.LSTM(5)(jg.layers.Reshape((3, 2))(x))


def convolved(x: Any) -> Any:
    return jg.layers.Flatten()(jg.layers.Conv2D(4, 2, activation="relu")(jg.layers.Reshape((2, 3, 1))(x)))


def model_of(hidden: Any = plain) -> jg.Model:
    x = jg.Input((6,), name="x")
    return jg.Model(x, jg.layers.Dense(3, activation="softmax")(hidden(x)))


def trainer_of(model: Any, rate: Any = 1e-2, optimizer: Any = optax.adam) -> jg.Trainer:
    options: Any = {"loss": "sparse_categorical_crossentropy", "metrics": "accuracy"}
    return jg.Trainer(model, optimizer, learning_rate=rate, **options)


def data(rows: int = 150) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 6)).astype("float32")
    return x, (x @ random.normal(size=(6, 3)) + random.normal(size=(rows, 3))).argmax(-1)


def bits(tree: Any) -> list[bytes]:
    leaves = jax.tree.leaves(tree)
    return [
        np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x).tobytes()
        for x in leaves
    ]


def watchers() -> list[Any]:
    return [K.EarlyStopping(patience=2, restore_best=True), K.ReduceLROnPlateau(patience=1, factor=0.5)]


OPTIONS: dict[str, Any] = {"batch_size": 16, "validation_split": 0.2, "progress": False}
"""The same wherever it does not matter, as are three members: else each test would compile its own programs."""

MODEL = model_of()
TRAINER = trainer_of(MODEL)


# As their solo runs


@pytest.mark.parametrize("hidden", [plain, normed, recurrent, convolved])
def test_members_equal_their_solo_runs(hidden: Any) -> None:
    """150 rows, 120 to train on: the last batch of 16 is ragged, and has a program of its own where rows mix."""
    trainer, first = TRAINER if hidden is plain else trainer_of(model_of(hidden)), 3
    options: dict[str, Any] = {"epochs": 12, **OPTIONS}
    runs = trainer.fit_many(data(), seeds=SEEDS, learning_rate=RATES, callbacks=watchers(), **options)
    assert len({len(run.history["loss"]) for run in runs}) > 1, "they stop in different epochs"
    for run, seed, rate in zip(runs, SEEDS, RATES, strict=True):
        solo = trainer.fit(
            data(),
            seed=seed,
            callbacks=watchers(),
            train_state=trainer.init(jax.random.key(seed)).replace(lr_scale=np.float32(rate / 1e-2)),
            **options,
        )
        assert list(run.history) == list(solo.history)
        for name, values in solo.history.items():
            np.testing.assert_allclose(run.history[name][:first], values[:first], rtol=1e-5, atol=1e-5)
        assert (run.stopped, run.position, run.seed) == (solo.stopped, solo.position, seed)
        assert len(run.history["loss"]) == len(solo.history["loss"])
        assert int(run.train_state.step) == int(solo.train_state.step)
        for mine, theirs in zip(
            jax.tree.leaves(run.train_state.params), jax.tree.leaves(solo.train_state.params), strict=True
        ):
            np.testing.assert_allclose(mine, theirs, atol=1e-3)


def test_rates_are_those_of_trainers_of_their_own() -> None:
    runs = TRAINER.fit_many(data(), epochs=2, seeds=[4], learning_rate=RATES, **OPTIONS)
    for run, rate in list(zip(runs, RATES, strict=True))[1:2]:
        solo = trainer_of(MODEL, rate).fit(data(), epochs=2, seed=4, **OPTIONS)
        for name, values in solo.history.items():
            np.testing.assert_allclose(run.history[name], values, rtol=1e-5)
    assert len({run.history["loss"][1] for run in runs}) == 3


def test_a_schedule_is_scaled_as_a_whole() -> None:
    trainer = trainer_of(MODEL, optax.linear_schedule(1e-2, 0.0, 20), optax.sgd)
    runs = trainer.fit_many(data(80), epochs=2, seeds=2, learning_rate=[1e-2, 4e-2], batch_size=8, progress=False)
    rates = [run.history["learning_rate"] for run in runs]
    np.testing.assert_allclose(rates[1], 4 * np.array(rates[0]), rtol=1e-6)
    np.testing.assert_allclose(rates[0], [1e-2 * (1 - 9 / 20), 1e-2 * (1 - 19 / 20)], rtol=1e-5)


def test_without_shuffling_and_with_fewer_steps() -> None:
    options: dict[str, Any] = {"epochs": 2, "shuffle": False, "steps_per_epoch": 3, **OPTIONS}
    runs = TRAINER.fit_many(data(), seeds=3, **options)
    for seed, run in enumerate(runs):
        solo = TRAINER.fit(data(), seed=seed, **options)
        assert int(run.train_state.step) == 6
        np.testing.assert_allclose(run.history["loss"], solo.history["loss"], rtol=1e-5)


# On their own


def test_a_member_that_has_stopped_is_kept_as_it_is() -> None:
    """At each epoch's end the states are looked at; the one that stops keeps the bits that it had there."""
    seen: dict[int, list[tuple[int, list[bytes]]]] = {0: [], 1: [], 2: []}

    def look(event: Any) -> list[Any]:
        seen[event.member].append((event.epoch, bits(event.train_state)))
        return [K.Stop("enough")] if event.epoch == event.member else []

    runs = TRAINER.fit_many(data(), epochs=4, seeds=3, callbacks=[K.on_epoch_end(look)], **OPTIONS)
    assert [[epoch for epoch, _ in own] for own in seen.values()] == [[0], [0, 1], [0, 1, 2]]
    for run, own in zip(runs, seen.values(), strict=True):
        assert run.stopped == "enough"
        assert bits(run.train_state) == own[-1][1]
        assert all(len(values) == len(own) for values in run.history.values())


def test_a_loss_that_is_not_finite_stops_its_member_alone() -> None:
    trainer = trainer_of(MODEL, 1e-2, optax.sgd)
    runs = trainer.fit_many(data(), epochs=3, seeds=2, learning_rate=[1e-2, 1e30], batch_size=16, progress=False)
    solo = trainer.fit_many(data(), epochs=3, seeds=[1], learning_rate=1e30, batch_size=16, progress=False)[0]
    assert runs[0].stopped is None
    assert runs[0].position == (3, 0)
    assert (runs[1].stopped or "").startswith("not finite at step ")
    assert (runs[1].stopped, runs[1].position) == (solo.stopped, solo.position)
    assert runs[1].position.step == int(runs[1].train_state.step) > 0, "in the midst of the epoch"
    assert runs[1].history == {}


def test_each_member_is_an_ordinary_run() -> None:
    options: dict[str, Any] = {"callbacks": watchers()[1:], **OPTIONS}
    runs, whole = (
        TRAINER.fit_many(data(), epochs=epochs, seeds=SEEDS, learning_rate=RATES, **options) for epochs in (2, 4)
    )
    more = TRAINER.fit(data(), epochs=4, run=runs[1], seed=SEEDS[1], **options)
    assert more.history["learning_rate"] == whole[1].history["learning_rate"]
    np.testing.assert_allclose(more.history["val_loss"], whole[1].history["val_loss"], rtol=1e-5)
    assert sorted(TRAINER.evaluate(runs[0].train_state, data())) == ["accuracy", "loss"]
    assert TRAINER.predict(runs[0].train_state, data()[0]).shape == (150, 3)


def test_one_program_for_training_and_one_for_measuring() -> None:
    trainer = trainer_of(MODEL)
    for expected in (
        ["train members: a loop of steps of 16 rows", "evaluate members: a loop of batches of 16 rows"],
        [],
    ):
        for run in trainer.fit_many(data(), epochs=2, seeds=3, **OPTIONS):
            assert [t.removeprefix("compiled ") for t in run.events if t.startswith("compiled")] == expected


def test_checkpoints_and_logs_of_each_member(tmp_path: Path) -> None:
    def callbacks(member: str = "") -> list[Any]:
        log = tmp_path / ("log" + member.replace("/", "_") + ".csv")
        return [K.Checkpoint(f"{tmp_path}/runs{member}", monitor="val_loss"), K.CSVLogger(log)]

    runs = TRAINER.fit_many(data(), epochs=2, seeds=[5, 6, 7], callbacks=callbacks(), **OPTIONS)
    for number, run in enumerate(runs):
        rows = (tmp_path / f"log_member_{number}.csv").read_text().splitlines()
        assert len(rows) == 3
        assert rows[2].split(",")[1] == repr(run.history["loss"][1])
        _, params, _ = jg.load(tmp_path / "runs" / f"member_{number}", step="latest")
        assert bits(params) == bits(run.train_state.params)
    again = TRAINER.fit(
        data(), epochs=3, seed=6, resume=tmp_path / "runs/member_1", callbacks=callbacks("/member_1"), **OPTIONS
    )
    assert again.history["loss"][:2] == runs[1].history["loss"]
    assert len(again.history["loss"]) == 3


# What is said, and what goes wrong


def test_progress_is_one_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    def enough(event: Any) -> list[Any]:
        return [K.Stop("enough")] if event.member == 1 else []

    TRAINER.fit_many(data(), epochs=2, seeds=3, callbacks=[K.on_epoch_end(enough)], **{**OPTIONS, "progress": True})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2   ")
    assert "   3 of 3 members   loss 0." in first
    assert "   2 of 3 members   " in second


def test_ctrl_c_interrupts_all_of_them_and_they_go_on() -> None:
    def press(event: Any) -> None:
        if event.epoch == 1 and event.member == 0:
            signal.raise_signal(signal.SIGINT)

    callbacks = [K.on_epoch_begin(press)]
    before = signal.getsignal(signal.SIGINT)
    runs = TRAINER.fit_many(data(2000), epochs=3, seeds=2, batch_size=4, callbacks=callbacks, progress=False)
    assert signal.getsignal(signal.SIGINT) is before
    assert [run.stopped for run in runs] == ["interrupted"] * 2
    assert {run.position.epoch for run in runs} == {1}
    assert 0 < runs[0].position.step == runs[1].position.step < 500
    options: dict[str, Any] = {"epochs": 3, "batch_size": 4, "progress": False}
    more = TRAINER.fit(data(2000), run=runs[1], seed=1, **options)
    whole = TRAINER.fit(data(2000), seed=1, **options)
    np.testing.assert_allclose(more.history["loss"], whole.history["loss"], rtol=1e-4)
    assert more.position == whole.position


def test_an_error_carries_the_runs_and_says_whose_it_is() -> None:
    def fail(event: Any) -> None:
        if (event.epoch, event.member) == (1, 1):
            raise RuntimeError("no")

    with pytest.raises(CallbackError, match="RuntimeError: no") as caught:
        TRAINER.fit_many(data(), epochs=3, seeds=[8, 9, 7], callbacks=[K.on_epoch_end(fail)], **OPTIONS)
    assert caught.value.__notes__ == ["In member 1, of seed 9."]
    runs = caught.value.__dict__["runs"]
    assert [len(run.history["loss"]) for run in runs] == [2, 1, 1], "the first has ended its epoch"
    assert caught.value.__dict__["run"] is runs[0]
    assert all(np.isfinite(leaf).all() for run in runs for leaf in jax.tree.leaves(run.train_state.params))


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"data": [data(), data()]}, DataError, r"fit_many: expected a tuple of arrays.*got an iterable of batches"),
        ({"validation_data": [data()]}, DataError, r"fit_many, validation_data: expected a tuple of arrays"),
        ({"callbacks": [K.EarlyStopping()]}, MonitorError, "Give fit validation_data"),
        ({"seeds": 2, "learning_rate": [0.1] * 3}, ValueError, "got 2 seeds and 3 rates"),
        ({"epochs": -1}, ValueError, "epochs: expected an integer of at least 0"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"data": (data()[0], data()[1] + 5)}, DataError, "labels of"),
        ({"callbacks": [K.on_step_end(print)]}, ValueError, "callbacks that look at epochs"),
    ],
)
def test_wrong_uses(change: dict[str, Any], kind: type[Exception], text: str) -> None:
    given = {"data": data(), "epochs": 2, "seeds": 2, "batch_size": 16, "progress": False, **change}
    with pytest.raises(kind, match=text):
        TRAINER.fit_many(given.pop("data"), **given)


def test_a_trainer_that_does_not_know_its_rate() -> None:
    blind = dataclasses.replace(TRAINER, optimizer=optax.adam(1e-2), learning_rate=None)
    with pytest.raises(ValueError, match=r"fit_many, learning_rate: .*made with its rate inside"):
        blind.fit_many(data(), epochs=1, seeds=2, learning_rate=[0.1, 0.2], progress=False)
    runs = blind.fit_many(data(), epochs=1, seeds=2, progress=False)
    assert len(runs) == 2
    assert runs[0].history["loss"] != runs[1].history["loss"]


def test_an_error_reaches_the_callbacks_of_every_member(tmp_path: Path) -> None:
    trainer = jg.Trainer(jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)]), optax.sgd, learning_rate=0.1, loss="mse")

    def fails(event: Any) -> None:
        if event.member == 1:
            raise RuntimeError("broken")

    callbacks = [jg.callbacks.Checkpoint(tmp_path, on_error=True), jg.callbacks.on_epoch_end(fails)]
    with pytest.raises(jg.errors.CallbackError, match="broken"):
        trainer.fit_many(
            (np.ones((8, 2)), np.ones((8, 1))), epochs=2, seeds=2, batch_size=4, callbacks=callbacks, progress=False
        )
    assert all(any(file.name.isdecimal() for file in (tmp_path / f"member_{n}").iterdir()) for n in range(2))
