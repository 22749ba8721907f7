"""What holds for every callback: hooks are pure, a memory keeps its form and can be saved, a configuration is a value.

The hooks of a callback are folded over the events of a run by hand, which has epochs of three steps, values that rise,
fall and are NaN, and ends before its time.
"""

import dataclasses
import inspect
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable as Function
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgraph import callbacks
from jgraph.callbacks import (
    AverageWeights,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    EvaluateEvery,
    Event,
    JSONLogger,
    LearningRateFinder,
    LearningRateScheduler,
    ProgressBar,
    RaiseLROnPlateau,
    ReduceLROnPlateau,
    Stop,
    TensorBoard,
    TerminateOnNaN,
    Throughput,
    Timer,
    on_epoch_begin,
    on_epoch_end,
    on_evaluate_end,
    on_exception,
    on_step_begin,
    on_step_end,
    on_train_begin,
    on_train_end,
)
from jgraph.errors import MonitorError
from jgraph.train.actions import Action, Restore
from jgraph.train.callback import HOOKS, Setup
from jgraph.train.hooks import form
from jgraph.train.record import arrays_of, record_of, run_of
from jgraph.train.state import Position, Run, TrainState

ROOT = Path(__file__).parents[2]
VALUES = [0.5, 0.375, math.nan, 0.4, 0.25, 0.25, 0.5, 0.5, 0.5]
STEPS = 3


def halve(epoch: int, learning_rate: float) -> float:
    return learning_rate / (epoch + 1)


def constant(epoch: int) -> float:
    return 0.1 + 0 * epoch


def stop_late(event: Event) -> Stop | None:
    return Stop("late") if event.step > 20 else None


def say_nothing(event: Event) -> None:
    del event


FUNCTIONS: list[Function[..., Callback]] = [
    on_train_begin,
    on_train_end,
    on_epoch_begin,
    on_epoch_end,
    on_step_begin,
    on_step_end,
    on_evaluate_end,
    on_exception,
]

CALLBACKS: dict[str, Callback] = {
    "early stopping": EarlyStopping(patience=2),
    "early stopping that restores": EarlyStopping(patience=3, restore_best=True, start_from_epoch=1),
    "early stopping with a baseline": EarlyStopping(patience=3, baseline=0.3, min_delta=0.1),
    "early stopping at thresholds": EarlyStopping(patience=9, stopping_threshold=0.25, divergence_threshold=0.45),
    "plateau": ReduceLROnPlateau(patience=1, factor=0.5, min_lr=0.01, cooldown=1),
    "mirror": RaiseLROnPlateau(patience=2, max_lr=0.5),
    "scheduler": LearningRateScheduler(halve),
    "scheduler by epoch": LearningRateScheduler(constant, name="constant"),
    "checkpoint": Checkpoint("runs/a"),
    "best checkpoint": Checkpoint("runs/b", monitor="val_loss", best_only=True),
    "watching checkpoint": Checkpoint("runs/c", monitor="val_loss", every_steps=2, every_minutes=0.2, max_to_keep=2),
    "checkpoint of the three best": Checkpoint("runs/d", monitor="val_loss", top_k=3, max_to_keep=4, keep_every=2),
    "checkpoint of the two best alone": Checkpoint("runs/e", monitor="val_loss", top_k=2, best_only=True),
    "checkpoint after an error": Checkpoint("runs/f", every_epochs=5, on_error=True),
    "timer": Timer(seconds=20),
    "timer of epochs": Timer(minutes=0.2, whole_epochs=True),
    "throughput": Throughput(operations=1e6, peak=1e9),
    "throughput by step": Throughput(every_steps=2),
    "average": AverageWeights(start_from_epoch=2),
    "moving average of steps": AverageWeights("ema", momentum=0.9, every_steps=2),
    "finder": LearningRateFinder(most=0.5, plot="runs/search.svg"),
    "guard": TerminateOnNaN(),
    "guard of gradients": TerminateOnNaN(gradients=True),
    "guard that locates": TerminateOnNaN(locate=True),
    "csv": CSVLogger("runs/log.csv"),
    "csv of evaluations": CSVLogger("runs/log.csv", evaluations="runs/evaluations.csv"),
    "json": JSONLogger("runs/log.jsonl"),
    "json by step": JSONLogger("runs/log.jsonl", every_steps=2),
    "evaluations": EvaluateEvery(every_steps=2, every_epochs=1),
    "tensorboard": TensorBoard("runs/tensorboard"),
    "tensorboard by step": TensorBoard("runs/tensorboard", every_steps=2),
    "bar": ProgressBar(),
    **{make.__name__: make(stop_late) for make in FUNCTIONS},
    "every second step": on_step_end(stop_late, every_steps=2),
    "named": on_epoch_end(say_nothing, name="quiet"),
}

