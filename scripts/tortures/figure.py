"""What a torture found: how many of how many went well, and what did not."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """So many of so many went well; `told` is what went wrong, or a measured number in words.

    >>> print(Figure("kills: the same bits at the end", 20, 20, ("at most 9 steps lost",)))
    20 of 20   kills: the same bits at the end (at most 9 steps lost)
    """

    what: str
    good: int
    of: int
    told: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all went well, and there was something that could."""
        return self.good == self.of > 0

    def __str__(self) -> str:
        count = f"{self.good} of {self.of}"
        return f"{count:10s} {self.what}" + (f" ({'; '.join(self.told)})" if self.told else "")
