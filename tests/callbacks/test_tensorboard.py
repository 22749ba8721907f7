"""TensorBoard: what its hooks ask for, and the files that this makes."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.callbacks.tensorboard import TensorBoard
from jgraph.errors import ArgumentError, DataError, KeyMismatchError, PathError, ResumeError, ShapeError
from jgraph.storage.event_file import EventFile, read_records
from jgraph.storage.messages import Scalars
from jgraph.train.actions import Write
from jgraph.train.callback import Event


@dataclasses.dataclass
class State:
    """As much of a train state as the callback looks at."""

    lr_scale: Any


def event(epoch: int, **logs: float) -> Event:
    state, timings = State(jnp.float32(0.5)), {"seconds": 9.0, "epoch_seconds": 3.0, "steps_per_second": 120.0}
    return Event(epoch=epoch, step=10 * (epoch + 1), logs=logs, train_state=state, timings=timings)


def records(actions: Any) -> dict[str, Scalars]:
    return {Path(action.sink.directory).name: action.record for action in actions}


def fold(callback: TensorBoard, memory: Any, events: list[Event], *, anew: bool = False) -> Any:
    """Does what the loop does: opens the sinks as the memory says, and writes."""
    outlets = {sink: sink.open(None if anew else count) for sink, count in callback.sinks(memory).items()}
    for one in events:
        memory, actions = callback.on_epoch_end(memory, one)
        for action in actions:
            assert isinstance(action, Write)
            outlets[action.sink].write(action.record)
    for outlet in outlets.values():
        outlet.close()
    return memory


def steps(folder: Path) -> list[int]:
    """The steps of all events of all files of a folder."""
    from tensorboardX.proto import event_pb2

    kind: Any = event_pb2
    found = []
    for path in sorted(folder.iterdir()):
        assert path.stat().st_size == sum(16 + len(record) for record in read_records(path)), "nothing is torn"
        found += [kind.Event.FromString(record).step for record in list(read_records(path))[1:]]
    return found


def test_training_and_validation_share_their_charts() -> None:
    callback = TensorBoard("runs/tb")
    logs = {"loss": 0.5, "age/loss": 0.25, "val_loss": 0.75, "val_age/loss": math.inf}
    memory, actions = callback.on_epoch_end({"train": 2, "validation": 1}, event(3, **logs))
    assert memory == {"train": 3, "validation": 2}
    train = {"loss": 0.5, "age/loss": 0.25, "lr_scale": 0.5, "steps_per_second": 120.0, "epoch": 3}
    validation = {"loss": 0.75, "age/loss": math.inf}
    assert records(actions) == {"train": Scalars(40, train), "validation": Scalars(40, validation)}


def test_a_known_learning_rate_stands_for_its_scale() -> None:
    _, actions = TensorBoard("tb").on_epoch_end({"train": 0, "validation": 0}, event(0, loss=0.5, learning_rate=1e-3))
    assert list(records(actions)["train"].values) == ["loss", "learning_rate", "steps_per_second", "epoch"]


def test_steps_have_tags_of_their_own() -> None:
    callback = TensorBoard("tb", every_steps=5)
    assert callback.step_interval() == 5
    memory, actions = callback.on_step_end({"train": 4, "validation": 1}, event(0, loss=0.5, accuracy=0.75))
    assert memory == {"train": 5, "validation": 1}
    measured = {"steps/steps_per_second": 120.0}
    assert records(actions) == {"train": Scalars(10, {"steps/loss": 0.5, "steps/accuracy": 0.75, **measured})}
    assert TensorBoard("tb").step_interval() is None


def test_a_run_without_validation_has_no_files_for_it(tmp_path: Path) -> None:
    callback = TensorBoard(tmp_path / "tb")
    memory = fold(callback, callback.init(event(0).train_state), [event(e, loss=1.0) for e in range(3)], anew=True)
    assert memory == {"train": 3, "validation": 0}
    assert [path.name for path in (tmp_path / "tb").iterdir()] == ["train"]
    assert steps(tmp_path / "tb" / "train") == [10, 20, 30]


def test_a_run_that_goes_on_has_each_point_once(tmp_path: Path) -> None:
    callback = TensorBoard(tmp_path)
    epochs = [event(e, loss=1.0, val_loss=2.0) for e in range(6)]
    memory = fold(callback, callback.init(epochs[0].train_state), epochs[:2], anew=True)
    fold(callback, memory, epochs[2:4])  # lost: the machine stopped before the next checkpoint
    fold(callback, memory, epochs[2:])
    for run in ("train", "validation"):
        assert steps(tmp_path / run) == [10, 20, 30, 40, 50, 60]
        assert len(list((tmp_path / run).iterdir())) == 1


def test_the_hooks_are_pure() -> None:
    callback, memory = TensorBoard("tb", every_steps=1), {"train": 3, "validation": 3}
    one = event(3, loss=0.5, val_loss=0.25)
    for hook in (callback.on_epoch_end, callback.on_step_end):
        assert hook(memory, one) == hook(memory, one)
    assert memory == {"train": 3, "validation": 3}


def test_it_says_where_it_writes() -> None:
    callback = TensorBoard(Path("runs") / "tb")
    assert callback.places() == ("runs/tb",)
    expected = {EventFile(str(Path("runs/tb/train"))): 4, EventFile(str(Path("runs/tb/validation"))): 2}
    assert callback.sinks({"train": 4, "validation": 2}) == expected


@pytest.mark.parametrize("directory", ["", None, 3])
def test_what_is_no_path_is_refused(directory: Any) -> None:
    with pytest.raises(ArgumentError, match="TensorBoard, directory"):
        TensorBoard(directory)


@pytest.mark.parametrize("steps", [0, -1, "a", True, 1.5, math.nan])
def test_what_is_no_number_of_steps_is_refused(steps: Any) -> None:
    with pytest.raises(ArgumentError, match=r"TensorBoard, every_steps: expected an integer of at least 1"):
        TensorBoard("tb", every_steps=steps)


K = jg.callbacks


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"histograms": 0}, "TensorBoard, histograms: expected an integer of at least 1"),
        ({"histograms": "all"}, "TensorBoard, histograms: expected an integer"),
        ({"graph": 1}, "TensorBoard, graph: expected True or False"),
        ({"text": None}, "TensorBoard, text: expected True or False"),
        ({"images": True}, r"TensorBoard, images: expected a jg.callbacks.Images, got True. Write images="),
        ({"projector": "words"}, r"TensorBoard, projector: expected a jg.callbacks.Projector, got 'words'"),
        ({"hparams": {}}, r"TensorBoard, hparams: expected a dict of names to values"),
        ({"hparams": {"units": [1, 2]}}, r"TensorBoard, hparams, 'units': expected a finite number, a text"),
        ({"hparams": {"rate": math.nan}}, r"TensorBoard, hparams, 'rate': expected a finite number"),
        ({"profile_steps": 10}, r"TensorBoard, profile_steps: expected two steps"),
        ({"profile_steps": (20, 10)}, r"TensorBoard, profile_steps: expected two steps"),
    ],
)
def test_what_a_field_cannot_be(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        TensorBoard("tb", **fields)


def test_hooks_are_due_at_the_steps_of_each_part() -> None:
    callback = TensorBoard("tb", every_steps=4, histograms=6, profile_steps=(3, 13))
    assert [step for step in range(1, 20) if callback.due_from(step) == step] == [3, 4, 6, 8, 12, 13, 16, 18]
    assert TensorBoard("tb", profile_steps=(3, 13)).due_from(14) is None
    assert callback.step_interval() == 1
    assert TensorBoard("tb", every_steps=10, histograms=15).step_interval() == 5


def drawn() -> jg.Model:
    image, text = jg.Input((4, 4, 1), name="image"), jg.Input((3,), dtype="int32", name="text")
    words = jg.layers.GlobalAveragePooling1D()(jg.layers.Embedding(7, 2, name="words")(text))
    joined = jg.layers.concatenate([jg.layers.Flatten()(image), words])
    answer = jg.layers.Dense(3, activation="softmax", name="answer")(joined)
    return jg.Model([image, text], {"answer": answer, "size": jg.layers.Dense(1, name="size")(joined)})


def rows(count: int = 8) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    inputs = [random.random((count, 4, 4, 1), np.float32), random.integers(0, 7, (count, 3))]
    return inputs, {"answer": random.integers(0, 3, count), "size": random.random((count, 1), np.float32)}


INPUTS, TARGETS = rows()
ODD: Any = "cat"


@pytest.fixture(scope="module")
def trainer() -> jg.Trainer:
    losses = {"answer": "sparse_categorical_crossentropy", "size": "mse"}
    return jg.Trainer(drawn(), optax.sgd(0.1), loss=losses)


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"projector": K.Projector("word")}, PathError, "Did you mean 'words'"),
        ({"projector": K.Projector("answer")}, ArgumentError, "expected an Embedding, whose table is shown"),
        ({"projector": K.Projector("words", metadata=["a"])}, DataError, "metadata, label: .* got 1 for 7 points"),
        (
            {"projector": K.Projector("answer", INPUTS, images=INPUTS[0][:2])},
            DataError,
            "images: .* got 2 for 8 points",
        ),
        ({"projector": K.Projector("answer", INPUTS[:1])}, KeyMismatchError, "projector, 'answer'"),
        ({"images": K.Images(inputs=[INPUTS[0][:, 1:], INPUTS[1]])}, ShapeError, "TensorBoard, images"),
        ({"images": K.Images(inputs=INPUTS, input="text")}, ArgumentError, "called 'text', got those of 'image'"),
        ({"images": K.Images(inputs=INPUTS, output="answers")}, ArgumentError, "Did you mean 'answer'"),
        ({"images": K.Images(inputs=INPUTS, targets=[1, 2])}, DataError, "targets: .* got 2 for 8 rows"),
        ({"images": K.Images(inputs=INPUTS, targets=[3] * 8)}, DataError, "expected classes from 0 to 2"),
        ({"images": K.Images(inputs=INPUTS, classes=("a", "b"))}, ArgumentError, "classes: expected 3 names, got 2"),
        ({"images": K.Images(inputs=INPUTS, output="size", classes=("a",))}, ArgumentError, "no classes, as 'size'"),
        ({"histograms": K.Watch(nodes=("wrds",))}, PathError, "Did you mean 'words'"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_training(
    fields: dict[str, Any], error: type[Exception], said: str, trainer: jg.Trainer, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        trainer.fit(rows(), epochs=1, callbacks=[TensorBoard(tmp_path / "tb", **fields)], progress=False)
    assert not (tmp_path / "tb").exists()


def test_pictures_of_a_model_without_images_are_refused(tmp_path: Path) -> None:
    x = jg.Input((4,))
    own = jg.Trainer(jg.Model(x, jg.layers.Dense(1)(x)), optax.sgd(0.1), loss="mse")
    board = TensorBoard(tmp_path, images=K.Images(inputs=np.ones((2, 4))))
    with pytest.raises(ArgumentError, match=r"expected an input of images .* got those of none of the inputs"):
        own.fit((np.ones((4, 4)), np.ones(4)), epochs=1, callbacks=[board], progress=False)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: K.Images(inputs=INPUTS, every_epochs=0), "Images, every_epochs"),
        (lambda: K.Images(inputs=INPUTS, most=0), "Images, most"),
        (lambda: K.Images(inputs=INPUTS, kernels=ODD), "Images, kernels"),
        (lambda: K.Images(inputs=INPUTS, classes=ODD), "Images, classes: expected names"),
        (lambda: K.Projector(""), "Projector, node: expected the path of a node"),
        (lambda: K.Projector("words", every_epochs=0), "Projector, every_epochs"),
        (lambda: K.Projector("words", images=np.ones((3, 4))), r"Projector, images: expected an array \[points"),
    ],
)
def test_what_a_sample_cannot_be(make: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        make()


def test_outputs_that_are_numbers_have_numbers_below(trainer: jg.Trainer) -> None:
    train_state = trainer.init(jax.random.key(0))
    images = K.Images(inputs=INPUTS, targets=TARGETS["size"], output="size")
    images.check(trainer)
    assert set(images.pictures(trainer, train_state)) == {"predictions"}
    images = K.Images(inputs=INPUTS, targets=np.eye(3)[TARGETS["answer"]], output="answer")
    assert set(images.pictures(trainer, train_state)) == {"predictions", "confusion"}


def test_a_run_in_the_directory_of_another_is_refused_before_it_trains(trainer: jg.Trainer, tmp_path: Path) -> None:
    def fit(**options: Any) -> jg.Run:
        return trainer.fit(rows(), epochs=2, batch_size=4, callbacks=[TensorBoard(tmp_path)], progress=False, **options)

    run = fit()
    files = {path: path.read_bytes() for path in tmp_path.rglob("*tfevents*")}
    with pytest.raises(ResumeError, match="without event files of another run, as this one begins at step 0") as error:
        fit()
    assert int(error.value.__dict__["run"].train_state.step) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*tfevents*")} == files
    assert fit(run=run).position == run.position


def test_all_of_it_goes_on_where_a_run_in_memory_was_left(trainer: jg.Trainer, tmp_path: Path) -> None:
    def fit(folder: str, epochs: int, **options: Any) -> jg.Run:
        board = TensorBoard(
            tmp_path / folder,
            every_steps=3,
            histograms=K.Watch(every_steps=2, of=("params",)),
            images=K.Images(inputs=INPUTS),
            projector=K.Projector("words"),
            hparams={"a": 1},
        )
        return trainer.fit(rows(), epochs=epochs, batch_size=4, callbacks=[board], progress=False, **options)

    fit("whole", 3)
    first = fit("parts", 1)
    fit("parts", 2, run=first)  # lost
    fit("parts", 3, run=first)
    for part in ("train", "."):
        assert told(tmp_path / "parts" / part) == told(tmp_path / "whole" / part)
    configurations = [(tmp_path / f / "train" / "projector_config.pbtxt").read_text() for f in ("whole", "parts")]
    assert configurations[0] == configurations[1]
    assert configurations[0].count("embeddings {") == 3


def told(folder: Path) -> list[Any]:
    """All that the event files of a folder say, but for times: kind, step, and the tags."""
    from tensorboardX.proto import event_pb2

    kind: Any = event_pb2
    events = [kind.Event.FromString(r) for path in sorted(folder.glob("*tfevents*")) for r in read_records(path)]
    said = [(e.WhichOneof("what"), e.step, [v.tag for v in e.summary.value]) for e in events]
    values = [[v.simple_value for v in e.summary.value if v.tag != "steps_per_second"] for e in events]
    return list(zip(said, values, strict=True))
