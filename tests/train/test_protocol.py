"""The loop keeps the protocol: hooks in their order, events that carry everything, actions at their own step."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, CallbackError, MonitorError, NameClashError, ResumeError, WriteError
from jgraph.storage.steps import steps_in
from jgraph.train.state import fresh_copy

K = jg.callbacks
RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(12, 3)).astype("float32"), RANDOM.normal(size=12).astype("float32")


def trainer(optimizer: Any = optax.sgd, learning_rate: Any = 0.1, **options: Any) -> jg.Trainer:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, jg.layers.Dense(1, name="y")(x))
    if learning_rate is None:
        optimizer = optimizer(0.1)
    return jg.Trainer(model, optimizer, loss="mse", learning_rate=learning_rate, **options)


def fit(*callbacks: Any, own: jg.Trainer | None = None, **options: Any) -> jg.Run:
    options = {"epochs": 2, "batch_size": 4, "progress": False, "callbacks": callbacks, **options}
    return (own or trainer()).fit(options.pop("data", ROWS), **options)


def at_step(step: int, *actions: Any, name: str = "at_step") -> K.Callback:
    """Returns actions at the end of one step."""
    return K.on_step_end(lambda event: list(actions) if event.step == step else None, name=name)


def with_errors(kind: type[Exception], words: str, *callbacks: Any, **options: Any) -> Any:
    with pytest.raises(kind, match=words) as caught:
        fit(*callbacks, **options)
    assert hasattr(caught.value, "run")
    return caught.value


# Hooks

HOOKS = ("train_begin", "train_end", "epoch_begin", "epoch_end", "step_begin", "step_end", "exception")


def recorder(seen: list[Any], every_steps: int = 1) -> list[K.Callback]:
    def note(hook: str) -> Callable[[K.Event], None]:
        return lambda event: seen.append((hook, event.epoch, event.step, tuple(event.position)))

    return [
        getattr(K, f"on_{hook}")(note(hook), name=hook, **({"every_steps": every_steps} if "step" in hook else {}))
        for hook in HOOKS
    ]


def test_hooks_come_in_their_order() -> None:
    seen: list[Any] = []
    fit(*recorder(seen))
    steps = [
        [("step_begin", e, s, (e, s - 3 * e)), ("step_end", e, s + 1, (e, s + 1 - 3 * e))]
        for e in (0, 1)
        for s in range(3 * e, 3 * e + 3)
    ]
    flat = [event for pair in steps for event in pair]
    assert seen == [
        ("train_begin", 0, 0, (0, 0)),
        ("epoch_begin", 0, 0, (0, 0)),
        *flat[:6],
        ("epoch_end", 0, 3, (1, 0)),
        ("epoch_begin", 1, 3, (1, 0)),
        *flat[6:],
        ("epoch_end", 1, 6, (2, 0)),
        ("train_end", 1, 6, (2, 0)),
    ]


@pytest.mark.parametrize("every", [2, 4, 5, 100])
def test_step_hooks_come_at_multiples_counted_over_epochs(every: int) -> None:
    seen: list[Any] = []
    fit(*recorder(seen, every), epochs=3)
    assert [s for hook, _, s, _ in seen if hook == "step_end"] == list(range(every, 10, every))
    assert [s for hook, _, s, _ in seen if hook == "step_begin"] == list(range(0, 9, every))


def test_step_hooks_change_no_bit() -> None:
    runs = [fit(K.on_step_end(lambda event: None, every_steps=n), epochs=5) for n in (1, 2, 7, 1000)]
    for run in runs[1:]:
        assert run.history == runs[0].history
        assert jax.tree.all(jax.tree.map(jnp.array_equal, run.train_state.params, runs[0].train_state.params))


def test_an_event_carries_everything() -> None:
    events: list[K.Event] = []
    own, held = trainer(metrics="mae"), (ROWS[0][:5], ROWS[1][:5])
    fit(K.on_epoch_end(lambda event: events.append(event) if event.epoch == 1 else None), own=own, validation_data=held)
    event = events[0]
    assert (event.epoch, event.epochs, event.step, event.steps, event.position) == (1, 2, 6, 3, (2, 0))
    assert sorted(event.logs) == ["learning_rate", "loss", "mae", "val_loss", "val_mae"]
    assert event.history["loss"][-1] == event.logs["loss"]
    assert (event.model, event.trainer, event.stopped) == (own.model, own, None)
    assert event.validation_data is held
    assert set(event.timings) == {"seconds", "epoch_seconds", "steps_per_second"}
    assert event.learning_rate == pytest.approx(0.1)
    assert event.directions == {"loss": "min", "mae": "min", "val_loss": "min", "val_mae": "min"}


def test_split_validation_data_are_as_users_give_them() -> None:
    own, seen = trainer(), []
    fit(K.on_train_begin(lambda event: seen.append(event.validation_data)), own=own, validation_split=0.25)
    (inputs, targets), state = seen[0], own.init(jax.random.key(0))
    np.testing.assert_array_equal(inputs, ROWS[0][9:])
    assert own.evaluate(state, (inputs, targets)) == own.evaluate(state, (ROWS[0][9:], ROWS[1][9:]))


def test_logs_at_a_step_are_means_over_the_epoch_so_far() -> None:
    seen: dict[int, float] = {}
    run = fit(K.on_step_end(lambda event: seen.update({event.step: event.logs["loss"]})))
    assert [seen[3], seen[6]] == run.history["loss"]
    own = trainer()
    first = own.fit(ROWS, epochs=1, batch_size=4, steps_per_epoch=1, progress=False)
    assert seen[1] == first.history["loss"][0]


def test_memories_are_kept_by_name_and_go_on_with_the_run() -> None:
    class Count(K.Callback):
        def init(self, train_state: jg.TrainState) -> Any:
            del train_state
            return {"epochs": 0}

        def on_epoch_end(self, memory: Any, event: K.Event) -> Any:
            return {"epochs": memory["epochs"] + 1}, []

    own = trainer()
    run = fit(Count(), Count(name="second"), Count(), own=own)
    assert {n: m for n, m in run.memories.items() if m} == {
        name: {"epochs": 2} for name in ("count", "second", "count_1")
    }
    run = fit(Count(), own=own, run=run, epochs=5)
    assert run.memories["count"] == {"epochs": 5}


# Actions


def test_stop_ends_training_at_its_own_step() -> None:
    run = fit(at_step(4, K.Stop("enough")))
    assert (run.stopped, run.position, int(run.train_state.step), len(run.history["loss"])) == ("enough", (1, 1), 4, 1)
    assert any("stops: enough" in text for text in run.events)
    on = fit(run=run)
    assert (on.stopped, on.position) == (None, (2, 0))
    assert on.history == fit().history


def test_the_first_of_two_reasons_stays() -> None:
    assert fit(at_step(1, K.Stop("a")), at_step(1, K.Stop("b"), name="b")).stopped == "a"


def test_a_stop_before_an_epoch_runs_no_step_of_it() -> None:
    run = fit(K.on_epoch_begin(lambda event: K.Stop("no more") if event.epoch == 1 else None))
    assert (run.position, int(run.train_state.step)) == ((1, 0), 3)


@pytest.mark.parametrize("rate", [0.1, None])
def test_the_learning_rate_is_scaled_from_its_step_on(rate: float | None) -> None:
    """By the rate itself where it is known, by the updates where it is not: for sgd that is the same."""
    own = trainer(learning_rate=rate)
    run = fit(at_step(2, K.ScaleLearningRate(0.5, reason="flat")), own=own, epochs=1, shuffle=False)
    state = own.init(jax.random.key(0))
    for step in range(3):
        batch = ROWS[0][4 * step : 4 * step + 4], ROWS[1][4 * step : 4 * step + 4]
        state = state.replace(lr_scale=jnp.float32(0.5)) if step == 2 else state
        state, _ = own.step(state, batch)
    for a, b in zip(jax.tree.leaves(run.train_state.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert float(run.train_state.lr_scale) == 0.5
    said = "learning rate 0.1 -> 0.05 (flat)" if rate else "learning rate 1x -> 0.5x (flat)"
    assert any(said in text for text in run.events)


def test_a_rate_that_is_set_is_the_rate() -> None:
    run = fit(K.LearningRateScheduler(lambda epoch: 0.3 / (epoch + 1)), epochs=3)
    np.testing.assert_allclose(run.history["learning_rate"], [0.3, 0.15, 0.1], rtol=1e-6)


def test_a_schedule_goes_on_scaled() -> None:
    schedule: Any = optax.linear_schedule(0.1, 0.0, 10)
    run = fit(at_step(3, K.ScaleLearningRate(0.5)), own=trainer(learning_rate=schedule))
    np.testing.assert_allclose(run.history["learning_rate"], [float(schedule(2)), 0.5 * float(schedule(5))], rtol=1e-6)


def test_every_optimizer_takes_a_known_rate() -> None:
    """Schedule-free averages its updates: scaling them would be wrong, another rate is right."""
    own = trainer(optimizer=optax.contrib.schedule_free_sgd)
    run = fit(at_step(3, K.ScaleLearningRate(0.5)), own=own)
    np.testing.assert_allclose(run.history["learning_rate"], [0.1, 0.05], rtol=1e-6)


def test_a_scale_that_would_not_be_another_rate_is_refused_by_name() -> None:
    own = trainer(optimizer=optax.contrib.prodigy, learning_rate=None)
    error = with_errors(CallbackError, "prodigy", at_step(2, K.ScaleLearningRate(0.5)), own=own)
    assert "'at_step'" in str(error)


def test_restore_brings_all_back_but_the_step() -> None:
    class Back(K.Callback):
        def init(self, train_state: jg.TrainState) -> Any:
            return train_state

        def on_epoch_end(self, memory: Any, event: K.Event) -> Any:
            return memory, [K.Restore(memory)] if event.epoch == 1 else []

    own = trainer(optimizer=optax.adam)
    run, start = fit(Back(), own=own), own.init(jax.random.key(0))
    assert (int(run.train_state.step), run.position) == (6, (2, 0))
    for part in ("params", "opt_state", "lr_scale"):
        same = jax.tree.map(jnp.array_equal, getattr(run.train_state, part), getattr(start, part))
        assert jax.tree.all(same), part
    fit(Back(), own=own, run=run, epochs=3)  # what was restored is a copy: the memory still lives
    assert jax.tree.all(jax.tree.map(jnp.array_equal, run.memories["back"].params, start.params))


def test_saves_come_last_and_hold_what_the_others_did(tmp_path: Path) -> None:
    save = K.on_epoch_end(lambda event: K.Save(tmp_path), name="save")
    fit(save, K.on_epoch_end(lambda event: [K.ScaleLearningRate(0.5), K.Stop("now")], name="other"))
    run = fit(
        save, K.on_epoch_end(lambda event: [K.ScaleLearningRate(0.5), K.Stop("now")], name="other"), resume=tmp_path
    )
    assert (float(run.train_state.lr_scale), run.stopped) == (0.5, "now")


def test_a_train_state_in_an_event_is_whole_while_the_hook_runs() -> None:
    kept: list[Any] = []
    fit(K.on_step_end(lambda event: kept.append(fresh_copy(event.train_state))))
    assert [int(state.step) for state in kept] == [1, 2, 3, 4, 5, 6]


# Steps that are not finite


def poisoned(at: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which one, in its batch, makes the loss overflow."""
    x, y = RANDOM.normal(size=(24, 3)).astype("float32"), RANDOM.normal(size=24).astype("float32")
    y[4 * at] = 1e30
    return x, y


