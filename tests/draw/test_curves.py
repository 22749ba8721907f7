"""The picture of a run: whole files, the same bytes each time, nothing cut off, nothing of matplotlib changed."""

import itertools
import math
import os
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from jgraph.draw.curves import draw_curves
from jgraph.errors import ArgumentError, WriteError

NAN = math.nan
REASON = "early_stopping: val_loss has not improved by more than 0.0001 for 5 epochs, so the best epoch is restored; "
LONG = "the_predicted_income_of_the_household_in_the_next_year"
BEGINNINGS = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml", ".pdf": b"%PDF-"}


def history(epochs: int, *names: str) -> dict[str, list[float]]:
    random = np.random.default_rng(epochs)
    curve = np.exp(-np.arange(epochs) / 5)
    logs = {}
    for name in names:
        logs[name] = (random.uniform(1, 3) * curve + 0.1 + random.uniform(0, 0.02, epochs)).tolist()
        logs[f"val_{name}"] = (random.uniform(2, 4) * curve + 0.2 + random.uniform(0, 0.02, epochs)).tolist()
    return {**logs, "learning_rate": np.where(np.arange(epochs) < 6, 1e-3, 5e-5).tolist()}


OUTPUTS = ("loss", "digit/loss", "same/loss", "sum/loss", "digit/accuracy", "same/accuracy", "sum/mae")
CASES: dict[str, tuple[dict[str, list[float]], dict[str, Any]]] = {
    "three outputs": (
        history(17, *OUTPUTS),
        {"best": ("val_loss", 11), "stopped": REASON * 4, "title": "digit_pairs"},
    ),
    "one epoch": ({"loss": [0.5], "accuracy": [0.75]}, {"best": ("loss", 0), "stopped": "interrupted"}),
    "one number": ({"loss": [0.5]}, {}),
    "300 epochs": (history(300, "loss", "accuracy"), {"best": ("val_loss", 299)}),
    "twelve": (
        history(9, *OUTPUTS[:5], "a/b", "c/d", "e/f", "g/h", "i/j", "k/l"),
        {"best": ("loss", 3), "stopped": "x"},
    ),
    "gaps": (
        {"loss": [NAN, 1.0, NAN, 0.5, math.inf, 0.25], "val_loss": [NAN] * 6, "steady": [0.0] * 6},
        {"best": ("loss", 0), "stopped": "the loss is not finite"},
    ),
    "extremes": (
        {
            "loss": [1e300, -1e300],
            "a": [1e99, -1e99],
            "b": [5e-324, 1e-320],
            "c/loss": [5e-324, 9e99],
            "d": [1, 1 + 1e-16],
        },
        {"best": ("a", 1)},
    ),
    "negative": ({"loss": [-1.0, -300.0], "learning_rate": [0.0, 0.1]}, {}),
    "decisions": (
        history(17, "loss", "accuracy"),
        {
            "best": ("val_loss", 11),
            "events": [
                *(f"epoch {epoch}, step 9: plateau: learning rate 1 -> 0.5" for epoch in range(2, 18)),
                "epoch 4, step 9: mine: freezes 'a'",
                "epoch 4, step 9: mine: restores a train state",
            ],
        },
    ),
    "rates alone": ({"lr_scale": [1.0, 0.1], "learning_rate": [1e-3, 1e-4]}, {}),
    "long names": (
        {f"{output}/{log}": [0.5, 0.25] for output in (LONG, LONG[4:], "W" * 90) for log in ("loss", "accuracy")},
        {"best": (f"{LONG}/loss", 1), "stopped": "x" * 300, "title": "A title that is long " * 8},
    ),
    "odd letters": (
        {"loss": [1.0, 0.5], "$x_{/loss": [2.0, 1.0], "a<&>\x00/loss": [1.0, 1.0]},
        {"stopped": "\x1b[31m\N{CJK UNIFIED IDEOGRAPH-6A21}\ud800\n$\\frac{1}", "title": "$_{ \\"},
    ),
}
EVERY_CASE = pytest.mark.parametrize("name", CASES)


