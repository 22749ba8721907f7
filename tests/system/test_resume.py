"""A run that goes on from any of its checkpoints ends with the same bits as the run that nobody disturbed."""

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.storage.steps import steps_in
from jgraph.train import source

K = jg.callbacks
EPOCHS, BATCH, ROWS = 4, 8, 60  # 54 rows for training: 7 steps an epoch, the last one of 6 rows


def rows(count: int = ROWS, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 6)).astype("float32")
    return x, {"kind": (x[:, 0] > 0).astype(np.int32), "size": random.normal(size=count).astype("float32")}


def model() -> jg.Model:
    x = jg.Input((6,), name="x")
    h = jg.layers.BatchNormalization(name="norm")(jg.layers.Dense(8, "relu", name="h")(x))
    h = jg.layers.Dropout(0.3, name="drop")(h)
    outputs = {"kind": jg.layers.Dense(2, "softmax", name="kind")(h), "size": jg.layers.Dense(1, name="size")(h)}
    return jg.Model(x, outputs)


def trainer(**options: Any) -> jg.Trainer:
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    given = {"optimizer": optax.adam, "learning_rate": 0.05, "metrics": {"kind": "accuracy"}, **options}
    return jg.Trainer(model(), loss=losses, **given)


class Count(K.Callback):
    """Counts steps and epochs, and keeps a moving average of an array."""

    every_steps = 2

    def init(self, train_state: jg.TrainState) -> Any:
        del train_state
        return {"steps": 0, "epochs": np.int64(0), "mean": jnp.zeros(2)}

    def on_step_begin(self, memory: Any, event: K.Event) -> Any:
        return {**memory, "mean": 0.9 * memory["mean"] + 0.1 * event.step}, []

    def on_step_end(self, memory: Any, event: K.Event) -> Any:
        return {**memory, "steps": memory["steps"] + 1, "mean": memory["mean"] + event.logs["loss"]}, []

    def on_epoch_begin(self, memory: Any, event: K.Event) -> Any:
        rate = [K.SetLearningRate(0.04)] if event.epoch == 2 else []
        return {**memory, "epochs": memory["epochs"] + np.int64(1)}, rate


def callbacks(folder: Path, **options: Any) -> list[K.Callback]:
    return [
        K.EarlyStopping(patience=3, restore_best=True, min_delta=0.01),
        K.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=0.05),
        Count(name="count"),
        K.CSVLogger(folder / "log.csv"),
        K.TensorBoard(folder / "tensorboard", every_steps=3, histograms=K.Watch(every_steps=4), hparams={"a": 1}),
        K.Checkpoint(folder, every_steps=5, **{"max_to_keep": None, **options}),
    ]


def plain(tree: Any) -> dict[str, Any]:
    """The leaves by path, as bytes that can be compared."""
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if key else leaf)
        found[jax.tree_util.keystr(path)] = (array.dtype, array.shape, array.tobytes())
    return found


def points(folder: Path) -> list[tuple[str, int, float]]:
    """What TensorBoard would show but for steps per second: tag, step and value, in the order of the files."""
    from tensorboardX.proto import event_pb2

    found = []
    for path in sorted(folder.rglob("*tfevents*")):
        content = path.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            record = event_pb2.Event.FromString(content[12 : 12 + size])  # pyright: ignore[reportAttributeAccessIssue]
            content = content[16 + size :]
            name = path.parent.name
            found += [(f"{name}/{v.tag}", record.step, v.simple_value) for v in record.summary.value]
    return [point for point in found if not point[0].endswith("steps_per_second")]


def result(run: jg.Run, folder: Path) -> dict[str, Any]:
    """All of a run that is promised to be the same."""
    return {
        "train_state": plain(run.train_state),
        "memories": plain(run.memories),
        "position": run.position,
        "history": {name: np.asarray(values).tobytes() for name, values in run.history.items()},
        "stopped": run.stopped,
        "csv": (folder / "log.csv").read_text(),
        "points": points(folder / "tensorboard"),
    }


def assert_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    for name in a:
        assert a[name] == b[name], name


def batches() -> list[Any]:
    x, targets = rows()
    return [(x[i : i + BATCH], {n: t[i : i + BATCH] for n, t in targets.items()}) for i in range(0, ROWS, BATCH)]


def arrays(fitted: Callable[..., jg.Run], **options: Any) -> jg.Run:
    return fitted(rows(), batch_size=BATCH, validation_split=0.1, **options)


def iterable(fitted: Callable[..., jg.Run], **options: Any) -> jg.Run:
    return fitted(batches(), validation_data=rows(20, 1), **options)


def from_host(fitted: Callable[..., jg.Run], **options: Any) -> jg.Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "ON_DEVICE_BYTES", 10)
        return arrays(fitted, **options)


FORMS = {"arrays on the device": arrays, "arrays on the host": from_host, "an iterable": iterable}


