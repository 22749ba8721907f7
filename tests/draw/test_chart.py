"""Charts as SVG: well-formed, every number in its place, gaps, marks, and no colour of their own."""

import math
import re
from xml.etree import ElementTree

import pytest

from jgraph.draw.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, chart, scale_of
from jgraph.draw.panels import Panel

NAN = math.nan


def paths(text: str) -> list[str]:
    return [element.attrib["d"] for element in ElementTree.fromstring(text).iter("path")]


def points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", "".join(paths(text)))]


def test_the_first_and_the_last_number_stand_at_the_edges_and_in_their_order() -> None:
    found = points(chart(Panel("accuracy", "metric", (0.25, 0.5, 0.75))))
    assert found[0][0] == LEFT
    assert found[-1][0] == WIDTH - RIGHT
    heights = [y for _, y in found]
    assert heights == sorted(heights, reverse=True)
    assert all(TOP <= y <= HEIGHT - BOTTOM for y in heights)
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.11)


def test_equal_ratios_are_equal_steps_where_a_loss_spans_powers_of_ten() -> None:
    panel = Panel("loss", "total", (100.0, 1.0, 0.01))
    heights = [y for _, y in points(chart(panel))]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.11)
    assert scale_of(panel).ticks == (0.01, 0.1, 1.0, 10.0, 100.0)
    assert not scale_of(Panel("accuracy", "metric", (100.0, 1.0))).powers


def test_the_scale_holds_both_curves_and_one_number() -> None:
    scale = scale_of(Panel("loss", "total", (1.0, 2.0), (3.0, NAN)))
    assert scale.low < 1 < 3 < scale.high
    assert scale_of(Panel("loss", "total", (2.0, 2.0))).ticks == (2.0,)
    assert scale_of(Panel("loss", "total", (0.0,))) == Scale(-1.0, 1.0, False, (0.0,))


def test_a_number_that_is_not_finite_is_a_gap_and_one_alone_a_dot() -> None:
    [path] = paths(chart(Panel("loss", "total", (1.0, NAN, 2.0, 3.0, math.inf))))
    assert path.count("M") == 2
    assert path.count("L") == 1
    long = chart(Panel("loss", "total", (*[NAN] * 30, 1.0, *[NAN] * 30)))
    assert long.count("<circle") == 1
    assert "no finite number" in chart(Panel("loss", "total", (NAN,)))


def test_dots_are_drawn_where_epochs_are_few() -> None:
    assert chart(Panel("loss", "total", tuple(map(float, range(25))))).count("<circle") == 25
    assert chart(Panel("loss", "total", tuple(map(float, range(26))))).count("<circle") == 0


def test_the_best_epoch_and_the_marks_are_shown() -> None:
    text = chart(Panel("loss", "total", (1.0, 0.5, 0.75), (2.0, 1.5, 1.75)), best=1, marks=(0, 2, 9))
    assert "<title>best epoch 2: loss 1.5</title>" in text
    assert text.count("<polygon") == 2


def test_a_chart_is_well_formed_and_has_the_colours_of_its_page() -> None:
    text = chart(Panel('a<b>&"c"', "metric", (0.5,)), best=0)
    root = ElementTree.fromstring(text)
    assert root.attrib["aria-label"] == 'a<b>&"c" over 1 epochs'
    assert set(re.findall(r"(?:fill|stroke):([^;\"]+)", text)) <= {
        *("none", "var(--training,#0072B2)", "var(--ink,#262626)", "var(--faint,#737373)", "var(--rule,#E6E6E6)"),
        "var(--card,#FFF)",
    }


def test_a_name_that_xml_cannot_hold_is_shown_as_far_as_it_can() -> None:
    text = chart(Panel("a\ud800\x00", "metric", (0.5,)), best=0)
    root = ElementTree.fromstring(text.encode("utf-8"))
    assert root.attrib["aria-label"] == "a\ufffd\ufffd over 1 epochs"
    assert "<title>best epoch 1: a\ufffd\ufffd 0.5</title>" in text


def test_wide_labels_have_room() -> None:
    text = chart(Panel("loss", "total", (123456.25, 123456.5)))
    first = re.search(r'<text x="([\d.]+)"[^>]*text-anchor="end"[^>]*>([^<]+)<', text)
    assert first is not None
    assert float(first[1]) - 5.8 * len(first[2]) >= 0
