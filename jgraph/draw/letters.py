"""How wide a text is, known without any font: the widths of DejaVu Sans, wider than those of most other fonts."""

import unicodedata

_HUNDREDTHS = {
    "normal": (
        "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53 "
        "100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50 "
        "50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84"
    ),
    "bold": (
        "35 46 52 84 70 100 87 31 46 46 52 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 58 "
        "100 77 76 73 83 68 68 82 84 37 37 77 64 100 84 85 73 85 77 72 68 81 77 110 77 72 73 46 37 46 84 50 "
        "50 67 72 59 72 68 44 72 71 34 34 67 34 104 71 69 72 72 49 60 48 71 65 92 65 65 58 71 37 71 84"
    ),
}
"""Hundredths of the size, of the letters from the space to the tilde."""

WIDTHS = {weight: tuple(int(width) / 100 for width in text.split()) for weight, text in _HUNDREDTHS.items()}


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """The width of a line of text, in the unit of its size.

    >>> width_of("iii", 10) < width_of("WWW", 10) < width_of("WWW", 10, "bold")
    True
    """
    widths = WIDTHS[weight]
    return size * sum(widths[ord(c) - 32] if " " <= c <= "~" else _other(c) for c in text)


def _other(letter: str) -> float:
    """The width of a letter outside of ASCII, rather too wide than too narrow."""
    if unicodedata.combining(letter):
        return 0.0
    return 1.1 if unicodedata.east_asian_width(letter) in "WF" else 0.85


def plain(text: str) -> str:
    r"""A text on one line, of letters that every kind of file can hold; others as Python writes them.

    >>> plain("a\nb\x00")
    'a\\nb\\x00'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis where it has more letters.

    >>> shortened("concatenate", 8)
    'concate…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def holdable(text: str) -> str:
    r"""The text without the letters that XML and files of UTF-8 cannot hold.

    >>> holdable("a\x00b")
    'a�b'
    """
    return "".join(c if _is_holdable(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_holdable(letter: str) -> bool:
    return letter in "\t\n" or (letter >= " " and not "\ud800" <= letter <= "\udfff" and letter not in "\ufffe\uffff")