@pytest.fixture(scope="module")
def shared() -> jg.Trainer:
    return trainer()


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_checkpoint_leads_to_the_same_end(form: Any, shared: jg.Trainer, tmp_path: Path) -> None:
    """Goes on from each step in turn, with the files as the later steps left them."""
    whole = tmp_path / "whole"
    options = {"epochs": EPOCHS, "seed": 3, "progress": False}
    run = form(shared.fit, **options, callbacks=callbacks(whole))
    wanted = result(run, whole)
    steps = steps_in(whole)
    assert len(steps) > EPOCHS
    for step in steps if form is arrays else steps[1::3]:
        part = tmp_path / "part"
        shutil.copytree(whole, part)
        for later in (s for s in steps if s > step):
            shutil.rmtree(part / str(later))
        again = form(shared.fit, **options, callbacks=callbacks(part), resume=part)
        assert any(f"goes on from step {step}" in text for text in again.events)
        assert_same(wanted, result(again, part))
        shutil.rmtree(part)


@pytest.mark.slow
def test_more_epochs_later_are_as_many_at_once(shared: jg.Trainer, tmp_path: Path) -> None:
    """Three epochs and then six, though the first call had restored its best state at its end."""
    kept = {"seed": 3, "progress": False}
    wanted = result(arrays(shared.fit, epochs=6, callbacks=callbacks(tmp_path / "a"), **kept), tmp_path / "a")
    arrays(shared.fit, epochs=3, callbacks=callbacks(tmp_path / "b"), **kept)
    again = arrays(shared.fit, epochs=6, callbacks=callbacks(tmp_path / "b"), resume=tmp_path / "b", **kept)
    assert_same(wanted, result(again, tmp_path / "b"))


@pytest.mark.slow
def test_a_run_in_memory_goes_on_from_the_midst_of_an_epoch(shared: jg.Trainer, tmp_path: Path) -> None:
    """An error at a step leaves a run behind; with it, training goes on to the same end."""

    class Boom(K.Callback):
        at: int | None = None

        def on_step_end(self, memory: Any, event: K.Event) -> Any:
            if event.step == self.at:
                raise OSError("the cable")
            return memory, []

    kept = {"epochs": 6, "seed": 3, "progress": False}
    wanted = arrays(shared.fit, callbacks=[*callbacks(tmp_path / "a"), Boom(name="boom")], **kept)
    for at in (1, 7, 11):  # 7 is the last step of an epoch; no other callback looks at these steps
        folder = tmp_path / f"at {at}"
        given = callbacks(folder)
        with pytest.raises(jg.errors.CallbackError, match=r"'boom', on_step_end at epoch \d, step") as caught:
            arrays(shared.fit, callbacks=[*given, Boom(at=at, name="boom")], **kept)
        left: Any = caught.value
        assert (left.run.position.step, int(left.run.train_state.step)) == (7 if at == 7 else at % 7, at)
        again = arrays(shared.fit, callbacks=[*given, Boom(name="boom")], run=left.run, **kept)
        assert_same(result(wanted, tmp_path / "a"), result(again, folder))


def test_nothing_to_resume_starts_anew_and_says_so(shared: jg.Trainer, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "tensorboard").mkdir(parents=True)
    (folder / "log.csv").write_text("left over by a run that was killed before its first checkpoint")
    run = arrays(shared.fit, epochs=1, progress=False, callbacks=callbacks(folder), resume=folder)
    assert any("there is no checkpoint" in text for text in run.events)
    assert len((folder / "log.csv").read_text().splitlines()) == 2


def damage(folder: Path, step: int) -> None:
    """Flips one bit in each file of data of a step."""
    for path in (p for p in (folder / str(step) / "arrays").rglob("d/*") if p.is_file()):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def test_a_damaged_checkpoint_is_passed_over_and_said(
    shared: jg.Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"seed": 3, "progress": False}
    wanted = arrays(shared.fit, epochs=3, callbacks=callbacks(tmp_path / "a"), **options)
    arrays(shared.fit, epochs=2, callbacks=callbacks(tmp_path / "b"), **options)
    newest = steps_in(tmp_path / "b")[-1]
    damage(tmp_path / "b", newest)
    again = arrays(shared.fit, epochs=3, callbacks=callbacks(tmp_path / "b"), resume=tmp_path / "b", **options)
    assert any(f"step {newest}" in text and "damaged" in text for text in again.events)
    assert any(record.levelname == "WARNING" and "damaged" in record.message for record in caplog.records)
    assert_same(result(wanted, tmp_path / "a"), result(again, tmp_path / "b"))
    assert steps_in(tmp_path / "b") == steps_in(tmp_path / "a")