@pytest.mark.parametrize("form", ["arrays", "iterable"])
def test_a_loss_that_is_not_finite_stops_at_its_step(form: str) -> None:
    x, y = poisoned(4)
    batches = [(x[i : i + 4], y[i : i + 4]) for i in range(0, 24, 4)]
    run = fit(data=(x, y) if form == "arrays" else batches, shuffle=False, epochs=3)
    assert (run.position, int(run.train_state.step)) == ((0, 4), 4)
    assert str(run.stopped).startswith("not finite at step 5 (epoch 1, batch 5): loss inf")
    good = fit(data=(x[:16], y[:16]), shuffle=False, epochs=1)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, run.train_state.params, good.train_state.params))


def test_which_output_is_not_finite_is_said() -> None:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, {"a": jg.layers.Dense(1, name="a")(x), "b": jg.layers.Dense(1, name="b")(x)})
    own, (inputs, targets) = jg.Trainer(model, optax.sgd(0.1), loss={"a": "mse", "b": "mse"}), poisoned(2)
    run = own.fit((inputs, {"a": inputs[:, 0], "b": targets}), epochs=1, batch_size=4, shuffle=False, progress=False)
    assert "batch 3): loss inf, b/loss inf" in str(run.stopped)


def root(targets: Any, outputs: Any) -> Any:
    """A loss that is finite where its gradient is not."""
    return jnp.sqrt(jnp.abs(outputs[:, 0] - targets))


