"""Large numbers and bytes for people."""

import math

import pytest

from jgraph.draw.amounts import amount, bytes_of


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (999.9, "1 k"),
        (1_000, "1 k"),
        (1_234, "1.23 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (4.1e9, "4.1 G"),
        (2.5e24, "2.5e+06 E"),
        (math.nan, "nan"),
    ],
)
def test_amounts_have_three_digits_and_a_prefix(number: float, text: str) -> None:
    assert amount(number) == text


def test_a_unit_stands_behind_the_prefix() -> None:
    assert [amount(5, "B"), amount(5_000, "flop"), amount(math.nan, "flop")] == ["5 B", "5 kflop", "nan flop"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.0 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (2.5 * 2**30, "2.5 GiB"),
        (2**52, "4096.0 TiB"),
        (math.nan, "nan B"),
    ],
)
def test_bytes_are_in_units_of_1024(number: float, text: str) -> None:
    assert bytes_of(number) == text
