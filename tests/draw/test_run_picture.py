"""The curves of a run as a value."""

from pathlib import Path
from typing import Any

import pytest

from jgraph.draw.run_picture import RunPicture
from jgraph.errors import ArgumentError

HISTORY = {"loss": [3.0, 1.0], "val_loss": [3.0, 2.0], "mae": [1.0, 0.5], "learning_rate": [0.1, 0.1]}
EVENTS = (
    "epoch 1, step 3: plateau: learning rate 0.1 -> 0.05",
    "epoch 2, step 6: early_stopping: restores a train state",
    "epoch 2, step 6: mine: freezes 'a'",
)


def test_a_picture_is_shown_and_saved_as_the_same_text(tmp_path: Path) -> None:
    picture = RunPicture(HISTORY, ("val_loss", 1), "enough", "a run", events=EVENTS)
    picture.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg == picture._repr_svg_()  # pyright: ignore[reportPrivateUsage]
    for words in (
        "best epoch 2: val_loss 2",
        "stopped after epoch 2: enough",
        "learning rate changed at epoch 1",
        "restored at epoch 2",
        "layers frozen at epoch 2",
    ):
        assert words in picture.svg
    assert repr(picture) == "RunPicture(2 epochs, 4 logs)"
    assert repr(RunPicture({"loss": [1.0]})) == "RunPicture(1 epoch, 1 log)"


def test_only_some_logs_are_shown_each_with_its_validation() -> None:
    text = RunPicture(HISTORY, ("val_loss", 1), logs=("loss",)).svg
    assert ">loss<" in text
    assert ">validation<" in text
    assert ">mae<" not in text
    assert ">learning_rate<" not in text


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        (("los",), r"curves, logs: expected logs of the run, got 'los'. Did you mean 'loss'\?"),
        ("loss", r"curves, logs: expected a list of names, got 'loss'. Write logs=\['loss'\]"),
        ((), r"curves, logs: expected a list of names, got \(\)"),
    ],
)
def test_logs_that_are_none(logs: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RunPicture(HISTORY, logs=logs)


def test_no_epoch_and_another_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="curves, history: expected at least one epoch"):
        RunPicture({})
    with pytest.raises(ArgumentError, match=r"curves, path: expected a suffix among '.png', '.svg', '.pdf'"):
        RunPicture(HISTORY).save(tmp_path / "a.gif")