def test_gradients_that_are_not_finite_are_watched_on_demand() -> None:
    x = jg.Input((3,), name="x")
    model = jg.Model(x, jg.layers.Dense(1, kernel_initializer="zeros", name="y")(x))
    own, rows = jg.Trainer(model, optax.sgd(0.1), loss=root), (ROWS[0], np.zeros(12, "float32"))
    late = own.fit(rows, epochs=2, batch_size=4, progress=False)
    assert "step 2" in str(late.stopped)
    assert "TerminateOnNaN(gradients=True)" in str(late.stopped)
    early = own.fit(rows, epochs=2, batch_size=4, progress=False, callbacks=[K.TerminateOnNaN(gradients=True)])
    assert "step 1" in str(early.stopped)
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(jnp.isfinite(leaf).all()), early.train_state.params))


def test_the_guard_can_be_switched_off() -> None:
    run = fit(K.TerminateOnNaN(enabled=False), data=poisoned(4), shuffle=False)
    assert (run.stopped, run.position) == (None, (2, 0))
    assert not np.isfinite(run.history["loss"]).any()


def test_the_guard_changes_no_bit_of_good_steps() -> None:
    on, off = fit(epochs=4), fit(K.TerminateOnNaN(enabled=False), epochs=4)
    np.testing.assert_allclose(on.history["loss"], off.history["loss"], rtol=1e-6)


