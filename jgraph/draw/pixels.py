"""Pictures made of pixels, uint8 [height, width, 3]: grids of images with captions, and matrices with numbers."""

import math
from collections.abc import Sequence

import numpy as np

from jgraph.draw.glyphs import HEIGHT, WIDTH, letters

PAPER, INK, FAINT = (255, 255, 255), (40, 40, 40), (150, 150, 150)
DARK = np.array((8, 48, 107), float)
"""The colour of a cell that holds all examples of its class."""

GAP = 4
SMALLEST = 64
"""An image is enlarged by a whole factor to at least so many pixels, as one of 28 is too small to be seen."""

MOST_NUMBERED, LARGEST_MATRIX = 30, 1200
"""Up to how many classes the cells of a matrix have numbers; and its pixels, at most."""


def as_images(values: np.ndarray, *, each: bool = False) -> np.ndarray:
    """Numbers [n, height, width, 1 or 3 or 4] as red, green and blue from 0 to 255: [n, height, width, 3].

    Numbers from 0 to 1 and from 0 to 255 are taken as such; others are stretched, the smallest to black and the largest
    to white, over all images, or over `each` by itself. What is not finite is black, and a fourth channel is left out.

    >>> as_images(np.array([0.0, 0.5, 1.0]).reshape(1, 1, 3, 1))[0, 0, :, 0].tolist()
    [0, 128, 255]
    """
    values = np.asarray(values)
    numbers = np.nan_to_num(values.astype(float), nan=0.0, posinf=0.0, neginf=0.0)[..., :3]
    axes = (1, 2, 3) if each else None
    least, most = numbers.min(axis=axes, keepdims=True), numbers.max(axis=axes, keepdims=True)
    whole = values.dtype.kind in "iub" and values.dtype != bool
    if not each and numbers.min() >= 0 and numbers.max() <= (255 if whole or numbers.max() > 1 else 1):
        least, most = np.zeros(1), np.full(1, 255.0 if whole or numbers.max() > 1 else 1.0)
    scaled = (numbers - least) / np.where(most > least, most - least, 1.0)
    pixels = np.rint(255 * scaled).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def grid(images: np.ndarray, captions: Sequence[Sequence[str]] = (), *, smallest: int = SMALLEST) -> np.ndarray:
    """Images [n, height, width, 3] side by side in rows, each with the lines of its caption below.

    >>> grid(np.zeros((4, 28, 28, 3), np.uint8), [["a cat"]] * 4).shape
    (200, 180, 3)
    """
    count, height, width = images.shape[:3]
    factor = max(1, -(-smallest // max(height, width)))
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = height * factor, width * factor
    lines = max(map(len, captions), default=0)
    wide = max([width, *(WIDTH * len(line) for caption in captions for line in caption)])
    across = max(1, round(math.sqrt(count * (height + lines * HEIGHT) / wide)))
    across = min(across, count)
    tall = height + lines * (HEIGHT + 2)
    down = -(-count // across)
    canvas = _paper(down * (tall + GAP) + GAP, across * (wide + GAP) + GAP)
    for place, image in enumerate(images):
        top, left = GAP + place // across * (tall + GAP), GAP + place % across * (wide + GAP)
        start = left + (wide - width) // 2
        canvas[top : top + height, start : start + width] = image
        for number, line in enumerate(captions[place] if captions else ()):
            put_text(canvas, top + height + 2 + number * (HEIGHT + 2), left + (wide - WIDTH * len(line)) // 2, line)
    return canvas


def matrix(counts: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A confusion matrix: a row for each true class, a column for each predicted one; the darker, the more of the row.

    >>> matrix(np.array([[3, 1], [0, 4]]), ["cat", "dog"]).shape
    (100, 110, 3)
    """
    classes = len(counts)
    numbered = classes <= MOST_NUMBERED
    digits = len(f"{int(counts.max(initial=0))}")
    cell = max(32, WIDTH * digits + 6) if numbered else max(1, LARGEST_MATRIX // classes)
    named = numbered or cell >= HEIGHT
    names = [name if len(name) <= 16 else f"{name[:14]}.." for name in names] if named else [""] * classes
    longest = WIDTH * max(map(len, names), default=0)
    flat = longest < cell  # names stand above their columns, or, where they are too long, upright
    top, left = 2 * HEIGHT + GAP + (HEIGHT if flat else longest), 2 * HEIGHT + GAP + longest
    canvas = _paper(top + cell * classes + 2 * GAP, left + cell * classes + 2 * GAP)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row in range(classes):
        middle = (cell - HEIGHT) // 2
        put_text(canvas, top + row * cell + middle, left - GAP - WIDTH * len(names[row]), names[row])
        if flat:
            put_text(canvas, top - HEIGHT - 2, left + row * cell + (cell - WIDTH * len(names[row])) // 2, names[row])
        else:
            put_text(canvas, top - GAP, left + row * cell + middle, names[row], upwards=True)
        for column in range(classes):
            share, y, x = shares[row, column], top + row * cell, left + column * cell
            canvas[y : y + cell - 1, x : x + cell - 1] = (1 - share) * np.array(PAPER) * 0.97 + share * DARK
            if numbered and counts[row, column]:
                text = str(int(counts[row, column]))
                put_text(canvas, y + middle, x + (cell - WIDTH * len(text)) // 2, text, PAPER if share > 0.5 else INK)
    put_text(canvas, GAP, left + max((cell * classes - WIDTH * 9) // 2, 0), "predicted", FAINT)
    put_text(canvas, top + (cell * classes + WIDTH * 4) // 2, GAP, "true", FAINT, upwards=True)
    return canvas


def put_text(
    canvas: np.ndarray,
    top: int,
    left: int,
    text: str,
    color: tuple[int, int, int] = INK,
    *,
    upwards: bool = False,
) -> None:
    """Writes a line of text on a canvas, to the right, or upwards from its lower left corner; what is beyond is cut."""
    ink = letters(text)
    if upwards:
        ink = np.rot90(ink)
        top -= ink.shape[0]
    rows, columns = np.nonzero(ink)
    rows, columns = rows + top, columns + left
    inside = (rows >= 0) & (rows < canvas.shape[0]) & (columns >= 0) & (columns < canvas.shape[1])
    canvas[rows[inside], columns[inside]] = color


def _paper(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)
