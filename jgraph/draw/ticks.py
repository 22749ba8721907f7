"""Numbers for people: the ticks of an axis, and their labels."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def number(value: float, digits: int = 4) -> str:
    """A number of so many digits, as short as people write it.

    >>> number(0.00001), number(1500000.0), number(250.0), number(-0.0)
    ('1e-5', '1.5e6', '250', '0')
    """
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].replace("+", ""), f"{value + 0.0:.{digits}g}")


def labels(ticks: Sequence[float]) -> list[str]:
    """The ticks as texts, with as many digits as it takes to tell them apart.

    >>> labels([0.25, 0.5]), labels([0.69310, 0.69315])
    (['0.25', '0.5'], ['0.6931', '0.69315'])
    """
    near = 1e-3 * min((after - before for before, after in itertools.pairwise(ticks)), default=math.inf)
    for digits in range(4, 17):
        texts = [number(tick, digits) for tick in ticks]
        if all(abs(float(text) - tick) <= near for text, tick in zip(texts, ticks, strict=True)):
            return texts
    return [number(tick, 17) for tick in ticks]


def even_ticks(low: float, high: float) -> list[float]:
    """Two to six round numbers from `low` to `high`, evenly spaced.

    >>> even_ticks(0.1, 0.95), even_ticks(-3.0, 4.0)
    ([0.2, 0.4, 0.6, 0.8], [-2.0, 0.0, 2.0, 4.0])
    """
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in STEPS if factor * power >= rough * (1 - 1e-9))
    return [float(f"{count * step:.12g}") for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


def power_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`, at most five; twice and five times as much too, where they are few.

    >>> power_ticks(0.00005, 0.02), power_ticks(0.3, 4.0)
    ([0.0001, 0.001, 0.01], [0.5, 1.0, 2.0])
    """
    whole = _powers(low, high, (1,))
    return whole[:: math.ceil(len(whole) / 5)] if len(whole) > 1 else _powers(low, high, (1, 2, 5))


def powers_between(low: float, high: float) -> list[float]:
    """The faint lines of a scale by powers of ten, twice to nine times each; only the powers where they are many.

    >>> powers_between(0.75, 4.0), powers_between(1e-3, 10.0)
    ([0.8, 0.9, 2.0, 3.0, 4.0], [0.001, 0.01, 0.1, 1.0, 10.0])
    """
    few = high / low < 1e3
    return _powers(low, high, range(2, 10) if few else (1,))


def _powers(low: float, high: float, factors: Iterable[int]) -> list[float]:
    """Multiples of the powers of ten from `low` to `high`; read from their digits, so that they are exact."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    multiples = [float(f"{factor}e{exponent}") for exponent in exponents for factor in factors]
    return [tick for tick in multiples if low <= tick <= high]


def epoch_ticks(epochs: int, most: int) -> list[int]:
    """The first epoch, which people call 1, and then round numbers, about `most` in all.

    >>> epoch_ticks(4, 6), epoch_ticks(17, 6), epoch_ticks(300, 6)
    ([1, 2, 3, 4], [1, 5, 10, 15], [1, 50, 100, 150, 200, 250, 300])
    """
    steps = (factor * 10**power for power in range(12) for factor in (1, 2, 5))
    step = next(step for step in steps if epochs <= most * step)
    return sorted({1, *range(step, epochs + 1, step)})
