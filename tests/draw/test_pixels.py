"""Pictures made of pixels, and the files that they are written to."""

import struct
import zlib

import numpy as np
import pytest

from jgraph.draw.glyphs import COLUMNS, letters
from jgraph.draw.pixels import as_images, grid, matrix, put_text
from jgraph.draw.png import png


def decoded(data: bytes) -> np.ndarray:
    """The pixels of a PNG file without filters, every checksum computed."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, found = 8, {}
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, content = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + content)
        found[kind], place = content, place + 12 + length
    width, height, depth, color = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert (depth, color, found[b"IEND"]) == (8, 2, b"")
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (300, 200, 3)])
def test_pixels_come_back_from_a_file(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(decoded(png(pixels)), pixels)


def test_letters_are_all_of_ascii_and_all_others_are_question_marks() -> None:
    assert len(COLUMNS) == 5 * 95
    assert letters("~").shape == (8, 6)
    np.testing.assert_array_equal(letters("ä"), letters("?"))
    seen = {letters(chr(n)).tobytes() for n in range(32, 127)}
    assert len(seen) == 95, "no two look the same"


@pytest.mark.parametrize(
    ("values", "pixels"),
    [
        ([0.0, 0.25, 1.0], [0, 64, 255]),
        ([0.0, 128.0, 255.0], [0, 128, 255]),
        (np.array([0, 1, 2], np.uint8), [0, 1, 2]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, np.nan, 1.0], [0, 0, 255]),
    ],
)
def test_numbers_become_shades(values: list[float], pixels: list[int]) -> None:
    images = as_images(np.reshape(values, (1, 1, 3, 1)))
    assert images[0, 0, :, 0].tolist() == pixels
    assert images.shape == (1, 1, 3, 3)


def test_each_kernel_is_stretched_by_itself() -> None:
    kernels = np.array([[0.0, 0.5], [10.0, 20.0]]).reshape(2, 1, 2, 1)
    assert as_images(kernels, each=True)[..., 0].tolist() == [[[0, 255]], [[0, 255]]]


def test_images_stand_in_a_grid_enlarged_with_captions() -> None:
    images = np.zeros((5, 8, 8, 3), np.uint8)
    images[4] = 200
    picture = grid(images, [["cat 90%", "right"]] * 5)
    assert (picture == 200).all(-1).sum() == 64 * 64
    assert (picture == 40).all(-1).sum() == 5 * (letters("cat 90%").sum() + letters("right").sum())
    assert grid(images).shape[0] < picture.shape[0]


def test_a_matrix_is_darker_where_more_of_a_row_is() -> None:
    counts = np.array([[8, 2], [0, 0]])
    picture = matrix(counts, ["a", "b"]).astype(int)
    cells = [picture[y + 1, x + 1].sum() for y, x in ((28, 26), (28, 58), (60, 26))]
    assert cells[0] < cells[1] < cells[2]
    assert matrix(np.eye(100), [str(n) for n in range(100)]).shape[0] < 1400
    assert matrix(np.eye(3), ["a very long name of a class"] * 3).shape[0] > 180


def test_text_beyond_the_canvas_is_cut() -> None:
    canvas = np.full((4, 4, 3), 255, np.uint8)
    put_text(canvas, -3, -3, "WWW")
    put_text(canvas, 2, 2, "WWW", upwards=True)
    assert canvas.shape == (4, 4, 3)
