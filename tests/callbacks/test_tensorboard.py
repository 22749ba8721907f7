"""TensorBoard: what its hooks ask for, and the files that this makes."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from jgraph.callbacks.tensorboard import TensorBoard
from jgraph.errors import ArgumentError
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
    assert records(actions) == {"train": Scalars(10, {"steps/loss": 0.5, "steps/accuracy": 0.75})}
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
