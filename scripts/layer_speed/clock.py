"""Sides in turn, as often as it takes: one number is worth little on a machine that others use too."""

import time
from collections.abc import Callable, Mapping

Rounds = dict[str, list[float]]
"""The seconds a call of each side, one number a round."""

ROUNDS, FEWEST = 20, 5
"""Rounds of a side, and of one that is slow."""

BLOCK, CALLS = 0.003, 256
"""The seconds of a round at least, and the most calls that it takes to fill them."""

ENOUGH, LONG = 2.0, 10.0
"""The seconds after which a slow case has no more than the fewest rounds, and after which it has no further one."""

REST = 0.005
"""The seconds in which the threads of the side before stop waiting for more: PyTorch's keep a core busy meanwhile."""


def interleaved(sides: Mapping[str, Callable[[int], float]], rounds: int = ROUNDS) -> Rounds:
    """Times every side `run(count) -> seconds a call` once a round: short rounds, as others may disturb any of them.

    The first two sides, which are to be told apart best, take turns to be first. After PyTorch there is a rest, and a
    side is called before it is timed, unless a call is long: it finds the machine as it left it.
    """
    begin = time.perf_counter()
    counts = {name: min(max(round(BLOCK / run(1)), 1), CALLS) for name, run in sides.items()}
    found: Rounds = {name: [] for name in sides}
    for number in range(rounds):
        first, second, *others = sides
        for name in (first, second, *others) if number % 2 == 0 else (second, first, *others):
            if counts[name] > 1:
                sides[name](1 + counts[name] // 8)
            found[name].append(sides[name](counts[name]))
            if name == "torch":
                time.sleep(REST)
        passed = time.perf_counter() - begin
        if passed > LONG or (passed > ENOUGH and number + 1 >= FEWEST):
            break
    return found