def texts_of(svg: Path) -> list[str]:
    tree = ElementTree.fromstring(svg.read_bytes())
    return ["".join(node.itertext()) for node in tree.iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that have been saved."""
    saved, save = [], Figure.savefig

    def savefig(figure: Figure, *arguments: Any, **words: Any) -> None:
        save(figure, *arguments, **words)
        saved.append(figure)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved


def texts_on(figure: Figure) -> list[tuple[str, Bbox]]:
    """All texts of a figure with the boxes that they fill, but for empty ones and ticks out of sight."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [text for text in axes.get_children() if isinstance(text, Text)]
        texts += [axes.xaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text()]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [*((name, ".svg") for name in CASES), ("gaps", ".png"), ("gaps", ".pdf"), ("odd letters", ".pdf")],
)
def test_a_whole_file_is_written_and_always_the_same_one(name: str, suffix: str, tmp_path: Path) -> None:
    logs, words = CASES[name]
    first, second = tmp_path / f"new/folder/a{suffix}", tmp_path / f"b{suffix.upper()}"
    draw_curves(first, logs, **words)
    draw_curves(str(second), logs, **words)
    content = first.read_bytes()
    assert content.startswith(BEGINNINGS[suffix])
    assert content == second.read_bytes()


@EVERY_CASE
@pytest.mark.filterwarnings("ignore:Glyph")  # measured here outside of the drawing
def test_a_picture_has_a_sensible_size_and_no_text_is_cut_off_or_covers_another(
    name: str, tmp_path: Path, figures: list[Figure]
) -> None:
    logs, words = CASES[name]
    draw_curves(tmp_path / "a.png", logs, **words)
    width, height = struct.unpack(">II", (tmp_path / "a.png").read_bytes()[16:24])
    assert 800 <= width <= 1500
    assert 300 <= height <= 2400
    boxes = texts_on(figures[0])
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figures[0].bbox.x1, text
        assert box.y1 <= figures[0].bbox.y1, text
    for (text, box), (other, another) in itertools.combinations(boxes, 2):
        assert not box.padded(-1).overlaps(another.padded(-1)), f"{text!r} and {other!r}"


def test_an_svg_says_in_words_what_is_to_be_seen(tmp_path: Path) -> None:
    logs, words = CASES["three outputs"]
    draw_curves(tmp_path / "a.svg", logs, **words)
    texts = texts_of(tmp_path / "a.svg")
    best = logs["val_loss"][11]
    assert {*OUTPUTS, "learning_rate", "training", "validation", "digit_pairs", "epoch"} <= set(texts)
    assert f"best epoch 12: val_loss {best:.4g}" in texts
    assert REASON * 4 in " ".join(texts) + " "
    assert any(text.startswith("stopped after epoch 17: early_stopping") for text in texts)
    for name in OUTPUTS:
        assert f"\N{BLACK CIRCLE} {logs[f'val_{name}'][11]:.4g}" in texts


def test_what_there_is_not_is_not_said(tmp_path: Path) -> None:
    draw_curves(tmp_path / "a.svg", {"loss": [1.0, 0.5]})
    said = " ".join(texts_of(tmp_path / "a.svg"))
    assert "training" in said
    assert not any(word in said for word in ("validation", "best", "stopped"))