WATCHERS = [name for name, callback in CALLBACKS.items() if getattr(callback, "monitor", None) is not None]
EVERY_CALLBACK = pytest.mark.parametrize("name", CALLBACKS)


class Trainer:
    """What an event asks for the learning rate."""

    def learning_rate_of(self, train_state: TrainState) -> Any:
        return 0.1 * train_state.lr_scale


def train_state(step: int) -> TrainState:
    params = {"dense": {"kernel": jnp.full((2, 3), step, "float32"), "bias": jnp.zeros(3, "bfloat16")}}
    scale = jnp.asarray(1.0 if step < 9 else 0.5)
    return TrainState(jnp.asarray(step), params, {"bn": jnp.ones(2)}, (params,), jax.random.key(7), scale)


def events() -> Iterator[tuple[str, Event]]:
    """The hooks of a run, in their order, each with its event."""

    def event(step: int, epoch: int, done: int, **facts: Any) -> Event:
        known = {"loss": "min", "val_loss": "min"}
        return Event(
            step=step,
            epoch=epoch,
            epochs=99,
            steps=STEPS,
            position=Position(epoch, done),
            train_state=train_state(step),
            trainer=Trainer(),
            directions=known,
            timings={"seconds": 1.5 * step, "epoch_seconds": 4.5, "steps_per_second": 0.75},
            **facts,
        )

    yield "on_train_begin", event(0, 0, 0)
    step = 0
    for epoch, value in enumerate(VALUES):
        yield "on_epoch_begin", event(step, epoch, 0)
        for done in range(1, STEPS + 1):
            yield "on_step_begin", event(step, epoch, done - 1, logs={"loss": value})
            step += 1
            yield "on_step_end", event(step, epoch, done, logs={"loss": value})
        yield "on_epoch_end", event(step, epoch, STEPS, logs={"loss": value, "val_loss": value})
    yield "on_evaluate_end", event(step, len(VALUES) - 1, 0)
    yield "on_exception", event(step, len(VALUES), 0, exception=ValueError("no"))
    yield "on_train_end", event(step, len(VALUES), 0, stopped="enough")


EVENTS = list(events())


