"""Progress for people: a live bar on a terminal, and a line for each epoch."""

from collections.abc import Mapping
from typing import ClassVar

from jgraph.draw.terminal import Bar, Line, Terminal, epoch_line
from jgraph.train.actions import Sink, Write
from jgraph.train.callback import Callback, Event, Result
from jgraph.typing import PyTree


class ProgressBar(Callback):
    """Shows how far training has come; `fit` adds one unless it is given `progress=False`.

    A terminal has a live bar: the epoch, its steps, the loss so far, steps per second and the time left. It reads the
    loss from the device when it is redrawn, at most ten times a second. The logs of each epoch stay, on one line. Where
    the output is no terminal, such as a file, there are these lines alone and nothing is read.

    >>> import jgraph as jg
    >>> memory, actions = jg.callbacks.ProgressBar().on_epoch_end({}, jg.callbacks.Event(epochs=3, logs={"loss": 0.5}))
    >>> actions[0].record.text
    'epoch 1/3   loss 0.5'
    """

    every_steps: ClassVar[int | None] = None

    def glances(self) -> bool:
        """Yes: the bar only looks."""
        return True

    def sinks(self, memory: PyTree) -> dict[Sink, int]:
        """The terminal, which keeps what it has."""
        del memory
        return {Terminal(): 0}

    def on_epoch_begin(self, memory: PyTree, event: Event) -> Result:
        """Shows an empty bar."""
        return memory, [_bar(event, event.position.step, {})]

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Moves the bar on."""
        return memory, [_bar(event, event.position.step or event.steps or 0, event.logs)]

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Prints the logs."""
        seconds = event.timings.get("epoch_seconds")
        return memory, [Write(Terminal(), Line(epoch_line(event.epoch, event.epochs, event.logs, seconds)))]

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Says why training stopped before its last epoch, if it did."""
        return memory, [] if event.stopped is None else [Write(Terminal(), Line(f"stopped: {event.stopped}"))]

    def on_exception(self, memory: PyTree, event: Event) -> Result:
        """Says why training was stopping when the error came, if it was."""
        return self.on_train_end(memory, event)


def _bar(event: Event, done: int, logs: Mapping[str, float]) -> Write:
    return Write(Terminal(), Bar(event.epoch, event.epochs, done, event.steps, logs))
