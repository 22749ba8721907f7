"""The watched text model: what TensorBoard is shown is there, for every width."""

from pathlib import Path

import pytest

from experiments import watch
from experiments.__main__ import EXPERIMENTS
from jgraph.storage.event_file import read_records
from tests.experiments import files


def story(person: str, place: str, line: int) -> str:
    return f"{line} {person} went to the {place}.\n{line + 1} Where is {person}? \t{place}\t{line}\n"


@pytest.mark.slow
def test_a_run_shows_everything_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path / "data"))
    text = "".join(story("Mary", place, 1) + story("John", "garden", 3) for place in ("kitchen", "office") * 20)
    files.babi(tmp_path / "data", {(task, part): text for task in (1, 2) for part in ("train", "test")})
    folder = tmp_path / "run"
    words = ["--tasks", "2", "--epochs", "4", "--length", "12", "--folder", str(folder)]
    reached = watch.main(words)
    assert reached["width"] == 64
    assert 0.0 <= reached["test accuracy"] <= 1.0
    assert EXPERIMENTS["watch"].figure in reached
    own = folder / "width_64"
    assert {"report.html", "curves.png", "log.csv", "tensorboard"} < {path.name for path in own.iterdir()}
    [events] = (own / "tensorboard" / "train").glob("*tfevents*")
    seen = b"".join(bytes(record) for record in read_records(events))
    for tag in (
        b"accuracy",
        b"gradients/windows_0/kernel",
        b"updates/words",
        b"activations/found",
        b"steps_per_second",
    ):
        assert tag in seen, tag
    labels = [path.read_text() for path in own.glob("tensorboard/train/projector/*.tsv")]
    assert any("kitchen" in text and "(unknown)" in text for text in labels)
    assert watch.main([*words, "--resume"]) == reached


def test_a_row_has_the_story_before_the_question_and_its_last_words_alone() -> None:
    asked = watch.Question((("a", "b"), ("c", "d")), ("e",), "y")
    codes = {word: number for number, word in enumerate("abcde", start=2)}
    texts, targets = watch.rows_of([asked], codes, ["x", "y"], 3)
    assert texts.tolist() == [[4, 5, 6]]
    assert targets.tolist() == [1]
    assert watch.rows_of([asked], codes, ["x", "y"], 7)[0].tolist() == [[2, 3, 4, 5, 6, 0, 0]]
