"""Stories and questions: what is masked is not read, stories are held out whole, and a small run goes end to end."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jgraph as jg
from experiments import data, question_answering
from experiments.__main__ import EXPERIMENTS
from tests.experiments import files

PEOPLE, PLACES = ("Mary", "John", "Bill"), ("kitchen", "garden", "office")


def stories(count: int, seed: int) -> str:
    """Stories of two moves and a question, two moves and a question."""
    random, lines = np.random.default_rng(seed), []
    for _ in range(count):
        for number in (1, 4):
            moves = [(random.choice(PEOPLE), random.choice(PLACES)) for _ in range(2)]
            lines += [f"{number + k} {name} moved to the {place}." for k, (name, place) in enumerate(moves)]
            lines.append(f"{number + 2} Where is {moves[1][0]}? \t{moves[1][1]}\t{number + 1}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tasks 1 and 2 with 35 stories to train and validate, and 10 to test."""
    parts = {"train": 35, "test": 10}
    files.babi(
        tmp_path, {(task, part): stories(count, task + count) for task in (1, 2) for part, count in parts.items()}
    )
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path))
    return tmp_path


def test_a_story_is_held_out_whole(small: Path) -> None:
    questions = data.babi(1)["train"]
    numbers = question_answering.stories_of(questions)
    np.testing.assert_array_equal(numbers, np.repeat(np.arange(35), 2))
    again = [*questions[:2], questions[1]]  # a second question about the same sentences
    np.testing.assert_array_equal(question_answering.stories_of(again), [0, 0, 0])


def test_of_a_story_the_last_sentences_are_read() -> None:
    sentences = tuple(("mary", "moved", place) for place in ("home", "out", "home"))
    asked = [data.Question(sentences, ("where", "is", "mary"), "home"), data.Question((), ("who",), "nobody")]
    codes = data.vocabulary([["mary", "moved", "home", "out", "where", "is"]])
    inputs, answers = question_answering.arrays_of(asked, codes, ["home", "out"], sentences=2)
    assert inputs["story"].shape == (2, 2, question_answering.WORDS)
    np.testing.assert_array_equal(inputs["story"][0, :, :4], [[*map(codes.get, sentences[k]), 0] for k in (1, 2)])
    assert not inputs["story"][1].any()
    np.testing.assert_array_equal(inputs["question"][1, :2], [1, 0])
    np.testing.assert_array_equal(answers, [0, 0])


@pytest.mark.slow
def test_words_and_sentences_that_are_not_there_are_not_read() -> None:
    random = np.random.default_rng(0)
    story, question = np.zeros((2, 4, 12), np.int32), np.zeros((2, 12), np.int32)
    story[0, :2, :5], question[0, :4] = random.integers(2, 20, (2, 5)), random.integers(2, 20, 4)
    story[1, :3, :7], question[1, :6] = random.integers(2, 20, (3, 7)), random.integers(2, 20, 6)
    short = question_answering.draw(20, 3, sentences=4, size=4)
    long = question_answering.draw(20, 3, sentences=6, size=4)
    params, state = short.init(jax.random.key(0))
    before, _ = short.apply(params, state, {"story": story, "question": question})
    padded = np.concatenate([story, np.zeros((2, 2, 12), np.int32)], axis=1)
    after, _ = long.apply(params, state, {"story": padded, "question": question})
    np.testing.assert_allclose(before["answer"], after["answer"], rtol=1e-5)
    blank = params | {"embed": {"embeddings": params["embed"]["embeddings"].at[0].set(1e3)}}
    other, _ = short.apply(blank, state, {"story": story, "question": question})
    np.testing.assert_array_equal(before["answer"], other["answer"], err_msg="the row of no word is read")

    paths = {node.path for node in short.nodes}
    assert {"embed", "read-question", "read-story", "first-look", "second-look", "answer"} <= paths


def test_a_word_of_the_question_is_found_in_the_story_and_none_is_no_word() -> None:
    story, question = np.array([[[3, 4, 0], [5, 3, 3], [0, 0, 0]]]), np.array([[3, 9, 0]])
    found = question_answering.matches(story, question)
    np.testing.assert_array_equal(found, [[[1, 0, 0], [0, 1, 1], [0, 0, 0]]])


@pytest.mark.slow
def test_a_small_run_leaves_all_that_it_says_and_goes_on(small: Path, capsys: pytest.CaptureFixture) -> None:
    folder = small / "run"
    tiny = ["--tasks", "1,2", "--epochs", "2", "--folder", str(folder)]
    figures = question_answering.main(tiny)
    assert list(figures) == ["task 1", "task 2", "mean", "mean, validation"]
    assert figures["mean"] == (figures["task 1"] + figures["task 2"]) / 2
    assert EXPERIMENTS["question_answering"].figure in figures
    assert json.loads((folder / "figures.json").read_text())["reached"] == figures
    assert "35.0" in capsys.readouterr().out, "the mean of what is published of these two"
    for task in (1, 2):
        left = {path.name for path in (folder / f"task_{task}").iterdir()}
        assert {"curves.png", "log.csv", "tensorboard"} <= left
        own = [question_answering.weigh, question_answering.matches]
        model, _, _ = jg.load(folder / f"task_{task}", step="best", averaged=True, allow=own)
        assert sorted(model.inputs) == ["question", "story"]
        assert model.outputs["answer"].shape[-1] == len(PLACES)
    assert question_answering.main([*tiny, "--resume"]) == figures


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(question_answering.__file__).read_text(encoding="utf-8").splitlines()) < 150