# What does not fit


def test_something_that_is_no_callback() -> None:
    with_errors(ArgumentError, r"callbacks\[0\].*on_epoch_end\(function\)", lambda event: None)
    with_errors(ArgumentError, r"callbacks\[0\].*call the class", K.EarlyStopping)
    with_errors(ArgumentError, "Put them in a list", callbacks=K.EarlyStopping())
    with_errors(NameClashError, "'a' twice", K.CSVLogger("a.csv", name="a"), K.EarlyStopping("loss", name="a"))


def test_an_absent_monitor_lists_the_names_there_will_be() -> None:
    with_errors(MonitorError, r"'loss', 'learning_rate', got 'val_loss'", K.EarlyStopping())
    with_errors(MonitorError, r"Did you mean 'val_loss'", K.EarlyStopping("vall_loss"), validation_split=0.5)


def test_two_that_write_one_place(tmp_path: Path) -> None:
    with_errors(
        NameClashError, "'a' and 'b'", K.Checkpoint(tmp_path, name="a"), K.Checkpoint(f"{tmp_path}/.", name="b")
    )


Hook = Callable[[Any, K.Event], Any]


def hooked(hook: Hook, start: Any = None) -> K.Callback:
    class Own(K.Callback):
        def init(self, train_state: jg.TrainState) -> Any:
            del train_state
            return start

        def on_epoch_end(self, memory: Any, event: K.Event) -> Any:
            return hook(memory, event)

    return Own()


