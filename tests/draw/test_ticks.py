"""Ticks are few, round, in order and inside; their labels tell them apart."""

import itertools

import numpy as np
import pytest

from jgraph.draw.ticks import epoch_ticks, even_ticks, labels, number, power_ticks, powers_between

RANDOM = np.random.default_rng(7)
SPANS = [(0.0, 1.0), (-3.0, 4.0), (0.693147, 0.693149), (1e-30, 2e-30), (-1e99, 1e99), (99.9, 100.1)]
SPANS += [(low, low + span) for low, span in RANDOM.uniform([-50, 0.01], [50, 90], (200, 2)).tolist()]
POWERS = [(0.1, 1.0), (0.3, 4.0), (6e-5, 1e-3), (1e-9, 1e9), (1e-90, 1e90), (0.99, 10.1)]


@pytest.mark.parametrize(("low", "high"), SPANS)
def test_even_ticks_are_two_to_six_inside_and_evenly_spaced(low: float, high: float) -> None:
    ticks = even_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert low - 1e-9 * abs(low) <= ticks[0]
    assert ticks[-1] <= high + 1e-9 * abs(high)
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-4)


@pytest.mark.parametrize(("low", "high"), SPANS)
def test_labels_tell_ticks_apart(low: float, high: float) -> None:
    ticks = even_ticks(low, high)
    texts = labels(ticks)
    assert len(set(texts)) == len(ticks)
    np.testing.assert_allclose([float(text) for text in texts], ticks, rtol=1e-3, atol=1e-3 * (high - low))


@pytest.mark.parametrize(("low", "high"), POWERS)
def test_power_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = power_ticks(low, high)
    assert 2 <= len(ticks) <= 5
    for some in (ticks, powers_between(low, high)):
        assert sorted(set(some)) == some
        assert low <= some[0] <= some[-1] <= high


@pytest.mark.parametrize("most", [6, 18])
@pytest.mark.parametrize("epochs", [*range(1, 40), 300, 12_345])
def test_epoch_ticks_begin_at_1_and_are_whole(epochs: int, most: int) -> None:
    ticks = epoch_ticks(epochs, most)
    assert ticks[0] == 1
    assert ticks[-1] <= epochs
    assert len(ticks) <= most + 1
    assert all(before < after for before, after in itertools.pairwise(ticks))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.25, "0.25"),
        (1e-10, "1e-10"),
        (2.5e20, "2.5e20"),
        (float("nan"), "nan"),
        (-3e-5, "-3e-5"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text
