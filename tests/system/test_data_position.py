"""A run that is stopped at any batch goes on with the next one: of rows, of data with a state, and by a replay."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, ResumeError, SaveError
from jgraph.train.state import Position

K = jg.callbacks
ROWS, BATCH, STEPS = 10, 4, 3  # the last batch of an epoch has 2 rows


def trainer(**options: Any) -> jg.Trainer:
    x = jg.Input((3,), name="x")
    hidden = jg.layers.Dropout(0.2)(jg.layers.Dense(4, "tanh")(x))
    model = jg.Model(x, jg.layers.Dense(2, name="y")(hidden))
    return jg.Trainer(model, optax.adam(0.05), loss="mse", metrics="mae", **options)


TRAINER = trainer()


@functools.cache
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(ROWS, 3)).astype("float32"), random.normal(size=(ROWS, 2)).astype("float32")


def batch(number: int, order: Any = range(ROWS), scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    chosen = list(order)[number * BATCH : (number + 1) * BATCH]
    return rows()[0][chosen], rows()[1][chosen] * np.float32(scale)


def batches(scales: dict[int, float] | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    return [batch(number, scale=(scales or {}).get(number, 1.0)) for number in range(STEPS)]


class Reader:
    """An iterator over one epoch that tells its position: a state that it goes on to change itself."""

    def __init__(self, stream: "Stream") -> None:
        self.stream, self.state = stream, {"next": 0}

    def __iter__(self) -> "Reader":
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        number = self.state["next"]
        if number == STEPS:
            raise StopIteration
        self.state["next"] += 1
        return self.stream.read(number)

    def get_state(self) -> dict[str, int]:
        return self.state

    def set_state(self, state: dict[str, int]) -> None:
        self.state = state


class Stream:
    """Batches whose iterators tell their position; it counts what is read."""

    def __init__(self, scales: dict[int, float] | None = None) -> None:
        self.reads, self.scales = list[int](), scales or {}

    def __iter__(self) -> Reader:
        return Reader(self)

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        self.reads.append(number)
        return batch(number, scale=self.scales.get(number, 1.0))


class Loader:
    """As torchdata's `StatefulDataLoader`: it tells its own position, and shuffles each epoch otherwise."""

    def __init__(self) -> None:
        self.reads, self.random, self.begun, self.set = list[int](), np.random.default_rng(5), None, None

    def __iter__(self) -> Iterator[Any]:
        given, self.set = self.set, None
        if given is None or given["ended"]:
            self.begun = {"order": self.random.permutation(ROWS), "next": 0, "ended": False}
        else:
            self.begun = dict(given)
        return self.epoch(self.begun)

    def epoch(self, begun: dict[str, Any]) -> Iterator[Any]:
        while begun["next"] < STEPS:
            begun["next"] += 1
            self.reads.append(begun["next"] - 1)
            yield batch(begun["next"] - 1, begun["order"])
        begun["ended"] = True

    def __len__(self) -> int:
        return STEPS

    def state_dict(self) -> dict[str, Any]:
        return {"random": self.random.bit_generator.state, "begun": self.begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.random.bit_generator.state = state["random"]
        self.begun = self.set = state["begun"]


class Endless:
    """One pass without an end; its position is bytes."""

    def __init__(self) -> None:
        self.next, self.reads = 0, list[int]()

    def __iter__(self) -> "Endless":
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        self.next += 1
        self.reads.append(self.next - 1)
        return batch((self.next - 1) % STEPS, np.random.default_rng(self.next // STEPS).permutation(ROWS))

    def get_state(self) -> bytes:
        return str(self.next).encode()

    def set_state(self, state: bytes) -> None:
        self.next = int(state)


class Source:
    """Rows for Grain; it counts what is read."""

    def __init__(self) -> None:
        self.reads = list[int]()

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self.reads.append(index)
        return rows()[0][index], rows()[1][index]

    def __repr__(self) -> str:
        return "Source()"


class Noise(grain.transforms.RandomMap):
    def random_map(self, element: Any, rng: np.random.Generator) -> Any:
        return element[0] + rng.normal(size=3).astype("float32"), element[1]


def map_dataset() -> Any:
    return grain.MapDataset.source(Source()).seed(3).shuffle().random_map(Noise()).batch(BATCH)


def iter_dataset() -> Any:
    return grain.MapDataset.source(Source()).seed(3).shuffle().to_iter_dataset().random_map(Noise()).batch(BATCH)


def grain_loader() -> Any:
    sampler = grain.samplers.IndexSampler(ROWS, shuffle=True, seed=3, num_epochs=1)
    operations = [Noise(), grain.transforms.Batch(BATCH)]
    return grain.DataLoader(data_source=Source(), sampler=sampler, operations=operations, worker_count=0)


def endless_grain() -> Any:
    """One pass: the iterator itself, which goes on from epoch to epoch."""
    return iter(map_dataset().repeat().to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)))


def mapped(folder: Path) -> tuple[np.ndarray, ...]:
    files = []
    for name, array in zip("xy", rows(), strict=True):
        array.tofile(folder / name)
        files.append(np.memmap(folder / name, dtype=array.dtype, mode="r", shape=array.shape))
    return tuple(files)


CUT: dict[str, Any] = {"steps_per_epoch": 2}
WHOLE: dict[str, Any] = {"steps_per_epoch": STEPS}
FORMS: dict[str, tuple[Callable[[Path], Any], dict[str, Any]]] = {
    "arrays on the device": (lambda _: rows(), {}),
    "arrays on the host": (lambda _: rows(), {"data_on_device": False}),
    "files": (mapped, {}),
    "a MapDataset of Grain": (lambda _: map_dataset(), {}),
    "an IterDataset of Grain": (lambda _: iter_dataset(), {}),
    "an IterDataset of Grain, cut": (lambda _: iter_dataset(), CUT),
    "a DataLoader of Grain": (lambda _: grain_loader(), {}),
    "an endless iterator of Grain": (lambda _: endless_grain(), WHOLE),
    "get_state": (lambda _: Stream(), {}),
    "state_dict": (lambda _: Loader(), {}),
    "state_dict, cut": (lambda _: Loader(), CUT),
    "one pass with get_state": (lambda _: Endless(), WHOLE),
    "batches in a list": (lambda _: batches(), {}),
}


def fit(data: Any, given: jg.Trainer = TRAINER, **options: Any) -> jg.Run:
    return given.fit(data, **{"epochs": 2, "batch_size": BATCH, "progress": False, "seed": 1, **options})


class Breaks(K.Callback):
    """Raises an error behind a step, or where an epoch begins."""

    step: int | None = None
    epoch: int | None = None

    def on_step_end(self, memory: Any, event: K.Event) -> Any:
        if event.step == self.step:
            raise OSError("the cable")
        return memory, []

    def on_epoch_begin(self, memory: Any, event: K.Event) -> Any:
        if event.epoch == self.epoch:
            raise OSError("the cable")
        return memory, []


def broken(data: Any, directory: Path | None = None, given: jg.Trainer = TRAINER, **options: Any) -> jg.Run:
    """The run that is left by an error; it is saved where there is a directory."""
    where = {name: options.pop(name) for name in ("step", "epoch") if name in options}
    saves = [] if directory is None else [K.Checkpoint(directory, every_steps=10**6, every_epochs=None, on_error=True)]
    with pytest.raises(jg.errors.CallbackError, match="the cable") as caught:
        fit(data, given, callbacks=[Breaks(**where), *saves], **options)
    return caught.value.__dict__["run"]


def starts(directory: Path, run: jg.Run) -> list[dict[str, Any]]:
    """The ways to go on: from a file, and from memory."""
    return [{"resume": directory}, {"run": run}]


def same(one: jg.Run, other: jg.Run) -> None:
    def plain(run: jg.Run) -> Any:
        state = run.train_state
        return state.replace(key=jax.random.key_data(state.key)), run.history

    jax.tree.map(np.testing.assert_array_equal, plain(one), plain(other))
    assert one.position == other.position


@pytest.mark.parametrize("form", FORMS)
def test_a_run_goes_on_from_every_batch_to_the_same_bits(form: str, tmp_path: Path) -> None:
    make, options = FORMS[form]
    whole = fit(make(tmp_path), **options)
    total = int(whole.train_state.step)
    for number, where in enumerate([*({"step": step} for step in range(1, total + 1)), {"epoch": 1}]):
        folder, data = tmp_path / str(number), make(tmp_path)
        left = broken(data, folder, **where, **options)
        same(fit(make(tmp_path), resume=folder, **options), whole)
        same(fit(data, run=left, **options), whole)
        same(fit(make(tmp_path), run=left, **options), whole)


@pytest.mark.parametrize("form", ["get_state", "state_dict", "batches in a list"])
def test_batches_in_parts_go_on_too(form: str, tmp_path: Path) -> None:
    make, _ = FORMS[form]
    given = trainer(accumulate=2)
    whole = fit(make(tmp_path), given)
    for step in (2, 3, 5):
        left = broken(make(tmp_path), given=given, step=step)
        same(fit(make(tmp_path), given, run=left), whole)


# Nothing is read twice


@pytest.mark.parametrize("make", [Stream, Loader])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_what_keeps_a_state_reads_no_batch_again(make: Any, step: int, tmp_path: Path) -> None:
    broken(make(), tmp_path, step=step)
    data = make()
    run = fit(data, resume=tmp_path)
    assert len(data.reads) == 2 * STEPS - step
    assert not any("again" in text for text in run.events)


def test_one_pass_reads_no_batch_again(tmp_path: Path) -> None:
    broken(Endless(), tmp_path, step=4, **WHOLE)
    data = Endless()
    fit(data, resume=tmp_path, **WHOLE)
    assert data.reads == [4, 5]


def test_grain_reads_no_row_again(tmp_path: Path) -> None:
    def make(source: Source) -> Any:
        return grain.MapDataset.source(source).seed(3).shuffle().batch(BATCH)

    broken(make(Source()), tmp_path, step=2)
    source = Source()
    fit(make(source), resume=tmp_path)
    assert len(source.reads) == ROWS - 2 * BATCH + ROWS


def test_the_position_is_behind_the_last_step_and_not_behind_what_was_read_ahead() -> None:
    data = Stream()
    left = broken(data, step=1)
    assert left.place is not None
    assert (left.place.of, left.place.value) == ("iterator", {"next": 1})
    assert len(data.reads) > 1
    fit(Stream(), run=left)
    assert left.place.value == {"next": 1}


def test_ctrl_c_while_a_batch_is_read_loses_none() -> None:
    class Interrupting(Endless):
        def __next__(self) -> Any:
            if self.next == 4 and len(self.reads) == 4:
                os.kill(os.getpid(), signal.SIGINT)
            return super().__next__()

    data = Interrupting()
    run = fit(data, **WHOLE)
    assert run.stopped == "interrupted"
    same(fit(data, **WHOLE, run=run), fit(Endless(), **WHOLE))


def test_an_error_before_the_first_step_loses_no_batch() -> None:
    class Refuses(K.Callback):
        def on_step_begin(self, memory: Any, event: K.Event) -> Any:
            return memory, [K.Stop("not yet")]

    data = Endless()
    run = fit(data, **WHOLE, callbacks=[Refuses()])
    assert (run.stopped, run.position) == ("not yet", Position(0, 0))
    assert data.reads
    same(fit(data, **WHOLE, run=run), fit(Endless(), **WHOLE))


@pytest.mark.parametrize("make", [Stream, batches])
def test_a_step_that_is_refused_is_tried_again_with_its_batch(make: Any) -> None:
    run = fit(make({1: 1e30}))
    assert "not finite" in str(run.stopped)
    assert run.position == Position(0, 1)
    same(fit(make(), run=run), fit(make()))


def test_an_iterator_goes_on_where_steps_cut_an_epoch() -> None:
    same(fit(iter(batches() * 2), **WHOLE), fit(batches()))
    first = iter(batches() * 2)
    run = fit(first, epochs=1, **WHOLE)
    same(fit(first, run=run, **WHOLE), fit(batches()))
    with pytest.raises(ArgumentError, match="or steps_per_epoch"):
        fit(iter(batches() * 2))


# Without a state


def test_a_replay_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = broken(batches(), tmp_path, step=2)
    assert left.place is not None
    assert isinstance(left.place.value, str)
    for start in starts(tmp_path, left):
        caplog.clear()
        caplog.set_level("INFO", "jgraph")
        run = fit(batches(), **start)
        assert sum("reads 2 batches again to find its place" in text for text in run.events) == 1
        assert sum("reads 2 batches again" in text for text in caplog.messages) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (batches()[::-1], r"fit, batch 1: expected the 2 batches that the run took .*, got others\..*get_state"),
        (batches()[:1], r"fit, batch 0: .*got 1, then the data ended"),
        ([batches()[0], *batches()[:2]], r"fit, batch 1: .*got others"),
        ([], r"fit: expected the 2 batches .*got 0, then the data ended"),
    ],
)
def test_changed_batches_are_noticed(changed: Any, message: str, tmp_path: Path) -> None:
    left = broken(batches(), tmp_path, step=2)
    for start in starts(tmp_path, left):
        with pytest.raises(ResumeError, match=message) as caught:
            fit(changed, **start)
        assert caught.value.__dict__["run"].position == Position(0, 2)


