"""What is trained: six tasks with their data, made by NumPy alone, so that every library is given the same arrays."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = Any
"""One NumPy array, or a dict of them by name."""

MOST_BATCHES, FEWEST_BATCHES = 64, 4


@dataclasses.dataclass(frozen=True)
class Task:
    """A model's data and losses. `losses` and targets are one, or dicts by output; `draw` takes (random, rows)."""

    about: str
    batch_size: int
    losses: Any
    draw: Callable[[np.random.Generator, int], tuple[Arrays, Arrays]]
    batches: int | None = None
    """The batches of an epoch, where they are always as many."""

    def data(self, batches: int) -> tuple[Arrays, Arrays]:
        """Inputs and targets of so many batches."""
        return self.draw(np.random.default_rng(0), batches * self.batch_size)

    def batches_within(self, seconds: float) -> int:
        """The batches of an epoch of about a second, where one takes so many seconds at the least.

        It is a power of two, so that an epoch is many steps where they are fast, and over soon where they are slow.

        >>> TASKS["xception"].batches_within(0.16), TASKS["mlp"].batches_within(0.16)
        (4, 256)
        """
        if self.batches:
            return self.batches
        fitting = 1 / max(seconds, 1e-9)
        return next((n for n in (64, 32, 16, 8) if n <= fitting), FEWEST_BATCHES)


def normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers as a scaler leaves them."""
    return random.standard_normal(shape, dtype=np.float32)


def tokens(random: np.random.Generator, rows: int, steps: int, vocabulary: int) -> np.ndarray:
    """Texts without padding, so that masks change no result and libraries without masks compute the same."""
    return random.integers(1, vocabulary, (rows, steps), dtype=np.int32)


def labels(random: np.random.Generator, rows: int, classes: int) -> np.ndarray:
    """A class for each row."""
    return random.integers(0, classes, rows, dtype=np.int32)


def yes_or_no(random: np.random.Generator, rows: int) -> np.ndarray:
    """0 or 1 for each row: [rows, 1]."""
    return random.integers(0, 2, (rows, 1)).astype(np.float32)


def images(random: np.random.Generator, rows: int) -> tuple[Arrays, Arrays]:
    """Images of 32 x 32 x 3, of ten classes."""
    return normal(random, rows, 32, 32, 3), labels(random, rows, 10)


def heads_data(random: np.random.Generator, rows: int) -> tuple[Arrays, Arrays]:
    """Posts, and what is to be found out about who wrote them."""
    age, income, gender = normal(random, rows, 1), labels(random, rows, 10), yes_or_no(random, rows)
    return tokens(random, rows, 200, 5000), {"age": age, "income": income, "gender": gender}


CLASSES = "sparse_categorical_crossentropy"

TASKS = {
    "mlp": Task(
        "dense 16-64-64-1, batch 32",
        32,
        "mse",
        lambda random, rows: (normal(random, rows, 16), normal(random, rows, 1)),
        batches=256,
    ),
    "qa": Task(
        "two texts through LSTMs into 500 answers, batch 64",
        64,
        CLASSES,
        lambda random, rows: (
            {"text": tokens(random, rows, 100, 10_000), "question": tokens(random, rows, 20, 10_000)},
            labels(random, rows, 500),
        ),
    ),
    "siamese": Task(
        "one LSTM 32 on two series of 40 x 128, batch 64",
        64,
        "binary_crossentropy",
        lambda random, rows: (
            {"left": normal(random, rows, 40, 128), "right": normal(random, rows, 40, 128)},
            yes_or_no(random, rows),
        ),
    ),
    "heads": Task(
        "200 tokens through Conv1D into three heads, batch 64",
        64,
        {"age": "mse", "income": CLASSES, "gender": "binary_crossentropy"},
        heads_data,
    ),
    "inception": Task("branches of convolutions, 32 x 32 images, batch 64", 64, CLASSES, images),
    "xception": Task("separable convolutions, 32 x 32 images, batch 64", 64, CLASSES, images),
}
