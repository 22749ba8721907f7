"""Merges as in Keras: outputs, gradients and masks over lists of one to four, of several ranks, and axes.

`scripts/compare/merging.py` has the full product.
"""

from typing import Any

import numpy as np
import pytest

from tests.references.keras_twin import check_twin, make_twin

MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)
OTHER = np.roll(MASK, 1, axis=0)
X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("Add", [(2, 6, 4), (2, 4), (2, 6, 1)]),
        ("Subtract", [(2, 4), (2, 3, 6, 4)]),
        ("Multiply", [(2, 6, 4), (2, 1, 4), (2, 1), (2, 6, 4)]),
        ("Average", [(2, 4), (2, 3, 1, 4), (2, 6, 4)]),
        ("Maximum", [(2, 1, 4), (2, 6, 4), (2, 6, 4)]),
        ("Minimum", [(2, 6, 4), (2, 4)]),
        ("Add", [(2, 4)]),
    ],
    ids=str,
)
def test_folds(name: str, shapes: list[tuple[int, ...]]) -> None:
    check_twin(name, {}, [(-1) ** i * normal(*shape) for i, shape in enumerate(shapes)])


@pytest.mark.parametrize(("axis", "count"), [(-1, 3), (1, 2), (2, 4), (-2, 1)])
def test_concatenate(axis: int, count: int) -> None:
    shapes = [[2, 6, 4] for _ in range(count)]
    for i, shape in enumerate(shapes):
        shape[axis] += i
    check_twin("Concatenate", {"axis": axis}, [normal(*shape) for shape in shapes])


@pytest.mark.parametrize(
    ("axes", "shapes", "normalize"),
    [
        (1, [(2, 4), (2, 4)], True),
        ((1, 2), [(2, 5, 3), (2, 4, 5)], True),
        (-1, [(2, 5, 3), (2, 4, 3)], False),
        ((2, -1), [(2, 5, 3), (2, 3)], True),
        ([-1, 1], [(2, 5, 3), (2, 3, 4, 2)], False),
    ],
    ids=str,
)
def test_dot(axes: Any, shapes: list[tuple[int, ...]], normalize: bool) -> None:
    xs = [normal(*shapes[0]), normal(*shapes[1]) + 1]
    check_twin("Dot", {"axes": axes, "normalize": normalize}, xs)


@pytest.mark.parametrize("masks", [(MASK, OTHER), (MASK, None), (None, MASK), (None, None)], ids=["2", "1-", "-1", "0"])
@pytest.mark.parametrize(
    ("name", "config"),
    [
        *((name, {}) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")),
        *(("Concatenate", {"axis": a}) for a in (-1, 1, -2)),
        ("Dot", {"axes": 2}),
    ],
    ids=str,
)
def test_masks(name: str, config: dict[str, Any], masks: tuple) -> None:
    """What goes on of masks: Keras' `compute_mask`. What they do to values is in `test_keras_masks.py`."""
    xs = [X, X]
    twin = make_twin(name, config, (xs,))
    ours, theirs = twin.ours.pass_mask(masks, xs), twin.theirs.compute_mask(xs, list(masks))
    ours = ours if any(m is not None for m in masks) else None  # a drawn layer gets None, and no tuple of them
    assert (ours is None) == (theirs is None)
    if theirs is not None:
        np.testing.assert_array_equal(ours, theirs)


def test_the_mask_of_concatenated_vectors() -> None:
    xs, masks = [X[:, 0], X[:, 1]], (MASK[:, 0], None)
    twin = make_twin("Concatenate", {}, (xs,))
    np.testing.assert_array_equal(twin.ours.pass_mask(masks, xs), twin.theirs.compute_mask(xs, list(masks)))
