"""Saves beside the loop leave the directory as if each had been waited for, and hold nothing up."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jgraph.errors import WriteError
from jgraph.storage.saver import MOST_BYTES, Saver
from jgraph.storage.steps import read_step, save_step, steps_in, trim

Saves = list[tuple[int, tuple[int, ...]]]


def write(folder: Path, step: int, value: int) -> None:
    save_step(folder, step, {"value": np.array(value)}, {})


class Gate:
    """A save that waits until it is let through, and notes in which order the steps come."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.order, self.open = folder, [], threading.Event()
        self.begun = threading.Event()

    def job(self, step: int, value: int = 0) -> Callable[[], None]:
        def save() -> None:
            self.begun.set()
            assert self.open.wait(60)
            self.order.append(step)
            write(self.folder, step, value)

        return save


def one_by_one(folder: Path, saves: Saves, most: int | None) -> list[int]:
    for step, protect in saves:
        write(folder, step, 0)
        trim(folder, most, {*protect, step})
    return steps_in(folder)


SEQUENCES: dict[str, tuple[Saves, int | None]] = {
    "the newest two": ([(step, ()) for step in range(1, 8)], 2),
    "the best among them": ([(1, (1,)), (2, (1,)), (3, (3,)), (4, (3,)), (5, (3,)), (6, (3,))], 3),
    "the best on the disk": ([(1, (1,)), *((step, (1,)) for step in range(2, 8))], 2),
    "one": ([(step, ()) for step in range(1, 5)], 1),
}


@pytest.mark.parametrize("what", SEQUENCES)
def test_the_directory_ends_as_if_each_save_had_been_waited_for(what: str, tmp_path: Path) -> None:
    saves, most = SEQUENCES[what]
    gate, saver = Gate(tmp_path / "a"), Saver()
    for number, (step, protect) in enumerate(saves):
        saver.save(tmp_path / "a", step, gate.job(step), 1, most, protect)
        if number == 0:
            assert gate.begun.wait(60)
    gate.open.set()
    saver.close()
    assert steps_in(tmp_path / "a") == one_by_one(tmp_path / "b", saves, most)
    newest, protected = saves[-1]
    assert gate.order[0] == saves[0][0]  # the one under way, then those that the newest builds on, then that
    assert gate.order[1:].index(newest) == len({*protected} - {saves[0][0]})
    assert len(gate.order) <= (most or 0) + 1


def test_where_all_are_kept_none_is_dropped(tmp_path: Path) -> None:
    saver = Saver()
    for step in range(6):
        saver.save(tmp_path, step, lambda step=step: write(tmp_path, step, step), 1, None, ())
    saver.close()
    assert steps_in(tmp_path) == list(range(6))


def test_large_saves_wait_for_room(tmp_path: Path) -> None:
    gate, saver, done = Gate(tmp_path), Saver(), threading.Event()
    saver.save(tmp_path, 1, gate.job(1), MOST_BYTES, 9, ())
    assert gate.begun.wait(60)

    def more() -> None:
        for step in (2, 3):
            saver.save(tmp_path, step, gate.job(step), MOST_BYTES, 9, ())
        done.set()

    thread = threading.Thread(target=more)
    thread.start()
    assert not done.wait(0.3)
    gate.open.set()
    thread.join()
    saver.close()
    assert steps_in(tmp_path) == [1, 2, 3]


def test_a_step_saved_twice_is_the_later_one(tmp_path: Path) -> None:
    saver = Saver()
    for value in range(4):
        saver.save(tmp_path, 7, lambda value=value: write(tmp_path, 7, value), 1, 2, ())
    saver.close()
    tree: Any = read_step(tmp_path, 7)[0]
    assert tree["value"] == 3


def test_two_directories_do_not_disturb_each_other(tmp_path: Path) -> None:
    saver = Saver()
    for step in range(1, 5):
        for name, most in (("a", 1), ("b", 3)):
            folder = tmp_path / name
            saver.save(folder, step, lambda folder=folder, step=step: write(folder, step, 0), 1, most, ())
    saver.close()
    assert (steps_in(tmp_path / "a"), steps_in(tmp_path / "b")) == ([4], [2, 3, 4])


def test_a_failure_is_raised_once_and_soon(tmp_path: Path) -> None:
    saver = Saver()

    def fail() -> None:
        raise WriteError("disk", expected="space", got="0 bytes free", cure="Free some.")

    saver.save(tmp_path / "bad", 1, fail, 1, 2, ())

    def look() -> None:
        for _ in range(2000):
            saver.check()
            threading.Event().wait(0.01)

    with pytest.raises(WriteError, match="bytes free"):
        look()
    saver.save(tmp_path / "good", 1, lambda: write(tmp_path / "good", 1, 0), 1, 2, ())
    saver.close()
    assert steps_in(tmp_path / "good") == [1]


def test_a_place_that_cannot_be_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="bytes free"):
        Saver().save(tmp_path / "file" / "run", 1, lambda: None, 1, 2, ())


def test_what_a_record_may_speak_of_is_written_before_it(tmp_path: Path) -> None:
    """The best step, in a directory of its own, before a newer step whose record says that it is there."""
    gate, saver = Gate(tmp_path), Saver()
    order: list[tuple[str, int]] = []

    def job(place: str, step: int) -> Callable[[], None]:
        return lambda: (gate.job(step)(), order.append((place, step)))[0]

    saver.save(tmp_path / "run", 1, job("run", 1), 1, 2, ())
    assert gate.begun.wait(60)
    for place, step in [("best", 3), ("run", 3), ("run", 5), ("run", 7), ("best", 9)]:
        saver.save(tmp_path / place, step, job(place, step), 1, 2, ())
    gate.open.set()
    saver.close()
    assert order[0] == ("run", 1)
    assert order.index(("best", 3)) < order.index(("run", 7)) < order.index(("best", 9))
