"""What fit takes as data, and how epochs and validation are cut: loaders of others, files, and each argument."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph import arrays
from jgraph.data.rows import order_of
from jgraph.train import source
from jgraph.train.state import Position


def make(metrics: Any = None) -> jg.Trainer:
    x = jg.Input((3,), name="x")
    return jg.Trainer(
        jg.Model(x, {"y": jg.layers.Dense(2, name="y")(x)}), optax.adam(0.05), loss="mse", metrics=metrics
    )


TRAINER = make()


def data(rows: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 3)).astype("float32"), random.normal(size=(rows, 2)).astype("float32")


def fit(given: Any, trainer: jg.Trainer = TRAINER, epochs: int = 2, **options: Any) -> jg.Run:
    return trainer.fit(given, epochs=epochs, **{"progress": False, "batch_size": 4, **options})


def cut(given: tuple, size: int = 4) -> list[tuple]:
    return [tuple(a[i : i + size] for a in given) for i in range(0, len(given[0]), size)]


def same(one: jg.Run, other: jg.Run) -> None:
    jax.tree.map(
        np.testing.assert_array_equal,
        (one.train_state.params, one.train_state.opt_state, one.history),
        (other.train_state.params, other.train_state.opt_state, other.history),
    )


def host(**options: Any) -> jg.Run:
    """What all iterables of the same batches have to equal, to the last bit."""
    return fit(data(), shuffle=False, data_on_device=False, **options)


# Loaders of others: stand-ins with their protocols, and the real ones where they are installed


class Tensor:
    """As a tensor of PyTorch or TensorFlow: not NumPy's dtype, and no arithmetic that we could rely on."""

    def __init__(self, value: np.ndarray) -> None:
        self.value, self.shape, self.dtype = value, value.shape, f"library.{value.dtype}"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.value


class Loader:
    """As a PyTorch `DataLoader`: lists of tensors, which are views of a buffer that is used again."""

    def __init__(self, given: tuple, length: int | None = None) -> None:
        self.batches, self.length, self.begun, self.open = cut(given), length, 0, 0

    def __iter__(self) -> Iterator[list[Tensor]]:
        self.begun += 1
        self.open += 1
        buffer = [np.zeros((64, *a.shape[1:]), a.dtype) for a in self.batches[0]]
        try:
            for batch in self.batches:
                for place, array in zip(buffer, batch, strict=True):
                    place[:] = np.nan
                    place[: len(array)] = array
                yield [Tensor(place[: len(array)]) for place, array in zip(buffer, batch, strict=True)]
        finally:
            self.open -= 1

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("object of type 'IterableDataset' has no len()")
        return self.length


