"""What a torture found: how many of how many went well, and what did not."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure; `told` is what went wrong, or a measured number in words."""

    what: str
    good: int
    of: int
    told: tuple[str, ...] = ()
