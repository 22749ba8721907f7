"""Events by hand, and callbacks folded over them: no trainer, no model."""

from collections.abc import Sequence
from typing import Any

from jgraph.train.actions import Action
from jgraph.train.callback import Callback, Event


class Rate:
    """What an event asks for the learning rate."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def learning_rate_of(self, train_state: Any) -> float:
        return self.rate


def after_epoch(epoch: int, value: float, *, mode: str = "min", rate: float | None = None, **facts: Any) -> Event:
    """The event after an epoch whose `val_loss` is a value."""
    trainer = None if rate is None else Rate(rate)
    logs, directions = {"loss": 1.0, "val_loss": value}, {"loss": "min", "val_loss": mode}
    return Event(epoch=epoch, step=10 * (epoch + 1), logs=logs, directions=directions, trainer=trainer, **facts)


def fold(callback: Callback, values: Sequence[float], **facts: Any) -> tuple[Any, list[list[Action]]]:
    """The last memory, and the actions of each epoch."""
    memory, asked = callback.init(facts.get("train_state")), []  # pyright: ignore[reportArgumentType]
    for epoch, value in enumerate(values):
        memory, actions = callback.on_epoch_end(memory, after_epoch(epoch, value, **facts))
        asked.append(list(actions))
    return memory, asked