def test_epochs_count_from_1_and_marks_stand_at_theirs(tmp_path: Path, figures: list[Figure]) -> None:
    logs = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.5, 2.0]}
    draw_curves(tmp_path / "a.png", logs, best=("val_loss", 1), stopped="enough")
    [axes] = figures[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    lines = [(line.get_marker(), np.asarray(line.get_xydata()).tolist()) for line in axes.lines]
    assert ("o", [[2, 1.5]]) in lines
    assert ("s", [[3, 0]]) in lines
    assert ("None", [[2, 0], [2, 1]]) in lines
    assert ("None", [[3, 0], [3, 1]]) in lines


def test_decisions_are_lines_with_signs_one_below_the_other(tmp_path: Path, figures: list[Figure]) -> None:
    events = [f"epoch 2, step 9: mine: {said}" for said in ("learning rate 1 -> 0.5", "freezes 'a'")]
    draw_curves(tmp_path / "a.png", {"loss": [3.0, 2.0, 1.0]}, events=events)
    [axes] = figures[0].axes
    lines = [(line.get_marker(), np.asarray(line.get_xydata()).tolist()) for line in axes.lines]
    assert lines.count(("None", [[2, 0], [2, 1]])) == 1
    assert ("v", [[2, 1]]) in lines
    assert ("D", [[2, 0.915]]) in lines


@pytest.mark.parametrize(
    ("name", "values", "scale"),
    [
        ("loss", [1.0, 0.09], "log"),
        ("loss", [1.0, 0.11], "linear"),
        ("loss", [1.0, 0.0], "linear"),
        ("learning_rate", [1e-3, 9e-5], "log"),
        ("accuracy", [0.01, 0.9], "linear"),
    ],
)
def test_more_than_a_power_of_ten_is_drawn_by_powers(
    name: str, values: list[float], scale: str, tmp_path: Path, figures: list[Figure]
) -> None:
    draw_curves(tmp_path / "a.png", {name: values})
    assert figures[0].axes[0].get_yscale() == scale


def test_a_gap_is_no_line_and_an_epoch_alone_is_a_dot(tmp_path: Path, figures: list[Figure]) -> None:
    values = [1.0, NAN, *np.linspace(2, 1, 50)]
    draw_curves(tmp_path / "a.png", {"loss": values})
    line, dots = figures[0].axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_array_equal(dots.get_ydata(), [1.0] + [NAN] * 51)


@pytest.mark.parametrize(
    ("rates", "style"), [([1.0] * 5 + [0.5] * 5, "steps-mid"), (np.linspace(1, 0, 10).tolist(), "default")]
)
def test_a_rate_that_jumps_is_drawn_in_steps(
    rates: list[float], style: str, tmp_path: Path, figures: list[Figure]
) -> None:
    draw_curves(tmp_path / "a.png", {"learning_rate": rates})
    assert figures[0].axes[0].lines[0].get_drawstyle() == style


@pytest.mark.parametrize("suffix", BEGINNINGS)
def test_the_users_settings_count_for_nothing_and_stay(suffix: str, tmp_path: Path) -> None:
    logs, best = {"loss": [1.0, 0.5]}, ("loss", 1)
    draw_curves(tmp_path / f"a{suffix}", logs, best=best)
    settings: Any = {
        "font.size": 30.0,
        "axes.grid": True,
        "savefig.dpi": 30,
        "svg.fonttype": "path",
        "text.usetex": True,
    }
    with matplotlib.rc_context(settings):
        before = dict(matplotlib.rcParams)
        draw_curves(tmp_path / f"b{suffix}", logs, best=best)
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.slow
def test_another_process_writes_the_same_bytes_without_pyplot_or_a_screen(tmp_path: Path) -> None:
    program = """
import sys
from jgraph.draw.curves import draw_curves
assert "matplotlib" not in sys.modules
for suffix in (".png", ".svg", ".pdf"):
    draw_curves(sys.argv[1] + suffix, {"loss": [3.0, 0.1], "mae": [1.0, 0.5]}, best=("loss", 1), stopped="enough")
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"} | {"PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-W", "error", "-c", program, tmp_path / "a"], env=environment, check=True)
    for suffix in BEGINNINGS:
        draw_curves(
            tmp_path / f"b{suffix}", {"loss": [3.0, 0.1], "mae": [1.0, 0.5]}, best=("loss", 1), stopped="enough"
        )
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["curves", "curves.jpg", "curves.png.txt", ".png"])
def test_another_suffix(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"a suffix among '.png', '.svg', '.pdf'.*Write 'curves.png'"):
        draw_curves(tmp_path / name, {"loss": [1.0]})


@pytest.mark.parametrize("logs", [{}, {"loss": []}])
def test_no_epoch(logs: dict[str, list[float]], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"at least one epoch, got none\. Train for an epoch"):
        draw_curves(tmp_path / "a.png", logs)


def test_logs_of_unequal_length(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"expected 2 numbers a log, got 1 for 'mae'\. Put NaN"):
        draw_curves(tmp_path / "a.png", {"loss": [1.0, 2.0], "mae": [1.0]})


@pytest.mark.parametrize("best", [("val_los", 0), ("val_loss", 2), ("val_loss", -1)])
def test_a_best_epoch_that_is_none(best: tuple[str, int], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"an epoch from 0 to 1.*Give a log's name, and its epoch counted from 0"):
        draw_curves(tmp_path / "a.png", {"loss": [1.0, 2.0], "val_loss": [1.0, 2.0]}, best=best)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "file" / "a.png", tmp_path / "folder.png"):
        with pytest.raises(
            WriteError, match=r"expected a place that can be written, got .* \(.*\)\. Give a path"
        ) as caught:
            draw_curves(path, {"loss": [1.0]})
        assert caught.value.where == str(path)
        assert isinstance(caught.value, OSError)
    assert (tmp_path / "file").read_text() == "in the way"


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ArgumentError, match=r"Install it: pip install jgraph\[plot\]"):
        draw_curves(tmp_path / "a.png", {"loss": [1.0]})
    assert not list(tmp_path.iterdir())