def test_actions_check_their_arguments() -> None:
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: K.Stop(""), "Stop, reason"),
        (lambda: K.ScaleLearningRate(0), "ScaleLearningRate, factor"),
        (lambda: K.ScaleLearningRate(float("nan")), "ScaleLearningRate, factor"),
        (lambda: K.SetLearningRate(-1.0), "SetLearningRate, rate"),
        (lambda: K.SetLearningRate(True), "SetLearningRate, rate"),
        (lambda: K.Restore({}), "Restore, train_state"),  # pyright: ignore[reportArgumentType]
        (lambda: K.Save(3), "Save, directory"),  # pyright: ignore[reportArgumentType]
        (lambda: K.Save("runs", max_to_keep=0), "Save, max_to_keep"),
    ]
    for make, words in wrong:
        with pytest.raises(ArgumentError, match=words):
            make()


def test_a_step_that_fails_on_the_device_says_that_its_state_is_lost() -> None:
    def fail(value: Any) -> Any:
        raise OSError("no such sensor")

    sensor = jg.op(lambda a: a + jax.pure_callback(fail, jax.ShapeDtypeStruct((), a.dtype), a[0, 0]))
    x = jg.Input((3,), name="x")
    own = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(sensor(x))), optax.sgd(0.1), loss="mse")
    with pytest.raises(Exception, match="sensor") as caught:
        fit(own=own)
    run: Any = caught.value.__dict__["run"]
    assert (run.train_state, run.position.epoch) == (None, 0)
    assert any("resume=" in note for note in caught.value.__notes__)
    assert "its train state is lost" in repr(run)


def test_a_run_without_its_train_state_cannot_go_on() -> None:
    lost = dataclasses.replace(fit(epochs=1), train_state=None)
    with_errors(ArgumentError, "Go on with resume=", run=lost)


def test_a_run_that_was_not_finite_goes_on_with_good_data() -> None:
    own, (x, y) = trainer(), poisoned(4)
    stopped = fit(data=(x, y), own=own, shuffle=False, epochs=1)
    assert stopped.position == (0, 4)
    good = (x, np.where(y > 1e20, np.float32(0), y))
    for callbacks in ([], [K.TerminateOnNaN(enabled=False)]):
        assert fit(*callbacks, data=good, own=own, shuffle=False, epochs=1, run=stopped).position == (1, 0)


def test_what_has_begun_without_a_step_begins_anew() -> None:
    class Late:
        fails = True

        def __iter__(self) -> Any:
            if Late.fails:
                raise ConnectionError("not yet")
            yield from [(ROWS[0][:4], ROWS[1][:4])] * 2

    halve = K.on_epoch_begin(lambda event: K.ScaleLearningRate(0.5), name="halve")
    error = with_errors(ConnectionError, "not yet", halve, data=Late())
    assert float(error.run.train_state.lr_scale) == 1.0
    Late.fails = False
    assert float(fit(halve, data=Late(), run=error.run).train_state.lr_scale) == 0.25
    stop = K.on_step_begin(lambda event: K.Stop("wait") if event.step == 3 else None, name="stop")
    run = fit(halve, stop)
    assert (run.stopped, run.position, float(run.train_state.lr_scale)) == ("wait", (1, 0), 0.5)


def test_an_epoch_that_is_under_way_is_finished_as_it_began() -> None:
    own = trainer()
    run = fit(at_step(1, K.Stop("early")), own=own)
    for change in ({"batch_size": 3}, {"shuffle": False}, {"data": (ROWS[0][:8], ROWS[1][:8])}, {"steps_per_epoch": 2}):
        with_errors(ArgumentError, "Finish the epoch as it began", own=own, run=run, **change)
    done = fit(own=own, run=run, epochs=1)
    assert fit(own=own, run=done, batch_size=3).position == (2, 0)