def test_where_nothing_is_whole_nothing_goes_on(shared: jg.Trainer, tmp_path: Path) -> None:
    arrays(shared.fit, epochs=1, progress=False, callbacks=callbacks(tmp_path))
    for step in steps_in(tmp_path):
        damage(tmp_path, step)
    with pytest.raises(jg.errors.LoadError, match="step 5"):
        arrays(shared.fit, epochs=1, progress=False, callbacks=callbacks(tmp_path), resume=tmp_path)


def changed(trainer: jg.Trainer, folder: Path, **changes: Any) -> jg.Run:
    """Goes on with something that differs from how `begun` began."""
    given = {"data": rows(), "epochs": 2, "batch_size": BATCH, "seed": 3, "progress": False, "validation_split": 0.1}
    given |= {"callbacks": callbacks(folder), "resume": folder, **changes}
    return trainer.fit(given.pop("data"), **given)


def begun(folder: Path) -> Iterator[Path]:
    arrays(trainer().fit, epochs=1, seed=3, progress=False, callbacks=callbacks(folder))
    yield folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from begun(tmp_path_factory.mktemp("saved"))


def other_model() -> jg.Trainer:
    x = jg.Input((6,), name="x")
    h = jg.layers.Dense(9, "relu", name="h")(x)
    outputs = {"kind": jg.layers.Dense(2, "softmax", name="kind")(h), "size": jg.layers.Dense(1, name="size")(h)}
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    return jg.Trainer(jg.Model(x, outputs), optax.adam, learning_rate=0.05, loss=losses, metrics={"kind": "accuracy"})


