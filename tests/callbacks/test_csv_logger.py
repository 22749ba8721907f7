"""CSVLogger: what its hook asks for, and the file that this makes."""

from pathlib import Path
from typing import Any

import pytest

from jgraph.callbacks.csv_logger import CSVLogger
from jgraph.errors import ArgumentError
from jgraph.storage.csv_file import CSVFile
from jgraph.train.actions import Write
from jgraph.train.callback import Event

EPOCHS = [Event(epoch=e, logs={"loss": 1 / (e + 3), "age/loss": 2.0, "val_loss": 0.1 * e}) for e in range(5)]


def fold(callback: CSVLogger, memory: Any, events: list[Event]) -> Any:
    """Does what the loop does: opens the sinks as the memory says, and writes."""
    outlets = {sink: sink.open(count or None) for sink, count in callback.sinks(memory).items()}
    for event in events:
        memory, actions = callback.on_epoch_end(memory, event)
        for action in actions:
            assert isinstance(action, Write)
            outlets[action.sink].write(action.record)
    for outlet in outlets.values():
        outlet.close()
    return memory


def test_a_row_an_epoch(tmp_path: Path) -> None:
    callback = CSVLogger(tmp_path / "a" / "log.csv", separator=";")
    memory = fold(callback, callback.init(Event().train_state), EPOCHS)
    assert memory == {"rows": 5}
    rows = (tmp_path / "a" / "log.csv").read_text().splitlines()
    assert rows[0] == "epoch;loss;age/loss;val_loss"
    assert [[float(cell) for cell in row.split(";")] for row in rows[1:]] == [
        [e.epoch, *e.logs.values()] for e in EPOCHS
    ]


def test_a_run_that_goes_on_has_each_row_once(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    callback = CSVLogger(str(path))
    fold(callback, {"rows": 0}, EPOCHS)
    whole = path.read_bytes()
    for saved in range(1, 5):
        path.write_bytes(whole[: len(whole) - saved])
        fold(callback, {"rows": saved}, EPOCHS[saved:])
        assert path.read_bytes() == whole


def test_the_hook_is_pure() -> None:
    callback, memory = CSVLogger("log.csv"), {"rows": 3}
    first = callback.on_epoch_end(memory, EPOCHS[3])
    assert first == callback.on_epoch_end(memory, EPOCHS[3])
    assert memory == {"rows": 3}
    assert first == ({"rows": 4}, [Write(CSVFile("log.csv"), {"epoch": 3, **EPOCHS[3].logs})])


def test_it_says_where_it_writes() -> None:
    callback = CSVLogger(Path("runs") / "log.csv")
    assert callback.places() == ("runs/log.csv",)
    assert callback.sinks({"rows": 7}) == {CSVFile("runs/log.csv"): 7}


@pytest.mark.parametrize("separator", ["", ";;", '"', "\n", 3])
def test_what_cannot_separate_is_refused(separator: Any) -> None:
    with pytest.raises(ArgumentError, match="CSVLogger, separator: expected one character"):
        CSVLogger("log.csv", separator=separator)


@pytest.mark.parametrize("path", ["", None, 3])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ArgumentError, match="CSVLogger, path"):
        CSVLogger(path)


def test_the_name_is_checked() -> None:
    with pytest.raises(ArgumentError, match="CSVLogger, name"):
        CSVLogger("log.csv", name="a/b")


def test_evaluations_need_a_file_of_their_own() -> None:
    with pytest.raises(ArgumentError, match="CSVLogger, evaluations: expected a file of its own"):
        CSVLogger("log.csv", evaluations="./log.csv")
    with pytest.raises(ArgumentError, match="CSVLogger, evaluations: expected a path"):
        CSVLogger("log.csv", evaluations="")
    assert CSVLogger("log.csv").on_evaluate_end({"rows": 1}, EPOCHS[0]) == ({"rows": 1}, [])
