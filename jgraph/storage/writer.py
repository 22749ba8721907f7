"""One job at a time beside the loop: saving while training goes on."""

import importlib
import logging
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from jgraph.errors import ArgumentError


class Writer:
    """Runs functions in a background thread, one at a time; the error of one is raised by the next call here.

    A job is finished before the process ends, even where nobody waits for it.

    >>> done = []
    >>> with Writer() as writer:
    ...     writer.submit(done.append, 1)
    ...     writer.wait()
    >>> done
    [1]
    """

    def __init__(self) -> None:
        self._finished = threading.Event()
        self._finished.set()
        self._error: BaseException | None = None
        self._closed = self._waits_at_exit = False

    def submit(self, function: Callable[..., object], *args: Any) -> None:
        """Starts a job, once the one under way is finished.

        Raises:
            ArgumentError: the writer is closed. Otherwise the error of the job before, and this one is not started.
        """
        if self._closed:
            raise ArgumentError("Writer.submit", expected="an open writer", got="a closed one", cure="Make a new one.")
        self.wait()
        if not self._waits_at_exit:
            self._waits_at_exit = True
            _before_exit(weakref.WeakMethod(self._end))
        thread = threading.Thread(target=self._run, args=(function, args), name="jgraph writer")
        self._finished.clear()
        try:
            thread.start()
        except BaseException:  # an interrupt may come when the thread runs already
            if thread not in threading.enumerate():
                self._finished.set()
            raise

    def busy(self) -> bool:
        """Whether a job is under way."""
        return not self._finished.is_set()

    def check(self) -> None:
        """Raises the error of a job that has failed, once."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def wait(self) -> None:
        """Waits for the job under way, and raises its error; an interrupt ends the waiting and not the job."""
        self._finished.wait()  # not Thread.join: an interrupted join of Python 3.11 takes the thread for finished
        self.check()

    def close(self) -> None:
        """Waits for the job under way, raises its error, and takes no more jobs."""
        self._closed = True
        self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as failed:
            if error is None:
                raise
            error.add_note(f"Meanwhile a job of the writer failed: {failed}")

    def _run(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException as error:
            self._error = error
        finally:
            self._finished.set()

    def _end(self) -> None:
        self._finished.wait()
        if self._error is not None:
            logging.getLogger("jgraph").error("a job was not finished: %s", self._error)


def _before_exit(method: weakref.WeakMethod) -> None:
    """Calls a method, if it is still there, when the main thread ends and threads can still be started.

    What `atexit` calls comes later, and what pools of threads and processes register at their import comes before what
    was registered before them: a job could start no threads of its own then, and Orbax does.
    """
    importlib.import_module("concurrent.futures.thread")
    importlib.import_module("concurrent.futures.process")

    def call() -> None:
        if (bound := method()) is not None:
            bound()

    register: Callable[[Callable[[], None]], None] = vars(threading)["_register_atexit"]
    register(call)
