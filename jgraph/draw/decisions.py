"""What was decided in a run and when, read from its events: what a picture of curves marks."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Literal

DecisionKind = Literal["rate", "restored", "frozen"]

WORDS: dict[DecisionKind, str] = {
    "rate": "learning rate changed at",
    "restored": "restored at",
    "frozen": "layers frozen at",
}
FORMS: dict[DecisionKind, str] = {
    "rate": r"learning rate \S+ -> ",
    "restored": r"restores a train state",
    "frozen": r"freezes ",
}
MOST = 10
"""How many epochs are named."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """A kind of decision, and the epochs in which it was taken, counted from 0."""

    kind: DecisionKind
    epochs: tuple[int, ...]

    def words(self) -> str:
        """The decision for people, who count from 1.

        >>> Decision("rate", (3,)).words(), Decision("restored", (3, 8)).words()
        ('learning rate changed at epoch 4', 'restored at epochs 4, 9')
        """
        named = ", ".join(str(epoch + 1) for epoch in self.epochs[:MOST])
        more = f" and {len(self.epochs) - MOST} more" if len(self.epochs) > MOST else ""
        return f"{WORDS[self.kind]} epoch{'s' * (len(self.epochs) > 1)} {named}{more}"


def decisions(events: Iterable[str], epochs: int) -> list[Decision]:
    """The decisions among the events of a run of so many epochs, by kind.

    >>> decisions(["epoch 4, step 8: plateau: learning rate 0.5 -> 0.25 (val_loss flat)", "compiled train"], 9)
    [Decision(kind='rate', epochs=(3,))]
    """
    found: dict[DecisionKind, dict[int, None]] = {kind: {} for kind in WORDS}
    for event in events:
        said = re.match(r"epoch (\d+), step \d+: [^:]+: (.*)", event, re.DOTALL)
        for kind, form in FORMS.items() if said else ():
            if said and re.match(form, said[2]) and 0 < int(said[1]) <= epochs:
                found[kind].setdefault(int(said[1]) - 1)
    return [Decision(kind, tuple(sorted(taken))) for kind, taken in found.items() if taken]
