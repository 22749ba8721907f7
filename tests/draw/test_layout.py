"""The laws of the layout, over random graphs with random frames: nothing overlaps, every line meets its boxes."""

import itertools
import sys
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jgraph.draw.layout import Layout, Link, Margins, Rectangle, lay_out, whole_frames

CLOSE = 0.05
"""Places are rounded to hundredths."""

Case = tuple[list[tuple[float, float]], list[int | None], list[int | None], list[Link]]


@st.composite
def graphs(draw: st.DrawFn, convex: bool = True) -> Case:
    """Boxes in topological order, links forward, and frames: nested runs of boxes, or any boxes at all."""
    count = draw(st.integers(1, 24))
    sizes = [(float(draw(st.integers(1, 120))), float(draw(st.integers(1, 80)))) for _ in range(count)]
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = draw(st.lists(ends, max_size=2 * count, unique=True))
    links = [Link(min(pair), max(pair), draw(st.integers(0, 1))) for pair in pairs if pair[0] != pair[1]]
    links = list({(link.source, link.target): link for link in links}.values())
    homes: list[int | None] = [None] * count
    parents: list[int | None] = []
    for _ in range(draw(st.integers(0, 4))):
        first, last = sorted(draw(ends))
        inside = homes[first : last + 1]
        if not convex:
            parents.append(None)
            homes = [len(parents) - 1 if draw(st.booleans()) else home for home in homes]
        elif len({*inside}) == 1 and inside.count(inside[0]) < homes.count(inside[0]):
            parents.append(inside[0])
            homes[first : last + 1] = [len(parents) - 1] * len(inside)
    return sizes, homes, parents, links


def laid_out(case: Case) -> Layout:
    sizes, homes, parents, links = case
    return lay_out(sizes, homes, parents, [Margins(width=60.0)] * len(parents), links)


def chain(home: int | None, parents: Sequence[int | None]) -> Iterator[int]:
    while home is not None:
        yield home
        home = parents[home]


def overlap(a: Rectangle, b: Rectangle) -> bool:
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    return across > CLOSE and min(a.y + a.height, b.y + b.height) - max(a.y, b.y) > CLOSE


def within(inner: Rectangle, outer: Rectangle) -> bool:
    wide = outer.x - CLOSE <= inner.x and inner.x + inner.width <= outer.x + outer.width + CLOSE
    return wide and outer.y - CLOSE <= inner.y and inner.y + inner.height <= outer.y + outer.height + CLOSE


def check(case: Case, layout: Layout) -> None:
    sizes, homes, parents, links = case
    whole = Rectangle(0.0, 0.0, layout.width, layout.height)
    assert [(r.width, r.height) for r in layout.boxes] == sizes
    frames = {number: place for number, place in enumerate(layout.frames) if place is not None}
    owners = [{*chain(home, parents)} for home in homes]
    for a, b in itertools.combinations(layout.boxes, 2):
        assert not overlap(a, b)
    for box, place in enumerate(layout.boxes):
        assert within(place, whole)
        for number, frame in frames.items():
            assert within(place, frame) if number in owners[box] else not overlap(place, frame)
    for (number, a), (other, b) in itertools.combinations(frames.items(), 2):
        assert within(b, a) if number in chain(parents[other], parents) else not overlap(a, b)
    for link, route in zip(links, layout.routes, strict=True):
        source, target = layout.boxes[link.source], layout.boxes[link.target]
        assert abs(route[0][1] - source.y - source.height) < CLOSE
        assert source.x <= route[0][0] <= source.x + source.width
        assert abs(route[-1][1] - target.y) < CLOSE
        assert abs(route[-1][0] - target.x - target.width / 2) < CLOSE
        strangers = [
            place for number, place in frames.items() if not {number} & (owners[link.source] | owners[link.target])
        ]
        for (x, y), (u, v) in itertools.pairwise(route):
            assert v >= y - CLOSE
            covered = Rectangle(min(x, u) - 0.1, y, abs(x - u) + 0.2, v - y)
            assert not any(overlap(covered, place) for place in (*layout.boxes, *strangers))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(graphs())
def test_nothing_overlaps_and_every_line_meets_its_boxes(case: Case) -> None:
    layout = laid_out(case)
    assert None not in layout.frames
    check(case, layout)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(graphs(convex=False))
def test_a_frame_that_a_path_leaves_and_comes_back_to_is_given_up(case: Case) -> None:
    layout = laid_out(case)
    assert [place is not None for place in layout.frames] == whole_frames(*case[1:])
    check(case, layout)


def test_a_chain_is_straight_through_frames_and_beside_a_skip() -> None:
    links = [Link(i, i + 1) for i in range(5)] + [Link(0, 4)]
    layout = lay_out(
        [(80, 20), (40, 20), (60, 20), (30, 20), (80, 20), (20, 20)],
        [None, 0, 1, 0, None, None],
        [None, 0],
        [Margins(), Margins()],
        links,
    )
    assert len({x for route in layout.routes[:5] for x, _ in route}) == 1


def test_branches_of_equal_weight_stand_around_their_middle() -> None:
    links = [Link(0, 1), Link(0, 2), Link(0, 3), Link(0, 4), *(Link(i, 5) for i in range(1, 5))]
    layout = lay_out([(50, 20)] * 6, [None] * 6, [], [], links)
    middles = [place.x + place.width / 2 for place in layout.boxes]
    assert middles[0] == middles[5] == sum(middles[1:5]) / 4
    assert middles[1:5] == sorted(middles[1:5])


def test_lines_do_not_cross_where_they_need_not() -> None:
    crossed = [Link(0, 5), Link(1, 4), Link(2, 3), Link(0, 4), Link(1, 3)]
    layout = lay_out([(50, 20)] * 6, [None] * 6, [], [], crossed)
    ends = sorted((route[0][0], route[-1][0]) for route in layout.routes)
    crossings = sum(a[0] < b[0] and a[1] > b[1] for a, b in itertools.combinations(ends, 2))
    assert crossings == 0


def test_a_branch_that_begins_late_stands_near_what_reads_it() -> None:
    links = [Link(0, 1), Link(1, 2), Link(0, 2), Link(2, 4), Link(3, 4)]
    layout = lay_out([(50, 20)] * 5, [None] * 5, [], [], links)
    assert layout.boxes[3].y == layout.boxes[2].y


@pytest.mark.parametrize(
    "links",
    [[Link(i, i + 1) for i in range(1999)], [Link(i, 1999) for i in range(1999)]],
    ids=["chain", "fan"],
)
def test_two_thousand_boxes(links: list[Link]) -> None:
    layout = lay_out([(50, 20)] * 2000, [None] * 2000, [], [], links)
    assert len({(place.x, place.y) for place in layout.boxes}) == 2000


def test_frames_nest_deeper_than_python_recurses() -> None:
    depth = sys.getrecursionlimit() + 50
    layout = lay_out([(20, 10)], [depth - 1], [None, *range(depth - 1)], [Margins()] * depth, [])
    assert layout.frames[0] is not None
    assert layout.frames[0].width == 20 + 28 * depth


def test_nothing_to_lay_out() -> None:
    assert lay_out([], [], [], [], []) == Layout((), (), (), 0.0, 0.0)
