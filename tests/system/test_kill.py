"""A real process, killed again and again, ends with the same bits (`scripts/kill.py` has the long form)."""

import pytest

from scripts import kill


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits() -> None:
    assert kill.main(["--runs", "1", "--kills", "1", "--seed", "1"])
