"""Training ends when its time is up."""

from typing import ClassVar

from jgraph.callbacks.monitor import check_number
from jgraph.errors import ArgumentError, check_flag
from jgraph.train.actions import Stop
from jgraph.train.callback import Callback, Event, Result
from jgraph.train.state import TrainState
from jgraph.typing import PyTree

UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}


class Timer(Callback):
    """Stops training when `seconds`, `minutes` and `hours`, which add up, are over.

    They are those that `fit` took, compiling and validating included; a run that goes on has what the ones before have
    left of them. The clock is looked at a few times a second; with `whole_epochs` at the end of each epoch alone, so
    that none is cut off. Where it stops depends on the machine; the bits until then do not.

    Raises:
        ArgumentError: none of the three is given, or one is no number above 0.

    >>> import jgraph as jg
    >>> timer = jg.callbacks.Timer(minutes=30)
    >>> event = jg.callbacks.Event(epoch=4, step=500, timings={"seconds": 1803.0})
    >>> timer.on_step_end(timer.init(None), event)[1]
    [Stop(reason='the time is up: 30 minutes')]
    """

    seconds: float | None = None
    minutes: float | None = None
    hours: float | None = None
    whole_epochs: bool = False
    every_steps: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for unit in UNITS:
            if getattr(self, unit) is not None:
                check_number("Timer", unit, getattr(self, unit), " above 0", 30)
        check_flag("Timer", whole_epochs=self.whole_epochs)
        if not self._given():
            cure = "Write minutes=30, for example."
            raise ArgumentError("Timer, minutes", expected="seconds, minutes or hours", got="none of them", cure=cure)

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: the seconds that were used before this `fit`, and until now."""
        del train_state
        return {"before": 0.0, "used": 0.0}

    def glances(self) -> bool:
        """Whether the clock is looked at within an epoch."""
        return not self.whole_epochs

    def on_train_begin(self, memory: PyTree, event: Event) -> Result:
        """Goes on from what has been used."""
        del event
        return {"before": memory["used"], "used": memory["used"]}, []

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the clock."""
        used = memory["before"] + float(event.timings["seconds"])
        up = used >= sum(UNITS[unit] * amount for unit, amount in self._given().items())
        reason = f"the time is up: {' and '.join(f'{amount:g} {unit}' for unit, amount in self._given().items())}"
        return {**memory, "used": used}, [Stop(reason)] if up else []

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the clock."""
        return self.on_step_end(memory, event)

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Notes what has been used."""
        return self.on_step_end(memory, event)[0], []

    def _given(self) -> dict[str, float]:
        amounts = {unit: getattr(self, unit) for unit in reversed(UNITS)}
        return {unit: float(amount) for unit, amount in amounts.items() if amount is not None}
