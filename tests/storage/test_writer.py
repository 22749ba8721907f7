"""Jobs beside the loop: one at a time, none lost, each error raised once."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from jgraph.errors import ArgumentError, WriteError
from jgraph.storage.steps import read_step, steps_in
from jgraph.storage.writer import Writer

ROOT = Path(__file__).parents[2]


def fail(message: str = "full") -> None:
    raise WriteError("runs", expected="a place", got=message, cure="Free some space.")


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jgraph writer"]


def test_a_job_runs_beside_the_one_who_submits_it() -> None:
    may_end, done = threading.Event(), []

    def job(*args: Any) -> None:
        may_end.wait()
        done.append((args, threading.current_thread() is threading.main_thread()))

    writer = Writer()
    assert writers() == []
    writer.submit(job, 1, "b")
    writer.check()
    assert done == []
    may_end.set()
    writer.wait()
    assert done == [((1, "b"), False)]
    writer.close()


def test_jobs_run_one_at_a_time_and_in_order() -> None:
    running, most, done = 0, 0, []

    def job(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        done.append(number)
        running -= 1

    with Writer() as writer:
        for number in range(50):
            writer.submit(job, number)
    assert (most, done) == (1, list(range(50)))


def test_no_more_than_one_job_is_under_way() -> None:
    may_end, order = threading.Event(), []
    with Writer() as writer:
        writer.submit(lambda: (may_end.wait(), order.append("first")))
        threading.Timer(0.05, lambda: (order.append("let go"), may_end.set())).start()
        writer.submit(order.append, "second")
    assert order == ["let go", "first", "second"]


@pytest.mark.parametrize("way", ["check", "wait", "submit", "close", "leave"])
def test_the_error_of_a_job_is_raised_once(way: str) -> None:
    writer = Writer()
    writer.submit(fail)
    writers_end()
    calls = {
        "submit": lambda: writer.submit(pytest.fail, "started in spite of the error"),
        "leave": lambda: leave(writer),
    }
    with pytest.raises(WriteError, match="got full"):
        calls.get(way, lambda: getattr(writer, way)())()
    writer.check()
    writer.wait()
    writer.close()


def leave(writer: Writer, error: Exception | None = None) -> None:
    with writer:
        writer.check() if error is None else writer.submit(fail)
        if error is not None:
            raise error


def writers_end() -> None:
    for thread in writers():
        thread.join()


def test_an_error_of_the_body_is_not_hidden_by_that_of_a_job() -> None:
    with pytest.raises(KeyError) as caught:
        leave(Writer(), KeyError("mine"))
    assert "got full" in caught.value.__notes__[0]


def test_a_writer_goes_on_after_an_error_and_not_after_close() -> None:
    done = []
    writer = Writer()
    writer.submit(fail)
    with pytest.raises(WriteError):
        writer.wait()
    writer.submit(done.append, 1)
    writer.close()
    assert done == [1]
    with pytest.raises(ArgumentError, match="an open writer"):
        writer.submit(done.append, 2)
    assert done == [1]
    writers_end()
    assert writers() == []


@pytest.mark.parametrize("way", ["wait", "submit", "close"])
def test_an_interrupt_ends_the_waiting_and_not_the_job(way: str) -> None:
    may_end, done = threading.Event(), []

    def job() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        may_end.wait()
        done.append("job")

    writer = Writer()
    with pytest.raises(KeyboardInterrupt):
        submit_and_wait(writer, job, way)
    assert done == []
    may_end.set()
    writer.wait()
    assert done == ["job"]


def submit_and_wait(writer: Writer, job: Any, way: str) -> None:
    writer.submit(job)
    if way == "submit":
        writer.submit(pytest.fail, "started before the first was finished")
    else:
        getattr(writer, way)()
    pytest.fail("was not interrupted")


ENDED = """
import sys
import numpy as np
from jgraph.storage.steps import save_step
from jgraph.storage.writer import Writer
folder, end = sys.argv[1:]
writer = Writer()
writer.submit(save_step, folder, 7, {"w": np.arange(3_000_000)}, {"end": end})
if end == "exit":
    sys.exit(3)
if end == "exception":
    raise ValueError("mine")
if end == "interrupt":
    import _thread, threading
    threading.Timer(0.2, _thread.interrupt_main).start()
    writer.wait()
    raise AssertionError("was not interrupted")
if end == "failing":
    writer.submit(save_step, "/proc/jgraph", 7, {}, {})
"""


@pytest.mark.slow
def test_a_process_that_ends_commits_what_was_submitted(tmp_path: Path) -> None:
    codes = {"end": 0, "exit": 3, "exception": 1, "interrupt": 130, "failing": 0}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = {
        end: subprocess.Popen(
            [sys.executable, "-c", ENDED, str(tmp_path / end), end],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for end in codes
    }
    said = {end: process.communicate()[1] for end, process in started.items()}
    for end, code in codes.items():
        assert started[end].returncode in (code, -signal.SIGINT if end == "interrupt" else code), said[end]
        assert "interpreter shutdown" not in said[end]
        assert steps_in(tmp_path / end) == [7], (end, said[end])
        found, record = read_step(tmp_path / end, 7)
        assert (found["w"] == range(3_000_000)).all()
        assert record == {"end": end}
    assert said["end"] == said["exit"] == ""
    assert "a job was not finished: /proc/jgraph" in said["failing"]
