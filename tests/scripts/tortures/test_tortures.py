"""Short forms of what `scripts/torture.py` does by hand: real processes, killed, ended, and robbed of their disk."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.tortures import blocked, ended, full, killed, signalled, soaked
from scripts.tortures.command import Torture
from scripts.tortures.figure import Figure
from scripts.tortures.killed import losses

SHORT: Sequence[tuple[Torture, int]] = [
    (killed.torture, 2),
    (signalled.torture, 3),
    (ended.torture, 4),
    (full.torture, 2),
    (soaked.torture, 4),
]


@pytest.mark.slow
@pytest.mark.parametrize(("torture", "count"), SHORT, ids=[torture.__module__ for torture, _ in SHORT])
def test_a_run_survives(torture: Torture, count: int, tmp_path: Path) -> None:
    figures = torture(count, 1, tmp_path)
    assert figures
    assert [str(figure) for figure in figures if not figure.whole] == []


def test_a_save_beside_the_loop_is_measured(tmp_path: Path) -> None:
    [figure] = blocked.torture(1, 0, tmp_path)
    assert figure.of == 1
    assert "Orbax" in figure.told[0]


def test_a_figure_of_nothing_is_not_whole() -> None:
    assert [Figure("kills", good, of).whole for good, of in [(0, 0), (1, 2), (2, 2)]] == [False, False, True]


def test_what_a_kill_cost_is_read_from_what_the_lives_said() -> None:
    quick = "begin 0\nstep 20\nsave 20\nsaved 20\nstep 40\nsave 40\nstep 44\nbegin 20\n"
    assert losses(quick) == [(24, 28)]
    idle = "begin 0\nstep 20\nsave 20\nsaved 20\nstep 60\nbegin 20\n"
    assert losses(idle) == [(40, 24)]  # nothing was saved where it should have been
