"""The data sets of the experiments as plain values; `python scripts/get_data.py NAME` fetches one.

Rows are in the order of the files. What is made for validation is taken from the training rows by `held_out`; test rows
are the published ones.
"""

import csv
import gzip
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripts.get_data import folder_of

CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
"""The classes of Fashion-MNIST."""


def fashion_mnist() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Parts "train" (60,000) and "test" (10,000): images [rows, 28, 28, 1] of uint8, and their classes, 0 to 9."""
    folder, found = folder_of("fashion-mnist"), {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = _idx(folder / f"{prefix}-images-idx3-ubyte.gz")[..., None]
        found[part] = images, _idx(folder / f"{prefix}-labels-idx1-ubyte.gz").astype(np.int32)
    return found


def _idx(path: Path) -> np.ndarray:
    """An array of bytes in the format of MNIST: its number of axes, its sizes, its content."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship", "race",
    "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
)  # fmt: skip
NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")


def adult(unknown: bool = False) -> dict[str, dict[str, np.ndarray]]:
    """Parts "train" and "test" of UCI Adult, each a dict of columns: float32 for numbers, texts for the others.

    Rows with an unknown value ("?") are left out, as in the published figures, unless `unknown` is true.
    """
    folder, found = folder_of("adult"), {}
    for part, name in (("train", "adult.data"), ("test", "adult.test")):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, skipinitialspace=True) if len(row) == len(COLUMNS)]
        columns = dict(zip(COLUMNS, zip(*(row for row in rows if unknown or "?" not in row), strict=True), strict=True))
        found[part] = {n: np.array(c, np.float32 if n in NUMBERS else str) for n, c in columns.items()}
        found[part]["income"] = np.char.rstrip(found[part]["income"], ".")  # the test file has full stops
    return found


class Question(NamedTuple):
    """A question, the sentences before it, and its answer, which counts as one word."""

    story: tuple[tuple[str, ...], ...]
    question: tuple[str, ...]
    answer: str


def babi(task: int) -> dict[str, list[Question]]:
    """Parts "train" and "test" of one of the 20 bAbI tasks (1,000 questions each), in lower-case words."""
    folder, found = folder_of("babi-en"), {}
    for part in ("train", "test"):
        (path,) = folder.glob(f"qa{task}_*_{part}.txt")
        found[part], story = [], list[tuple[str, ...]]()
        for line in path.read_text(encoding="utf-8").splitlines():
            number, _, text = line.partition(" ")
            story = [] if number == "1" else story
            sentence, *rest = text.split("\t")
            if rest:
                found[part].append(Question(tuple(story), words(sentence), rest[0].lower()))
            else:
                story = [*story, words(sentence)]
    return found


def words(text: str) -> tuple[str, ...]:
    """The words of a text, in lower case, without punctuation."""
    return tuple(re.findall(r"\w+(?:'\w+)?", text.lower()))


class Pairs(NamedTuple):
    """Pairs of sentences, each a tuple of words, and how related they are, from 1 to 5."""

    first: list[tuple[str, ...]]
    second: list[tuple[str, ...]]
    score: np.ndarray


def sick() -> dict[str, Pairs]:
    """Parts "train" (4,500), "trial" (500) and "test" (4,927) of SICK."""
    folder, found = folder_of("sick"), {}
    for part, name in (("train", "train"), ("trial", "trial"), ("test", "test_annotated")):
        with (folder / f"SICK_{name}.txt").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        score = np.array([row["relatedness_score"] for row in rows], np.float32)
        found[part] = Pairs([words(r["sentence_A"]) for r in rows], [words(r["sentence_B"]) for r in rows], score)
    return found


def held_out(rows: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the rows to train on, and of those that are held out for validation, both ascending."""
    order = np.random.default_rng(seed).permutation(rows)
    count = round(fraction * rows)
    return np.sort(order[count:]), np.sort(order[:count])


def padded(sequences: list[Any], length: int, codes: dict[str, int]) -> np.ndarray:
    """Words as numbers [rows, length] of int32, the last `length` of each, 0 behind them; unknown words are 1."""
    out = np.zeros((len(sequences), length), np.int32)
    for row, sequence in enumerate(sequences):
        numbers = [codes.get(word, 1) for word in sequence][-length:]
        out[row, : len(numbers)] = numbers
    return out


def vocabulary(sequences: list[Any]) -> dict[str, int]:
    """The number of each word, from 2 on, in alphabetical order: 0 is padding and 1 an unknown word."""
    return {word: number for number, word in enumerate(sorted({w for s in sequences for w in s}), start=2)}
