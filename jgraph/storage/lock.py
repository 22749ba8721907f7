"""A place of one run at a time: what two runs wrote into it would be the work of neither."""

import contextlib
import errno
import json
import os
import socket
import time
from pathlib import Path
from typing import IO, Any

from jgraph.errors import LockedError
from jgraph.storage.places import failures

try:
    import fcntl
except ImportError:  # not on Windows, where what stands in the file has to do
    fcntl = None

NAME = ".jgraph-lock"
BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class Lock:
    """A directory that one run writes to, from here until `release` or the end of the process, however it ends.

    The system holds the lock, on a file that says who has it, and lets go of it with the process: so a file that a
    killed run has left is no obstacle, and `left` says whose it was. On file systems that have no locks, the process
    that the file names counts as long as it is there.

    Raises:
        LockedError: another run has it. WriteError: the file cannot be made.

    >>> import tempfile
    >>> directory = tempfile.mkdtemp()
    >>> lock = Lock(directory)
    >>> Lock(directory)
    Traceback (most recent call last):
    jgraph.errors.LockedError: ...: expected a directory that no other run writes to, got ...
    >>> lock.release()
    >>> Lock(directory).release()
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._path, self._file, self.left = Path(directory) / NAME, None, ""
        with failures(self._path):
            while self._file is None:
                self._file = self._taken(str(directory))
            holder = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            self._file.truncate(0)
            self._file.write(json.dumps(holder).encode())

    def _taken(self, directory: str) -> IO[bytes] | None:
        """The file, locked; `None` where another one stands there by now, and is to be tried."""
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(self._path.open("a+b", buffering=0))
            locked, holder = _locked(file), _holder(file)
            ended = _ended(holder)
            self.left = _name(holder) if holder is not None else self.left
            if locked is False and ended:  # it is held by a process that the run had begun, and that outlives it
                self._path.unlink(missing_ok=True)
            elif locked is False or (locked is None and ended is False):
                raise LockedError(
                    directory,
                    expected="a directory that no other run writes to",
                    got=f"one that {_name(holder)} writes to",
                    cure=f"Wait for its end, or choose another directory; if there is no such run, remove {NAME}.",
                )
            elif _same(file, self._path):
                stack.pop_all()
                return file
        return None

    def release(self) -> None:
        """Lets go of the directory, and leaves nothing behind."""
        if self._file is not None:
            with failures(self._path), self._file as file:
                if _same(file, self._path):
                    self._path.unlink()
            self._file = None


def held_by_another(file: IO[bytes]) -> bool:
    """Whether another process has locked a file that is open for writing; if not, this one has from here on.

    A process that this one begins does not inherit the lock.
    """
    if fcntl is None:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # other errors: a file system without locks, or no file
        return error.errno in BUSY
    return False


def _locked(file: IO[bytes]) -> bool | None:
    """Whether the file could be locked; `None` where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in BUSY else None
    return True


def _holder(file: IO[bytes]) -> dict[str, Any] | None:
    """Who has written into the file."""
    try:
        file.seek(0)
        holder = json.loads(file.read(1000))
    except ValueError:  # it is empty, or torn
        return None
    return holder if isinstance(holder, dict) and isinstance(holder.get("process"), int) else None


def _ended(holder: dict[str, Any] | None) -> bool | None:
    """Whether the process is gone; `None` where that cannot be told, as of another machine."""
    if fcntl is None or holder is None or holder.get("host") != socket.gethostname():
        return None
    try:
        os.kill(holder["process"], 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it is there, and somebody else's
        return False
    return False


def _name(holder: dict[str, Any] | None) -> str:
    if holder is None:
        return "another process"
    return f"process {holder['process']} on {holder.get('host')} (since {holder.get('since')})"


def _same(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is what stands at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