def test_a_generator_cannot_go_on_and_none_of_it_is_read(tmp_path: Path) -> None:
    left = broken(iter(batches()), tmp_path, step=2, epochs=1)
    for start in starts(tmp_path, left):
        given = iter(batches())
        with pytest.raises(ResumeError, match=r"an iterator \(list_iterator\) that did not.*get_state and set_state"):
            fit(given, epochs=1, **start)
        assert len(list(given)) == STEPS


def test_a_generator_cannot_go_on_in_another_process_between_two_epochs(tmp_path: Path) -> None:
    broken(iter(batches() * 2), tmp_path, epoch=1, **WHOLE)
    for data in (iter(batches() * 2), Endless()):
        with pytest.raises(ResumeError, match="data that can be read again, or that told their position"):
            fit(data, resume=tmp_path, **WHOLE)


def test_a_run_that_is_done_asks_nothing_of_its_data(tmp_path: Path) -> None:
    whole = fit(iter(batches()), epochs=1, callbacks=[K.Checkpoint(tmp_path)])
    same(fit(iter(batches()), epochs=1, resume=tmp_path), whole)


# Other data than before


@pytest.mark.parametrize("make", [Stream, Loader])
def test_data_that_lost_their_state_are_refused(make: Any, tmp_path: Path) -> None:
    left = broken(make(), tmp_path, step=2)
    for start in starts(tmp_path, left):
        with pytest.raises(ResumeError, match=r"without get_state and set_state, or state_dict and load_state_dict"):
            fit(batches(), **start)


