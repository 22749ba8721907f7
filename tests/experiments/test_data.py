"""The readers of the data sets, on small files in their formats."""

from pathlib import Path

import numpy as np
import pytest

from experiments import data
from scripts.get_data import DataError
from tests.experiments import files


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path))
    return tmp_path


def test_pictures_are_read_as_they_were_written(root: Path) -> None:
    written, found = files.fashion(root), data.fashion_mnist()
    for part, (images, classes) in written.items():
        np.testing.assert_array_equal(found[part][0][..., 0], images)
        np.testing.assert_array_equal(found[part][1], classes)
    assert found["train"][0].shape == (96, 28, 28, 1)
    assert (found["train"][0].dtype, found["train"][1].dtype) == (np.uint8, np.int32)


def test_rows_of_people_are_columns_and_unknown_ones_are_left_out(root: Path) -> None:
    row = (39, "State-gov", 77516, "Bachelors", 13, "Never-married", "Sales", "Husband", "White", "Male", 2174, 0, 40)
    whole, unknown = (*row, "Cuba", ">50K"), (*row, "?", "<=50K")
    files.adult(root, {"train": [whole, unknown], "test": [unknown, whole, whole]})
    found = data.adult()
    assert {part: len(columns["age"]) for part, columns in found.items()} == {"train": 1, "test": 2}
    assert list(found["test"]) == list(data.COLUMNS)
    assert found["test"]["income"].tolist() == [">50K", ">50K"]
    assert found["train"]["capital-gain"].tolist() == [2174.0]
    assert found["train"]["age"].dtype == np.float32
    assert len(data.adult(unknown=True)["train"]["age"]) == 2


def test_questions_have_the_sentences_before_them_in_their_story(root: Path) -> None:
    text = "1 Mary moved.\n2 Where is Mary? \tkitchen\t1\n3 John left.\n4 Who's here?\tn,s\t1 3\n"
    text += "1 Ann sat.\n2 Who?\tAnn\t1\n"
    files.babi(root, {(19, "train"): text})
    first, second, third = data.babi(19)["train"]
    assert first == ((("mary", "moved"),), ("where", "is", "mary"), "kitchen")
    assert second == ((("mary", "moved"), ("john", "left")), ("who's", "here"), "n,s")
    assert third.story == (("ann", "sat"),)
    assert data.babi(19)["test"] == data.babi(1)["train"] == []


def test_pairs_of_sentences(root: Path) -> None:
    files.sick(root, {"trial": [("A dog runs", 'A "dog" runs, fast', 4.5), ("One", "Two", 1.0)]})
    found = data.sick()
    assert found["trial"].first == [("a", "dog", "runs"), ("one",)]
    assert found["trial"].second[0] == ("a", "dog", "runs", "fast")
    assert found["trial"].score.tolist() == [4.5, 1.0]
    assert found["train"].first == []


def test_held_out_rows_are_all_others_and_of_the_seed() -> None:
    own, held = data.held_out(100, 0.2, seed=3)
    assert (len(own), len(held)) == (80, 20)
    assert sorted([*own, *held]) == list(range(100))
    np.testing.assert_array_equal(held, data.held_out(100, 0.2, seed=3)[1])
    assert (held != data.held_out(100, 0.2, seed=4)[1]).any()


def test_words_become_numbers_with_zeros_behind_them() -> None:
    codes = data.vocabulary([["b", "a"], ["c"]])
    assert codes == {"a": 2, "b": 3, "c": 4}
    found = data.padded([["a", "b", "c"], ["z"], []], 2, codes)
    assert found.tolist() == [[3, 4], [1, 0], [0, 0]]


def test_what_is_not_there_says_how_to_get_it(root: Path) -> None:
    with pytest.raises(DataError, match=r"python scripts/get_data.py fashion-mnist"):
        data.fashion_mnist()