def test_a_memory_keeps_copies() -> None:
    class Keep(K.Callback):
        def init(self, train_state: jg.TrainState) -> Any:
            return train_state.params

        def on_step_end(self, memory: Any, event: K.Event) -> Any:
            return event.train_state.params, []

    with_errors(CallbackError, r"'keep', on_step_end.*jax.tree.map\(jnp.copy", Keep())


def test_a_memory_is_a_pytree() -> None:
    def starting(memory: Any) -> K.Callback:
        class Odd(K.Callback):
            def init(self, train_state: jg.TrainState) -> Any:
                del train_state
                return memory()

        return Odd()

    with_errors(CallbackError, "'odd', init.*ZeroDivisionError", starting(lambda: 1 / 0))
    with_errors(CallbackError, "'odd', init.*keys can be sorted", starting(lambda: {1: np.zeros(1), "1": np.zeros(1)}))


def test_relative_paths_start_where_training_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    go = K.on_epoch_begin(lambda event: monkeypatch.chdir(tmp_path / "elsewhere"), name="go")
    fit(go, K.Checkpoint("run"), K.CSVLogger("log.csv"))
    assert steps_in(tmp_path / "run") == [3, 6]
    assert not list((tmp_path / "elsewhere").iterdir())


RESULTS: dict[str, tuple[Hook, Any, str]] = {
    "nothing": (lambda m, e: None, None, "got NoneType"),
    "memory alone": (lambda m, e: m, {"a": 1}, "got dict"),
    "an action without a list": (lambda m, e: (m, K.Stop("x")), None, r"\(memory, Stop\)"),
    "an action that is none": (lambda m, e: (m, ["stop"]), None, "got 'stop'"),
    "another structure": (lambda m, e: ({"a": 1, "b": 2}, []), {"a": 1}, "'b'"),
    "another type": (lambda m, e: ({"a": 1.5}, []), {"a": 1}, "float"),
    "another shape": (lambda m, e: (np.zeros(3), []), np.zeros(2), r"float64\[3\]"),
    "another dtype": (lambda m, e: (jnp.zeros(2), []), np.zeros(2), r"float32\[2\]"),
    "an error": (lambda m, e: 1 / 0, None, "ZeroDivisionError: division by zero"),
    "a rate that is not known": (lambda m, e: (m, [K.SetLearningRate(0.1)]), None, "learning_rate=1e-3"),
    "a sink that is not named": (lambda m, e: (m, [K.Write("sink", 1)]), None, "sinks"),
    "a state of another model": (
        lambda m, e: (m, [K.Restore(e.train_state.replace(params={}))]),
        None,
        "the leaf",
    ),
    "a state of other dtypes": (
        lambda m, e: (m, [K.Restore(e.train_state.replace(lr_scale=np.float64(1)))]),
        None,
        "dtypes",
    ),
}


@pytest.mark.parametrize("what", RESULTS)
def test_what_a_hook_may_not_give_back(what: str) -> None:
    hook, start, words = RESULTS[what]
    error = with_errors(CallbackError, words, hooked(hook, start), own=trainer(learning_rate=None))
    assert "callback 'own'" in str(error)
    # All or nothing: the epoch's end has not happened, and happens when the run goes on.
    assert (error.run.position, error.run.history) == ((0, 3), {})
    assert fit(hooked(lambda m, e: (m, []), start), own=trainer(learning_rate=None), run=error.run).position == (2, 0)


def test_an_error_reaches_on_exception_and_its_cause_is_there() -> None:
    seen: list[Any] = []
    note = K.on_exception(lambda event: seen.append(event.exception))
    error = with_errors(CallbackError, "boom", note, K.on_epoch_end(lambda event: {}["boom"], name="bad"))
    assert seen == [error]
    assert isinstance(error.__cause__, KeyError)