def test_a_state_that_the_data_do_not_take_is_an_error_of_the_run() -> None:
    class Picky(Reader):
        def set_state(self, state: dict[str, int]) -> None:
            raise KeyError("shard")

    class Changed(Stream):
        def __iter__(self) -> Reader:
            return Picky(self)

    left = broken(Stream(), step=1)
    with pytest.raises(ResumeError, match=r"KeyError from set_state: 'shard'\. Give the data that the run began with"):
        fit(Changed(), run=left)


def test_data_that_have_grown_are_noticed_between_two_epochs() -> None:
    class Longer(Loader):
        def epoch(self, begun: dict[str, Any]) -> Iterator[Any]:
            yield from super().epoch(begun)
            yield batch(0)

    left = broken(Loader(), epoch=1)
    with pytest.raises(ResumeError, match="data that end where the last epoch of the run ended, got another batch"):
        fit(Longer(), run=left)


def test_other_data_may_follow_between_two_epochs() -> None:
    for first, options in ((Loader(), {}), (Stream(), {}), (Endless(), WHOLE)):
        run = fit(first, epochs=1, **options)
        assert fit(batches(), run=run).position == Position(2)
        assert fit(rows(), run=run).position == Position(2)


# What a checkpoint can hold


def test_a_state_that_no_file_can_hold_is_refused_before_the_first_step(tmp_path: Path) -> None:
    class Opaque(Endless):
        def get_state(self) -> Any:
            return {"next": self.next, "kind": Position}

        def set_state(self, state: Any) -> None:
            self.next = state["next"]

    with pytest.raises(SaveError, match=r"fit, batch 0, state of the data, 'kind': .*nothing is pickled") as caught:
        fit(Opaque(), callbacks=[K.Checkpoint(tmp_path)], **WHOLE)
    assert int(caught.value.__dict__["run"].train_state.step) == 0
    left = broken(Opaque(), step=2, **WHOLE)
    same(fit(Opaque(), run=left, **WHOLE), fit(Endless(), **WHOLE))


def test_a_range_test_leaves_data_alone_that_keep_a_state() -> None:
    given, data = jg.Trainer(TRAINER.model, optax.sgd, learning_rate=0.1, loss="mse"), Loader()
    with pytest.raises(ArgumentError, match="a Loader, which a range test would bring to another place"):
        fit(data, given, callbacks=[K.LearningRateFinder(steps=10)])
    assert not data.reads
