"""Ctrl-C and SIGTERM while training: noted at once, acted upon between two dispatches."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Signals:
    """Handles SIGINT and SIGTERM within a `with`, in the main thread only, and puts the old handlers back after it.

    The first signal is noted in `caught`. A second Ctrl-C raises KeyboardInterrupt at once, unless a dispatch is being
    handed over (`holding`), as the arrays that were donated to it are gone and those it gives are not yet kept: then as
    soon as they are.
    """

    def __init__(self) -> None:
        self.caught: signal.Signals | None = None
        self.holding = False
        self._again = False
        self._old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                old = signal.getsignal(number)
                # None is a handler that was not set from Python, which could not be put back.
                if old is not None and old != signal.SIG_IGN:
                    self._old[number] = old
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)

    def release(self) -> None:
        """Ends the handing over.

        Raises:
            KeyboardInterrupt: a second Ctrl-C came meanwhile.
        """
        self.holding = False
        if self._again:
            self._again = False
            raise KeyboardInterrupt

    def again(self) -> None:
        """Sends a SIGTERM that was caught once more, to the handler that is there now."""
        if self.caught == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.caught is None or number == signal.SIGTERM:
            self.caught = signal.Signals(number)
        else:
            if not self.holding:
                raise KeyboardInterrupt
            self._again = True