def snapshot(tree: Any) -> Any:
    """A tree as values that can be compared: NaN is NaN, arrays and keys are bytes, actions are their fields."""
    if isinstance(tree, Action):
        fields = {field.name: snapshot(getattr(tree, field.name)) for field in dataclasses.fields(tree)}
        return type(tree).__name__, fields
    return [(jax.tree_util.keystr(path), _plain(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _plain(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if isinstance(leaf, np.ndarray | np.generic | jax.Array):
        return str(leaf.dtype), np.shape(leaf), np.asarray(leaf).tobytes()
    return type(leaf).__name__, repr(leaf)


def called(callback: Callback, hook: str, memory: Any, event: Event) -> tuple[Any, list[Action]]:
    after, actions = getattr(callback, hook)(memory, event)
    return after, list(actions)


def fold(callback: Callback, memory: Any = None, start: int = 0) -> Iterator[tuple[Any, list[Action]]]:
    memory = callback.init(train_state(0)) if memory is None else memory
    for hook, event in EVENTS[start:]:
        memory, actions = called(callback, hook, memory, event)
        yield memory, actions


def through_a_checkpoint(callback: Callback, memory: Any) -> Any:
    """A memory as it comes back from a saved run: its numbers through JSON, its arrays as those of NumPy."""
    run = Run(train_state(0), memories={"it": memory})
    record = json.loads(json.dumps(record_of(run)))
    tree = jax.tree.map(np.asarray, arrays_of(run))
    return run_of(tree, record, train_state(0), {"it": callback.init(train_state(0))}).memories["it"]


def test_every_callback_is_held_to_the_laws() -> None:
    public = {value for value in vars(callbacks).values() if inspect.isclass(value) and issubclass(value, Callback)}
    made = {type(callback) for callback in CALLBACKS.values()}
    assert public - {Callback} <= made
    assert {hook for hook in HOOKS if hasattr(callbacks, hook)} == {make.__name__ for make in FUNCTIONS} == set(HOOKS)


@EVERY_CALLBACK
def test_a_memory_keeps_its_form(name: str) -> None:
    first = form(CALLBACKS[name].init(train_state(0)))
    for memory, actions in fold(CALLBACKS[name]):
        assert form(memory) == first
        assert all(isinstance(action, Action) for action in actions)


@EVERY_CALLBACK
def test_hooks_are_pure(name: str) -> None:
    callback = CALLBACKS[name]
    memory = callback.init(train_state(0))
    for hook, event in EVENTS:
        before = snapshot(memory), snapshot(event.train_state), snapshot(dict(event.logs))
        once, again = called(callback, hook, memory, event), called(callback, hook, memory, event)
        assert snapshot(once[0]) == snapshot(again[0])
        assert [snapshot(a) for a in once[1]] == [snapshot(a) for a in again[1]]
        assert (snapshot(memory), snapshot(event.train_state), snapshot(dict(event.logs))) == before
        memory = once[0]


@EVERY_CALLBACK
def test_replaying_events_gives_the_same_actions(name: str) -> None:
    twice = [[[snapshot(a) for a in actions] for _, actions in fold(CALLBACKS[name])] for _ in range(2)]
    assert twice[0] == twice[1]


@EVERY_CALLBACK
@pytest.mark.parametrize("cut", [1, 12, 30, 41])
def test_a_memory_that_was_saved_goes_on_alike(name: str, cut: int) -> None:
    callback = CALLBACKS[name]
    whole = list(fold(callback))
    saved = through_a_checkpoint(callback, whole[cut - 1][0])
    assert snapshot(saved) == snapshot(whole[cut - 1][0])
    for (memory, actions), (expected, asked) in zip(fold(callback, saved, cut), whole[cut:], strict=True):
        assert snapshot(memory) == snapshot(expected)
        assert [snapshot(a) for a in actions] == [snapshot(a) for a in asked]


def test_the_events_make_every_callback_that_acts_act() -> None:
    silent = {name for name, callback in CALLBACKS.items() if not any(actions for _, actions in fold(callback))}
    assert silent == {
        "throughput",
        "throughput by step",
        "guard",
        "guard of gradients",
        "guard that locates",
        "named",
        "on_train_begin",
    }


@pytest.mark.parametrize("name", WATCHERS)
def test_an_absent_monitor_is_an_error_that_lists_the_logs(name: str) -> None:
    callback, logs = CALLBACKS[name], ("loss", "accuracy", "val_accuracy")
    with pytest.raises(MonitorError) as caught:
        callback.check(Setup(logs=logs, rate_known=True))
    assert all(repr(log) in str(caught.value) for log in logs)


@EVERY_CALLBACK
def test_it_fits_a_run_that_has_what_it_needs(name: str) -> None:
    logs = ("loss", "val_loss")
    CALLBACKS[name].check(Setup(logs=logs, step_logs=("loss",), directions=dict.fromkeys(logs, "min"), rate_known=True))


@EVERY_CALLBACK
def test_restored_states_are_those_of_the_run(name: str) -> None:
    for _, actions in fold(CALLBACKS[name]):
        for action in actions:
            assert not isinstance(action, Restore) or form(action.train_state) == form(train_state(0))


def test_configurations_tell_callbacks_apart() -> None:
    texts = {name: json.dumps(callback.configuration(), allow_nan=False) for name, callback in CALLBACKS.items()}
    assert len(set(texts.values())) == len(texts)
    assert not [name for name, text in texts.items() if "0x" in text]


@EVERY_CALLBACK
def test_equal_callbacks_have_equal_configurations(name: str) -> None:
    callback = CALLBACKS[name]
    again = dataclasses.replace(callback)
    assert again == callback
    assert again.configuration() == callback.configuration()
    assert dataclasses.replace(callback, name="other").configuration() != callback.configuration()


@pytest.mark.slow
def test_configurations_are_the_same_in_another_process() -> None:
    code = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location(sys.argv[2], sys.argv[1])\n"
        "module = sys.modules[sys.argv[2]] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(json.dumps({name: callback.configuration() for name, callback in module.CALLBACKS.items()}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, __file__, __name__]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(found.stdout) == {name: callback.configuration() for name, callback in CALLBACKS.items()}
