"""A bounded queue before something slow: records are written by a thread of their own, in order."""

import collections
import threading
from typing import Any, Protocol

from jgraph.errors import WriteError

ROOM = 64
"""How many records may wait."""

LOOK_SECONDS = 0.5
"""How often, while it waits for room, the loop looks whether the thread is still there."""


class Slow(Protocol):
    """What records are written to: an open file, say."""

    def write(self, record: Any) -> None:
        """Writes a record."""

    def flush(self) -> None:
        """Makes sure that what was written outlives this process."""

    def close(self) -> None:
        """Ends the writing."""


class Queued:
    """An outlet whose records are written beside the loop, by a thread that ends when there is nothing left to write.

    The queue is bounded: where it is full, `write` waits for room, or raises where the thread is dead. The first record
    that cannot be written ends the writing, as those after it would leave a gap: its error is raised, the same one, by
    whatever is called here next. `flush` and `close` wait until everything is written. `where` is the place for errors.

    >>> import io
    >>> class Lines:
    ...     text = io.StringIO()
    ...     def write(self, record): self.text.write(f"{record};")
    ...     def flush(self): self.text.flush()
    ...     def close(self): pass
    >>> queued = Queued(Lines())
    >>> for number in range(3):
    ...     queued.write(number)
    >>> queued.flush()
    >>> Lines.text.getvalue()
    '0;1;2;'
    """

    def __init__(self, slow: Slow, where: str = "records", room: int = ROOM) -> None:
        self._slow, self._where, self._room = slow, where, room
        self._waiting = collections.deque[Any]()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def write(self, record: Any) -> None:
        """Puts a record in the queue.

        Raises:
            The error of a record before it, and this one is not written.
        """
        with self._changed:
            self._wait(self._room - 1)
            self._waiting.append(record)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="jgraph records")
        try:
            self._thread.start()
        except BaseException:  # no thread can be started, so the record was not taken; an interrupt may come later
            if not self._thread.is_alive():
                self._thread = None
                self._waiting.pop()
            raise

    def check(self) -> None:
        """Raises the error of a record that could not be written."""
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Waits until all records are written.

        Raises:
            The error of one that could not be written.
        """
        with self._changed:
            self._wait(0)

    def flush(self) -> None:
        """Waits until all records are written, and outlive this process.

        Raises:
            The error of one that could not be written.
        """
        self.wait()
        self._slow.flush()

    def close(self) -> None:
        """Waits until all records are written, and ends the writing, whatever fails.

        Raises:
            The error of one that could not be written.
        """
        try:
            with self._changed:
                thread = self._thread
                self._wait(0)
            if thread is not None:
                thread.join()  # it has nothing left to do
        finally:
            self._slow.close()

    def _wait(self, most: int) -> None:
        """Waits until no more than so many records are waiting, as long as there is a thread that writes them."""
        while len(self._waiting) > most and self._error is None:
            self._changed.wait(LOOK_SECONDS)
            if self._thread is not None and not self._thread.is_alive():  # nothing of ours ends it so
                self._error = WriteError(
                    self._where,
                    expected="a thread that writes the records",
                    got=f"a dead one, which left {len(self._waiting)} of them",
                    cure="Go on from the newest checkpoint: fit(resume=directory).",
                )
        self.check()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._error is not None or not self._waiting:
                    self._thread = None
                    self._changed.notify_all()
                    return
                record = self._waiting[0]  # it stays in the queue until it is written
            try:
                self._slow.write(record)
            except BaseException as error:
                self._error = error
            with self._changed:
                if self._error is None:
                    self._waiting.popleft()
                self._changed.notify_all()