class Dataset(Loader):
    """As `tf.data.Dataset`: tuples of NumPy arrays from `as_numpy_iterator`."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("tensors on TensorFlow's device")

    def as_numpy_iterator(self) -> Iterator[tuple]:
        return iter(self.batches)


@pytest.mark.parametrize("loader", [Loader(data()), Loader(data(), 3), Dataset(data()), Dataset(data(), 3)])
def test_a_loader_equals_rows_to_the_last_bit(loader: Any) -> None:
    seen = []
    watch = jg.callbacks.on_step_end(lambda event: seen.append(event.steps))
    same(fit(loader, callbacks=[watch], validation_data=loader), host(callbacks=[watch], validation_data=data()))
    assert seen[0] == loader.length
    assert TRAINER.evaluate(TRAINER.init(jax.random.key(0)), loader) == TRAINER.evaluate(
        TRAINER.init(jax.random.key(0)), cut(data())
    )
    if not isinstance(loader, Dataset):
        assert (loader.begun, loader.open) == (5, 0)


def test_arrays_may_be_tensors() -> None:
    tensors = tuple(Tensor(a) for a in data())
    same(fit(tensors, validation_split=0.2), fit(data(), validation_split=0.2))
    train_state = TRAINER.init(jax.random.key(0))
    np.testing.assert_array_equal(
        TRAINER.predict(train_state, tensors[0])["y"], TRAINER.predict(train_state, data()[0])["y"]
    )
    logs = TRAINER.step(train_state, list(tensors))[1]
    assert logs["loss"] == TRAINER.step(train_state, data())[1]["loss"]


def test_a_data_loader_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(*map(torch.from_numpy, data()))
    loader = torch.utils.data.DataLoader(tensors, batch_size=4)
    same(fit(loader), host())
    same(fit(tuple(map(torch.from_numpy, data())), shuffle=False, data_on_device=False), host())
    half = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*(torch.from_numpy(a).bfloat16() for a in data())), batch_size=4
    )
    with pytest.raises(jg.errors.DataError, match=r"fit, batch 0, input 'x': .*torch\.bfloat16.*\.float\(\)"):
        fit(half)
    torch.manual_seed(0)
    shuffled = torch.utils.data.DataLoader(tensors, batch_size=4, shuffle=True)
    epochs = [list(shuffled), list(shuffled)]
    torch.manual_seed(0)
    once = fit(epochs[0], epochs=1)
    same(fit(shuffled), fit(epochs[1], run=once))  # nothing but its epochs draws from the loader's generator


def test_datasets_of_grain() -> None:
    grain = pytest.importorskip("grain")
    inputs, targets = data()
    rows = grain.MapDataset.range(10).map(lambda i: (inputs[i], targets[i])).batch(4)
    want = host(validation_data=data())
    same(fit(rows, validation_data=rows), want)
    same(fit(rows.to_iter_dataset(), validation_data=rows), want)
    loader = grain.DataLoader(
        data_source=list(zip(*data(), strict=True)),
        sampler=grain.samplers.IndexSampler(10, shuffle=False, num_epochs=1),
        operations=[grain.transforms.Batch(4)],
        worker_count=0,
    )
    same(fit(loader, validation_data=loader), want)
    infinite = grain.MapDataset.range(10).repeat().map(lambda i: (inputs[i % 10], targets[i % 10])).batch(5)
    assert int(fit(infinite, steps_per_epoch=2).train_state.step) == 4


def test_a_dataset_of_tensorflow() -> None:
    tensorflow = pytest.importorskip("tensorflow")
    same(fit(tensorflow.data.Dataset.from_tensor_slices(data()).batch(4)), host())


# Generators


def endless() -> Iterator[tuple]:
    while True:
        yield from cut(data(8))


class Endless:
    def __iter__(self) -> Iterator[tuple]:
        return endless()


class Once:
    """An iterable that is used up, though its type does not say so."""

    def __init__(self) -> None:
        self.batches = cut(data())

    def __iter__(self) -> Iterator[tuple]:
        while self.batches:
            yield self.batches.pop(0)


def test_an_iterable_without_end_needs_steps() -> None:
    assert int(fit(Endless(), steps_per_epoch=3).train_state.step) == 6
    same(fit(Endless(), steps_per_epoch=2), fit(cut(data(8))))
    train_state = TRAINER.init(jax.random.key(0))
    assert TRAINER.evaluate(train_state, endless(), steps=2) == TRAINER.evaluate(train_state, cut(data(8)))


def test_a_generator_is_left_to_its_owner_behind_the_last_step() -> None:
    batches = endless()
    fit(batches, epochs=1, steps_per_epoch=3)
    np.testing.assert_array_equal(next(batches)[0], cut(data(8))[1][0])


def test_what_is_used_up_is_said_by_the_epoch_that_finds_it_so() -> None:
    with pytest.raises(
        jg.errors.DataError, match=r"got 0, then .*__iter__ starts anew: an earlier epoch has used"
    ) as e:
        fit(Once())
    assert e.value.__dict__["run"].position == Position(1)
    with pytest.raises(jg.errors.DataError, match=r"expected 5 batches an epoch, got 3, then.*fewer steps"):
        fit(iter(cut(data())), epochs=1, steps_per_epoch=5)
    with pytest.raises(jg.errors.DataError, match="expected at least 1 batches an epoch, got 0"):
        fit([])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": data()[0], "y": data()[1]}, r"got a dict with the keys 'x', 'y'.*\(batch\['x'\], batch\['y'\]\)"),
        (data()[0], r"got a ndarray\. Put inputs and targets in one tuple"),
        ([data()[0]], r"got a list of 1\."),
        ((data()[0][:, :2], data()[1]), r"input 'x'.*2"),
        ((data()[0] * np.nan, data()[1]), r"input 'x': expected finite numbers.*first in row 0"),
        ((data()[0], data()[1][:3]), r"same number of rows.*10.*3"),
    ],
)
def test_a_bad_batch_is_named_and_the_steps_before_it_are_kept(batch: Any, message: str) -> None:
    for on in (1, 2, 4):
        with pytest.raises(jg.errors.JGraphError, match=rf"(?s)^fit, batch {on}\b.*{message}") as caught:
            fit([*cut(data(16))[:on], batch, *cut(data())])
        run = caught.value.__dict__["run"]
        assert run.position == Position(0, on)
        assert int(run.train_state.step) == on


def test_an_error_of_the_data_comes_in_its_place() -> None:
    error = ZeroDivisionError("in the loader")

    def batches() -> Iterator[tuple]:
        yield from cut(data(8))
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        fit(batches(), epochs=1)
    assert caught.value is error
    assert error.__dict__["run"].position == Position(0, 2)
    assert error.__notes__ == ["Raised by the data, where fit, batch 2 was to be read."]


# Files


def test_a_mapped_array_equals_one_in_memory(tmp_path: Path) -> None:
    files = []
    for name, array in zip("xy", data(), strict=True):
        array.tofile(tmp_path / name)
        files.append(np.memmap(tmp_path / name, dtype=array.dtype, mode="r", shape=array.shape))
    choices: list[dict[str, Any]] = [{}, {"shuffle": False}, {"validation_split": 0.3}]
    for options in choices:
        same(fit(tuple(files), **options), fit(data(), data_on_device=False, **options))
    same(fit(tuple(files), data_on_device=True), fit(data()))
    bad = np.memmap(tmp_path / "x", dtype="float32", mode="c", shape=(10, 3))
    bad[7, 1] = np.nan
    with pytest.raises(jg.errors.DataError, match=r"input 'x': expected finite numbers.*first in row 7"):
        fit((bad, files[1]))


def test_bad_rows_of_a_file_are_named_by_their_place_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "PIECE_BYTES", 24)
    x = jg.Input((), dtype="int32", name="x")
    y = jg.layers.Dense(3, activation="softmax", name="y")(jg.layers.Embedding(5, 2)(x))
    trainer = jg.Trainer(jg.Model(x, y), optax.sgd(0.1), loss="sparse_categorical_crossentropy")
    indices, labels = np.zeros(20, "int64"), np.zeros(20, "int64")
    indices.tofile(tmp_path / "x")
    stored = np.memmap(tmp_path / "x", dtype="int64", mode="r+", shape=(20,))
    fit((stored, labels), trainer, epochs=1)
    labels[17] = 3
    with pytest.raises(jg.errors.DataError, match=r"labels of .* from 0 to 2, got others, the first in row 17"):
        fit((stored, labels), trainer)
    labels[17] = 0
    stored[13] = 5
    with pytest.raises(jg.errors.DataError, match="from 0 to 4, got others, the first in row 13"):
        fit((stored, labels), trainer)
    with pytest.raises(jg.errors.DataError, match="from 0 to 4, got others, the first in row 13"):
        trainer.predict(trainer.init(jax.random.key(0)), stored)
    stored[13] = 2**40
    with pytest.raises(jg.errors.DTypeError, match="values that int32 can hold"):
        fit((stored, labels), trainer)


# Where rows lie


@pytest.mark.parametrize(("said", "limit", "resident"), [(None, 2**30, True), (None, 10, False), (True, 10, True)])
def test_the_size_of_the_data_decides_unless_told(
    said: bool | None, limit: int, resident: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "ON_DEVICE_BYTES", limit)
    feeds = []
    kept = source.Source.epoch
    monkeypatch.setattr(source.Source, "epoch", lambda *args: feeds.append(kept(*args)) or feeds[-1])
    fit(data(), data_on_device=said)
    fit(data(), data_on_device=False)
    kinds = [type(feed).__name__ for feed in feeds]
    assert kinds == ["DeviceFeed" if resident else "HostFeed"] * 2 + ["HostFeed"] * 2


def test_where_rows_lie_changes_nothing_but_rounding() -> None:
    one, other = fit(data(), data_on_device=True), fit(data(), data_on_device=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one.history, other.history)


# Epochs


@pytest.mark.parametrize("on_device", [True, False])
def test_what_does_not_fill_a_batch_can_be_dropped(on_device: bool) -> None:
    run = fit(data(), drop_last=True, data_on_device=on_device, seed=3)
    assert int(run.train_state.step) == 4
    train_state = TRAINER.init(jax.random.key(3))
    for epoch in range(2):
        for rows in order_of(10, 4, seed=3, epoch=epoch)[:2]:
            train_state, _ = TRAINER.step(train_state, tuple(a[rows] for a in data()))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), run.train_state.params, train_state.params)
    same(fit(data(8), drop_last=True), fit(data(8)))


def test_an_initial_epoch_goes_on_with_order_and_number() -> None:
    whole, first = fit(data(), epochs=5), fit(data(), epochs=2)
    epochs = []
    watch = jg.callbacks.on_epoch_end(lambda event: epochs.append(event.epoch))
    rest = fit(data(), epochs=5, initial_epoch=2, train_state=first.train_state, callbacks=[watch])
    jax.tree.map(np.testing.assert_array_equal, whole.train_state.params, rest.train_state.params)
    assert rest.history == {name: values[2:] for name, values in whole.history.items()}
    assert (epochs, rest.position) == ([2, 3, 4], Position(5))
    assert fit(data(), epochs=2, initial_epoch=2).history == {}
    onward = fit(data(), epochs=6, run=rest)
    assert len(onward.history["loss"]) == 4


def test_a_run_that_is_resumed_keeps_its_initial_epoch(tmp_path: Path) -> None:
    first = fit(data(), epochs=2)
    begun = {"initial_epoch": 2, "train_state": first.train_state}
    whole = fit(data(), epochs=6, **begun)
    fit(data(), epochs=4, callbacks=[jg.callbacks.Checkpoint(tmp_path)], **begun)
    same(fit(data(), epochs=6, resume=tmp_path, callbacks=[jg.callbacks.Checkpoint(tmp_path)]), whole)


# Validation


def test_validation_is_of_some_epochs_and_batches() -> None:
    held_out = data(9, seed=1)
    full = fit(data(), epochs=5, validation_data=held_out)
    run = fit(data(), epochs=5, validation_data=held_out, validation_every=2)
    values = [value if epoch in (1, 3) else np.nan for epoch, value in enumerate(full.history["val_loss"])]
    np.testing.assert_array_equal(run.history["val_loss"], values)
    assert run.history["loss"] == full.history["loss"]
    some = fit(data(), validation_data=held_out, validation_steps=2, validation_batch_size=3)
    want = fit(data(), validation_data=tuple(a[:6] for a in held_out), validation_batch_size=3)
    assert some.history == want.history
    batches = fit(data(), validation_data=Endless(), validation_steps=2)
    assert batches.history == fit(data(), validation_data=cut(data(8))).history


def test_a_generator_validates_once() -> None:
    assert len(fit(data(), epochs=3, validation_every=2, validation_data=iter(cut(data()))).history["val_loss"]) == 3
    with pytest.raises(jg.errors.ArgumentError, match=r"fit, validation_data: .*an iterator"):
        fit(data(), epochs=4, validation_every=2, validation_data=iter(cut(data())))


def test_callbacks_pass_over_epochs_without_validation(tmp_path: Path) -> None:
    logs: list[dict[str, float]] = []

    def rising(event: Any) -> None:
        logs.append(dict(event.logs))

    trainer = make(["mae"])
    run = fit(
        data(),
        trainer,
        epochs=12,
        validation_data=data(9, seed=1),
        validation_every=2,
        callbacks=[
            jg.callbacks.on_epoch_end(rising),
            jg.callbacks.EarlyStopping("val_loss", patience=3, min_delta=100.0, restore_best=True),
            jg.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=100.0, factor=0.5),
            jg.callbacks.Checkpoint(tmp_path / "best", monitor="val_loss", best_only=True),
            jg.callbacks.Checkpoint(tmp_path / "all", monitor="val_mae", max_to_keep=20),
            jg.callbacks.CSVLogger(tmp_path / "log.csv"),
            jg.callbacks.TensorBoard(tmp_path / "board"),
        ],
    )
    assert run.position.epoch == 8  # the best is of epoch 2; then 4, 6 and 8 are waited on
    assert "val_loss has not improved for 3 epochs (best" in str(run.stopped)
    assert [name in log for log in logs for name in ("val_loss",)] == [False, True] * 4
    assert sum("learning rate" in event and "flat" in event for event in run.events) == 3
    steps = sorted(int(p.name) for p in (tmp_path / "all").iterdir() if p.name.isdigit())
    assert steps == [3 * (epoch + 1) for epoch in range(8)]
    rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert rows[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row[3] == "NA" for row in rows[1:]] == [True, False] * 4
    run.plot(tmp_path / "curves.svg")


# Wrong uses


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (data(), {"initial_epoch": -1}, "initial_epoch: expected an integer of at least 0"),
        (data(), {"initial_epoch": 3}, "epochs: expected an integer of at least 3"),
        (data(), {"initial_epoch": 1, "resume": "runs/none"}, "fit, initial_epoch: .*without run= and resume="),
        (data(), {"validation_every": 0}, "validation_every: expected an integer of at least 1"),
        (data(), {"validation_every": 2}, "fit, validation_every: expected data to validate on"),
        (data(), {"validation_steps": 2}, "fit, validation_steps: expected data to validate on"),
        (data(), {"validation_batch_size": 2}, "fit, validation_batch_size: expected data to validate on"),
        (data(), {"validation_steps": 0, "validation_split": 0.2}, "validation_steps: expected an integer"),
        (data(), {"validation_steps": 9, "validation_split": 0.5}, "at most the 2 batches that 5 rows give"),
        (data(), {"validation_steps": 4, "validation_data": cut(data())}, "at most the 3 batches that the data give"),
        (
            data(),
            {"validation_batch_size": 4, "validation_data": cut(data())},
            "an iterable, which has batches already",
        ),
        (data(), {"drop_last": 1}, "fit, drop_last: expected True or False"),
        (data(), {"drop_last": None}, "fit, drop_last: expected True or False"),
        (data(3), {"drop_last": True}, "at least one full batch, got 3 rows for 4.*batch_size=3"),
        (data(), {"drop_last": True, "steps_per_epoch": 3}, "at most the 2 batches that 10 rows give"),
        (cut(data()), {"drop_last": True}, r"fit, drop_last: expected arrays, got an iterable.*drop_remainder"),
        (cut(data()), {"data_on_device": True}, "fit, data_on_device: expected arrays, got an iterable"),
        (data(), {"data_on_device": "cpu"}, "fit, data_on_device: expected True or False"),
        (cut(data()), {"steps_per_epoch": 4}, "at most the 3 batches that the data give"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(jg.errors.ArgumentError, match=message):
        fit(given, **options)


def test_wrong_steps_of_evaluate() -> None:
    train_state = TRAINER.init(jax.random.key(0))
    for given, steps, message in [
        (data(), 0, "steps: expected an integer of at least 1"),
        (data(), 2, "evaluate, steps: expected at most the 1 batches that 10 rows give, got 2"),
        (cut(data()), 4, "evaluate, steps: expected at most the 3 batches that the data give"),
    ]:
        with pytest.raises(jg.errors.ArgumentError, match=message):
            TRAINER.evaluate(train_state, given, steps=steps)
    with pytest.raises(jg.errors.DataError, match="evaluate: expected 4 batches an epoch, got 3"):
        TRAINER.evaluate(train_state, iter(cut(data())), steps=4)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"drop_last": True}, "drop_last"),
        ({"data_on_device": False}, "data on the device"),
        ({"validation_steps": 1}, "validation_steps"),
        ({"validation_batch_size": 2}, "validation_batch_size"),
        ({"validation_every": 2}, "validation_every"),
    ],
)
def test_what_decides_about_bits_is_compared_by_resume(changed: dict[str, Any], name: str, tmp_path: Path) -> None:
    options = {"validation_split": 0.3, "callbacks": [jg.callbacks.Checkpoint(tmp_path)]}
    fit(data(), epochs=1, **options)
    with pytest.raises(jg.errors.ResumeError, match=name):
        fit(data(), resume=tmp_path, **options, **changed)
    assert fit(data(), resume=tmp_path, **options, data_on_device=True).position == Position(2)


def test_dropping_may_change_between_epochs_only() -> None:
    run = fit(data(), callbacks=[jg.callbacks.on_step_end(lambda event: [jg.callbacks.Stop("now")])])
    with pytest.raises(jg.errors.ArgumentError, match="fit, drop_last: expected False, as an epoch is under way"):
        fit(data(), run=run, drop_last=True)
