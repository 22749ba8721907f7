"""The picture of a run: what `run.plot` gives back and writes."""

from pathlib import Path
from typing import Any

import pytest

from jgraph.errors import ArgumentError, MonitorError
from jgraph.train.state import Run

HISTORY = {"loss": [3.0, 1.0, 0.5], "val_loss": [3.0, 1.5, 2.0], "accuracy": [0.1, 0.5, 0.4]}
LOST: Any = None


def made() -> Run:
    event = "epoch 2, step 6: reduce_lr_on_plateau: learning rate 0.1 -> 0.05 (val_loss flat for 1 epochs)"
    return Run(LOST, history=HISTORY, stopped="enough", events=("compiled train", event))


def test_a_run_is_shown_without_a_path() -> None:
    picture = made().plot(title="a run")
    assert repr(picture) == "RunPicture(3 epochs, 3 logs)"
    for words in ("a run", "best epoch 2: val_loss 1.5", "stopped after epoch 3: enough", "changed at epoch 2"):
        assert words in picture.svg


def test_a_run_is_written_and_some_logs_may_be_chosen(tmp_path: Path) -> None:
    picture = made().plot(tmp_path / "new" / "curves.svg", ["accuracy"], monitor="accuracy", mode="max")
    text = (tmp_path / "new" / "curves.svg").read_text(encoding="utf-8")
    assert text == picture.svg
    assert "best epoch 2: accuracy 0.5" in text
    assert ">loss<" not in text


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"logs": ["acuracy"]}, ArgumentError, r"got 'acuracy'. Did you mean 'accuracy'\?"),
        ({"logs": 3}, ArgumentError, "curves, logs: expected a list of names, got 3"),
        ({"path": "curves.gif"}, ArgumentError, "curves, path: expected a suffix among"),
        ({"monitor": "f1"}, MonitorError, "expected a log of the run, got 'f1'"),
        ({"mode": "least"}, ArgumentError, "expected one of 'auto', 'min', 'max', got 'least'"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        made().plot(**options)


def test_a_run_without_an_epoch_has_no_picture() -> None:
    with pytest.raises(ArgumentError, match=r"expected at least one epoch, got none\. Train for an epoch"):
        Run(LOST).plot()
