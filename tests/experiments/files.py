"""Small files in the formats of the data sets, for tests without them."""

import gzip
from pathlib import Path

import numpy as np

from experiments.data import COLUMNS
from scripts.get_data import sums


def fashion(root: Path, train: int = 96, test: int = 40, seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Writes pictures in the format of Fashion-MNIST: noise, with a bright row that says the class."""
    random, made = np.random.default_rng(seed), {}
    folder = root / "fashion-mnist"
    folder.mkdir(parents=True)
    for part, prefix, count in (("train", "train", train), ("test", "t10k", test)):
        classes = random.permutation(np.arange(count) % 10).astype(np.uint8)
        images = random.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        images[np.arange(count), 2 * classes + 4] = 250
        made[part] = images, classes
        for name, array in (("images-idx3", images), ("labels-idx1", classes)):
            head = np.array([0x800 + array.ndim, *array.shape], ">i4").tobytes()
            (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes(), 1))
    return made


def adult(root: Path, rows: dict[str, list[tuple]]) -> None:
    """Writes rows in the format of UCI Adult; the test file as it is published, with a first line and full stops."""
    folder = root / "adult"
    folder.mkdir(parents=True)
    for part, rows_of in rows.items():
        assert all(len(row) == len(COLUMNS) for row in rows_of)
        lines = [", ".join(map(str, row)) + "." * (part == "test") for row in rows_of]
        head = ["|1x3 Cross validator"] * (part == "test")
        (folder / ("adult.test" if part == "test" else "adult.data")).write_text("\n".join([*head, *lines, "", ""]))


def babi(root: Path, stories: dict[tuple[int, str], str]) -> None:
    """Writes the files of bAbI tasks, by task and part; all others are there and empty."""
    folder = root / "babi-en"
    folder.mkdir(parents=True)
    for name in sums("babi-en"):
        task, part = int(name[2:].partition("_")[0]), name.removesuffix(".txt").rpartition("_")[2]
        (folder / name).write_text(stories.get((task, part), ""))


def sick(root: Path, pairs: dict[str, list[tuple[str, str, float]]]) -> None:
    """Writes pairs of sentences in the format of SICK."""
    folder = root / "sick"
    folder.mkdir(parents=True)
    for part, name in (("train", "train"), ("trial", "trial"), ("test", "test_annotated")):
        lines = ["pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"]
        lines += [f"{number}\t{a}\t{b}\t{score}\tNEUTRAL" for number, (a, b, score) in enumerate(pairs.get(part, []))]
        (folder / f"SICK_{name}.txt").write_text("\n".join(lines) + "\n")
