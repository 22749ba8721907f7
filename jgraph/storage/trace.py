"""Traces of JAX's profiler, in the files that TensorBoard's Profile page and Perfetto read."""

import dataclasses
from pathlib import Path

import jax

from jgraph.errors import ArgumentError
from jgraph.storage.appended_file import check_folder
from jgraph.storage.places import failures


@dataclasses.dataclass(frozen=True)
class Trace:
    """A directory that traces go to; its records are `True`, which begins one, and `False`, which ends it.

    A trace that is under way when the sink is closed, whatever the reason, ends there.
    """

    directory: str

    def open(self, keep: int | None) -> "Tracer":
        """Opens it; older traces stay, each in a folder named by its time.

        Raises:
            WriteError: the directory cannot be written.
        """
        del keep
        check_folder(Path(self.directory))
        return Tracer(Path(self.directory))


class Tracer:
    """Begins and ends traces."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._under_way = folder, False

    def write(self, record: bool) -> None:
        """Begins or ends a trace; where that is so already, it does nothing.

        Raises:
            ArgumentError: somebody else has begun one. WriteError: it cannot be written.
        """
        if record == self._under_way:
            return
        with failures(self._folder):
            if not record:
                self._under_way = False
                jax.profiler.stop_trace()
                return
            try:
                jax.profiler.start_trace(str(self._folder))
            except RuntimeError as error:
                raise ArgumentError(
                    "TensorBoard, profile_steps",
                    expected="no trace under way",
                    got=f"the profiler's error: {error}".removesuffix("."),
                    cure="End the other trace first, or leave profile_steps out.",
                ) from error
            self._under_way = True

    def flush(self) -> None:
        """Does nothing: a trace is written when it ends."""

    def close(self) -> None:
        """Ends a trace that is under way."""
        self.write(False)
