"""Where the reading of an iterable stands: what it says of itself, or what its last batch was."""

import copy
from typing import Any, NamedTuple

from jgraph.data.fingerprint import batches_hash
from jgraph.errors import ResumeError

PAIRS = (("get_state", "set_state"), ("state_dict", "load_state_dict"))
"""What the two methods are called that tell a position and take it again: by Grain, and by torchdata."""

OTHER = "Give the data that the run began with; for other data, begin with train_state=run.train_state."


class Place(NamedTuple):
    """Where reading stands, behind the last batch that a step took.

    `of` says what `value` is: the state of the epoch's own `"iterator"`; that of the `"data"` themselves, which lasts
    from epoch to epoch; or, where there is no state, the `"batches"` that were the epoch's first and last, and only
    their hash once a run is left or saved. `rows` are the most that a batch of the epoch had, to which smaller ones are
    filled up; 0 stands for data of which nothing has been read.
    """

    of: str
    value: Any
    rows: int = 0

    def hashed(self) -> "Place":
        """The place with the hash of its batches: it is only taken where somebody needs it, and not at each step."""
        return self if self.has_state or isinstance(self.value, str) else self._replace(value=batches_hash(self.value))

    @property
    def has_state(self) -> bool:
        """Whether reading can go on from it, without what was read before."""
        return self.of != "batches"


def keeps_state(source: Any) -> bool:
    """Whether data, or an iterator over them, tell their position and take it again.

    >>> keeps_state(iter([1, 2]))
    False
    """
    return _pair(source) is not None


def place_by(source: Any, of: str, rows: int = 0) -> Place | None:
    """The place that data or an iterator tell now, with a copy of their state; `None` where they do not tell one."""
    if (pair := _pair(source)) is None:
        return None
    try:
        return Place(of, copy.deepcopy(getattr(source, pair[0])()), rows)
    except NotImplementedError:  # the methods are there for form, as in a base class
        return None
    except Exception as error:
        error.add_note(f"Raised by {pair[0]} of the data, or by a copy of what it gave.")
        raise


def restore(source: Any, state: Any, where: str) -> None:
    """Sets data or an iterator to a position.

    Raises:
        ResumeError: they keep none, or do not take this one.
    """
    _, take = check_keeps(source, where)
    try:
        getattr(source, take)(copy.deepcopy(state))
    except Exception as error:
        got = f"{type(error).__name__} from {take}: {error}".removesuffix(".")
        raise ResumeError(where, expected="data that take the position of the run", got=got, cure=OTHER) from error


def check_keeps(source: Any, where: str) -> tuple[str, str]:
    """Checks that data, or an iterator over them, keep a position: the names of their two methods.

    Raises:
        ResumeError: they do not.
    """
    if (pair := _pair(source)) is None:
        raise ResumeError(
            where,
            expected="data that keep their position, as those did that the run was trained on",
            got=f"a {type(source).__name__} without {' and '.join(PAIRS[0])}, or {' and '.join(PAIRS[1])}",
            cure=OTHER,
        )
    return pair


def _pair(source: Any) -> tuple[str, str] | None:
    for tell, take in PAIRS:
        if hasattr(source, tell) and hasattr(source, take):
            return tell, take
    return None