OTHERS: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "seed": (lambda f: changed(trainer(), f, seed=4), ["seed: 3", "seed: 4"]),
    "batch size": (lambda f: changed(trainer(), f, batch_size=9), ["batch_size: 8", "batch_size: 9"]),
    "shuffle": (lambda f: changed(trainer(), f, shuffle=False), ["shuffle: True"]),
    "split": (lambda f: changed(trainer(), f, validation_split=0.2), ["validation_split: 0.1"]),
    "steps": (lambda f: changed(trainer(), f, steps_per_epoch=2), ["steps_per_epoch: None"]),
    "number of rows": (lambda f: changed(trainer(), f, data=rows(50)), ["rows: 54", "rows: 45", "data:"]),
    "data": (lambda f: changed(trainer(), f, data=rows(ROWS, 1)), ["data:"]),
    "an iterable": (
        lambda f: changed(trainer(), f, data=batches(), validation_split=0.0, validation_data=rows()),
        ["rows: 54"],
    ),
    "learning rate": (
        lambda f: changed(trainer(learning_rate=0.1), f),
        ["learning rate by step: {'0': 0.05", "'0': 0.1"],
    ),
    "schedule": (
        lambda f: changed(trainer(learning_rate=optax.linear_schedule(0.05, 0.0, 100)), f),
        ["learning rate by step"],
    ),
    "an argument of the optimizer": (
        lambda f: changed(trainer(optimizer=functools.partial(optax.adam, b1=0.8)), f),
        ["optimizer: 'optax", "'b1': 0.8"],
    ),
    "metrics": (lambda f: changed(trainer(metrics={}), f), ["'kind': 'sparse_categorical_crossentropy x 1, accuracy'"]),
    "loss weights": (lambda f: changed(trainer(loss_weights={"size": 2.0}), f), ["error x 1", "error x 2"]),
    "optimizer": (lambda f: changed(trainer(optimizer=optax.sgd), f), ["opt_state", "no leaf"]),
    "model": (
        lambda f: changed(other_model(), f),
        ["params/h/kernel: float32[6, 8]", "params/h/kernel: float32[6, 9]", "params/norm/gamma"],
    ),
    "a callback's configuration": (
        lambda f: changed(trainer(), f, callbacks=[K.EarlyStopping(patience=9, restore_best=True), K.Checkpoint(f)]),
        ["'early_stopping'", "patience"],
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_run_is_refused_by_what_differs(what: str, saved: Path) -> None:
    attempt, words = OTHERS[what]
    with pytest.raises(jg.errors.ResumeError) as caught:
        attempt(saved)
    for word in words:
        assert word in str(caught.value)


def test_another_activation_is_refused_though_all_leaves_fit(saved: Path) -> None:
    x = jg.Input((6,), name="x")
    h = jg.layers.BatchNormalization(name="norm")(jg.layers.Dense(8, "tanh", name="h")(x))
    h = jg.layers.Dropout(0.3, name="drop")(h)
    outputs = {"kind": jg.layers.Dense(2, "softmax", name="kind")(h), "size": jg.layers.Dense(1, name="size")(h)}
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    tanh = jg.Trainer(jg.Model(x, outputs), optax.adam, learning_rate=0.05, loss=losses, metrics={"kind": "accuracy"})
    with pytest.raises(jg.errors.ResumeError, match=r"relu.*tanh"):
        changed(tanh, saved)


def test_callbacks_come_and_go(saved: Path, shared: jg.Trainer, tmp_path: Path) -> None:
    """A new one starts afresh, one that is gone is dropped, and both are said."""
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    given = [c for c in callbacks(folder) if not isinstance(c, Count | K.CSVLogger)]
    run = changed(shared, folder, callbacks=[*given, K.EarlyStopping(name="late", patience=5)])
    assert any("'late' is new" in text for text in run.events)
    assert any("'count' is gone" in text for text in run.events)
    assert set(run.memories) >= {"late", "early_stopping"}
    assert "count" not in run.memories


def test_a_directory_of_another_run_is_refused(saved: Path, shared: jg.Trainer) -> None:
    with pytest.raises(jg.errors.ResumeError, match=r"Go on with resume=.*or remove it"):
        changed(shared, saved, resume=None)


def test_a_moved_run_goes_on(saved: Path, shared: jg.Trainer, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(saved, folder)
    run = changed(shared, folder)
    assert run.position.epoch == 2


def test_another_run_goes_on_elsewhere_and_not_over_this_one(shared: jg.Trainer, saved: Path, tmp_path: Path) -> None:
    """Neither a run in memory nor one that was saved takes over the directory of another."""
    given = {
        "epochs": 2,
        "batch_size": BATCH,
        "seed": 4,
        "progress": False,
        "callbacks": [K.Checkpoint(tmp_path / "a")],
    }
    run = shared.fit(rows(), **given)
    before = steps_in(saved)
    starts: list[dict[str, Any]] = [{"run": run}, {"resume": tmp_path / "a"}]
    for start in starts:
        with pytest.raises(jg.errors.ResumeError, match="of another run"):
            shared.fit(rows(), **{**given, "epochs": 4, "callbacks": [K.Checkpoint(saved)], **start})
    assert steps_in(saved) == before


def test_a_step_is_no_directory_of_steps(shared: jg.Trainer, saved: Path) -> None:
    step = saved / str(steps_in(saved)[-1])
    with pytest.raises(jg.errors.ArgumentError, match="one of its steps"):
        changed(shared, saved, resume=step)


@pytest.mark.parametrize("implementation", ["rbg", "unsafe_rbg", None])
def test_keys_of_every_kind_go_on(shared: jg.Trainer, implementation: str | None, tmp_path: Path) -> None:
    key = jax.random.PRNGKey(5) if implementation is None else jax.random.key(5, impl=implementation)
    given = {"batch_size": BATCH, "seed": 3, "progress": False}
    whole = shared.fit(rows(), epochs=2, train_state=shared.init(key), **given)
    again, starts = whole, [{"train_state": shared.init(key)}, {"resume": tmp_path}]
    for epochs, start in enumerate(starts, 1):
        again = shared.fit(rows(), epochs=epochs, callbacks=[K.Checkpoint(tmp_path)], **given, **start)
    assert plain(again.train_state) == plain(whole.train_state)


class Odd(K.Callback):
    """Has a memory with odd keys, and fields of every kind."""

    milestones: tuple[int, ...] = (1, 2)
    table: Any = None

    def init(self, train_state: jg.TrainState) -> Any:
        del train_state
        return {"a/b": 1, "a": {"b": 2.0, "b/c": jnp.ones(2)}, "age": np.zeros(1), "age/loss": np.ones(1), "": True}

    def on_epoch_end(self, memory: Any, event: K.Event) -> Any:
        return {**memory, "a/b": memory["a/b"] + 1}, []


def test_odd_keys_and_fields_go_on(shared: jg.Trainer, tmp_path: Path) -> None:
    given = {"batch_size": BATCH, "progress": False}
    odd = Odd(table={"x": functools.partial(print, 1)}, name="odd")
    for epochs in (1, 2):
        run = shared.fit(rows(), epochs=epochs, callbacks=[odd, K.Checkpoint(tmp_path)], resume=tmp_path, **given)
    assert plain(run.memories["odd"]) == plain({**odd.init(run.train_state), "a/b": 3})


def test_a_run_that_stopped_early_stays_stopped(shared: jg.Trainer, tmp_path: Path) -> None:
    class Enough(K.Callback):
        def on_epoch_end(self, memory: Any, event: K.Event) -> Any:
            return memory, [K.Stop("enough")] if event.epoch == 1 else []

    given = {"epochs": 5, "progress": False}
    first = arrays(shared.fit, callbacks=[Enough(), K.Checkpoint(tmp_path)], **given)
    again = arrays(shared.fit, callbacks=[Enough(), K.Checkpoint(tmp_path)], resume=tmp_path, **given)
    assert (first.stopped, again.stopped) == ("enough", "enough")
    assert first.position == again.position == (2, 0)
    assert plain(first.train_state) == plain(again.train_state)