def test_an_error_in_on_exception_hides_no_other() -> None:
    bad = K.on_exception(lambda event: 1 / 0)
    error = with_errors(CallbackError, "boom", bad, K.on_epoch_end(lambda event: {}["boom"], name="bad"))
    assert any("division" in note for note in error.__notes__)


def test_data_that_raise_leave_the_run() -> None:
    class Batches:
        def __iter__(self) -> Any:
            yield ROWS[0][:4], ROWS[1][:4]
            yield ROWS[0][:4], ROWS[1][:4]
            raise ConnectionError("gone")

    error = with_errors(ConnectionError, "gone", data=Batches())
    assert (error.run.position, int(error.run.train_state.step)) == ((0, 2), 2)
    assert trainer().evaluate(error.run.train_state, ROWS)["loss"] > 0


def test_errors_before_training_have_a_run_too() -> None:
    run = fit()
    assert with_errors(ArgumentError, "epochs", epochs=-1).run is None
    assert with_errors(ArgumentError, "epochs", epochs=1, run=run).run is run


def test_save_belongs_to_an_end(tmp_path: Path) -> None:
    with_errors(CallbackError, "on_epoch_end", K.on_epoch_begin(lambda event: K.Save(tmp_path)))


def test_a_directory_that_cannot_be_is_named_with_its_free_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    error = with_errors(WriteError, "bytes free", K.Checkpoint(tmp_path / "file" / "run"))
    assert str(tmp_path / "file") in str(error)
    error = with_errors(WriteError, "bytes free", K.CSVLogger(tmp_path / "file" / "log.csv"))
    assert error.run is not None


def test_a_model_that_cannot_be_named_is_refused_before_training(tmp_path: Path) -> None:
    x = jg.Input((3,), name="x")
    own = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(jg.op(lambda a: a * 2)(x))), optax.sgd(0.1), loss="mse")
    seen: list[Any] = []
    with pytest.raises(jg.errors.SaveError):
        fit(K.Checkpoint(tmp_path), K.on_train_begin(seen.append), own=own)
    assert not seen


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resume": 3}, "the directory of a Checkpoint"),
        ({"resume": "x", "run": "run"}, "alone"),
        ({"resume": "x", "train_state": "state"}, "alone"),
    ],
)
def test_resume_stands_alone(options: dict[str, Any], words: str) -> None:
    values = {"run": fit(), "state": trainer().init(jax.random.key(0))}
    with_errors(ArgumentError, words, **{k: values.get(str(v), v) for k, v in options.items()})


def test_a_memory_of_another_form_is_refused() -> None:
    own = trainer()
    run = fit(hooked(lambda m, e: (m, []), {"a": 1}), own=own)
    with_errors(ResumeError, "another name=", hooked(lambda m, e: (m, []), {"b": 1}), own=own, run=run, epochs=3)


def test_decisions_are_logged_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="jgraph"):
        run = fit(at_step(2, K.ScaleLearningRate(0.5, reason="try")))
    said = [record.message for record in caplog.records if record.name == "jgraph"]
    assert said == list(run.events)
    assert "epoch 1, step 2: at_step: learning rate 0.1 -> 0.05 (try)" in said


def test_steps_ahead_of_a_run_are_put_aside(tmp_path: Path) -> None:
    """Going back in memory and on again in the same directory loses no checkpoint."""
    own, point = trainer(), K.Checkpoint(tmp_path, max_to_keep=None)
    first = fit(point, own=own, epochs=1)
    fit(point, own=own, epochs=3, run=first)
    assert steps_in(tmp_path) == [3, 6, 9]
    run = fit(point, own=own, epochs=2, run=dataclasses.replace(first))
    assert steps_in(tmp_path) == [3, 6]
    assert sum("lies ahead" in text for text in run.events) == 2
    assert len(list(tmp_path.iterdir())) == 4
