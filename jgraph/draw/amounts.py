"""Large numbers and bytes for people, in a unit that suits them."""

import math

PREFIXES = ("", "k", "M", "G", "T", "P", "E")
BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def amount(number: float, unit: str = "") -> str:
    """A number with three digits and a prefix of 1000.

    >>> amount(0), amount(4_416), amount(999_999), amount(1.234e9, "flop")
    ('0', '4.42 k', '1 M', '1.23 Gflop')
    """
    if not math.isfinite(number):
        return f"{number} {unit}".strip()
    power = 0
    while power < len(PREFIXES) - 1 and float(f"{abs(number) / 1000**power:.3g}") >= 1000:
        power += 1
    return f"{number / 1000**power:.3g} {PREFIXES[power]}{unit}".strip()


def bytes_of(number: float) -> str:
    """A number of bytes, in units of 1024.

    >>> bytes_of(12), bytes_of(1536), bytes_of(2**40), bytes_of(2**20 - 1)
    ('12 B', '1.5 KiB', '1.0 TiB', '1.0 MiB')
    """
    if not math.isfinite(number):
        return f"{number} B"
    power = 0
    while power < len(BYTES) - 1 and round(abs(number) / 1024**power, 1) >= 1024:
        power += 1
    return f"{number:.0f} B" if power == 0 else f"{number / 1024**power:.1f} {BYTES[power]}"
