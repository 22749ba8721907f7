"""A directory, or a file, of one run at a time, with real processes."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jgraph.errors import LockedError, WriteError
from jgraph.storage import lock
from jgraph.storage.appended_file import AppendedFile
from jgraph.storage.lock import NAME, Lock

HOLDS = """
import sys, time
from pathlib import Path
from jgraph.storage.appended_file import AppendedFile
from jgraph.storage.lock import Lock
held = Lock(sys.argv[1]), AppendedFile(Path(sys.argv[1], "log.csv"))
print("held", flush=True)
time.sleep(60)
"""

LEAVES_A_CHILD = """
import os, sys, time
from jgraph.storage.lock import Lock
held = Lock(sys.argv[1])
if child := os.fork():
    print(child, flush=True)
time.sleep(60)
"""


def started(code: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that holds a folder, and its first line."""
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline()


def test_the_second_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    process, said = started(HOLDS, tmp_path)
    try:
        assert said == "held\n"
        with pytest.raises(LockedError, match=rf"process {process.pid} on {socket.gethostname()} \(since 20"):
            Lock(tmp_path)
        with pytest.raises(LockedError, match=r"log\.csv.*another process has open"):
            AppendedFile(tmp_path / "log.csv")
    finally:
        process.kill()
        process.communicate()
    held = Lock(tmp_path)  # the lock of a process that was killed is stale
    assert held.left.startswith(f"process {process.pid} ")
    AppendedFile(tmp_path / "log.csv").close()
    held.release()
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_child_that_outlives_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    process, said = started(LEAVES_A_CHILD, tmp_path)
    try:
        process.kill()
        process.wait()
        held = Lock(tmp_path)
        assert held.left.startswith(f"process {process.pid} ")
        with pytest.raises(LockedError, match=rf"process {os.getpid()} "):
            Lock(tmp_path)
    finally:
        os.kill(int(said), signal.SIGKILL)
        process.communicate()
    held.release()
    held.release()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"process": "x"}', b"\xff"])
def test_what_nobody_wrote_is_taken(content: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(content)
    held = Lock(tmp_path)
    assert held.left == ""
    assert json.loads((tmp_path / NAME).read_bytes())["process"] == os.getpid()
    held.release()


@pytest.mark.parametrize(
    ("process", "host", "refused"),
    [(os.getpid(), None, True), (1, None, True), (2**22 + 1, None, False), (os.getpid(), "elsewhere", False)],
    ids=["here", "another's", "gone", "elsewhere"],
)
def test_where_the_system_has_no_locks_the_process_counts(
    process: int, host: str | None, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.fcntl, "flock", none)
    (tmp_path / NAME).write_text(json.dumps({"process": process, "host": host or socket.gethostname()}))
    if refused:
        with pytest.raises(LockedError, match=f"process {process} "):
            Lock(tmp_path)
    else:
        held = Lock(tmp_path)
        assert held.left.startswith(f"process {process} ")
        held.release()


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No such file"):
        Lock(tmp_path / "nowhere")
