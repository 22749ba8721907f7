"""The picture of a diagram in its four languages: all of it is there once, nothing is cut off, any name can be held."""

import builtins
import itertools
import re
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jgraph.draw.diagram import KINDS, Box, Diagram, Frame, Link
from jgraph.draw.dot import dot
from jgraph.draw.letters import width_of
from jgraph.draw.mermaid import mermaid
from jgraph.draw.palette import FILLS
from jgraph.draw.paper import resolution
from jgraph.draw.picture import Picture
from jgraph.draw.scene import draw_scene
from jgraph.draw.shapes import Rect, Words
from jgraph.errors import ArgumentError, WriteError

ODD = 'a"b<c>&\\{d}|[e]\n%#;`\x00\ud800\N{CJK UNIFIED IDEOGRAPH-6A21}--> end subgraph'

DIAGRAM = Diagram(
    "twins",
    "7 nodes",
    (
        Box("left", "input", ("Input int32", "(batch, 30)")),
        Box("right", "input", ("Input int32", "(batch, 30)")),
        Box(
            "dense", "dense", ("Dense 4", "(batch, 4)", "20 params"), frame=1, mask="made", marks=("frozen", "bfloat16")
        ),
        Box("dense", "dense", ("Dense 4", "(batch, 4)"), frame=3, call=1, mask="ends"),
        Box("lstm", "recurrent", ("LSTM 4",), weights=1, details="lstm\nLSTM(4)"),
        Box("lstm", "recurrent", ("LSTM 4",), weights=1, call=1),
        Box(ODD, "other", (ODD,), details=ODD),
        Box("output", "output"),
    ),
    (
        Link(0, 2, kind="both"),
        Link(1, 3),
        Link(2, 4, output=1),
        Link(3, 5, output=0),
        Link(2, 6, output=0),
        Link(4, 6),
        Link(5, 6),
        Link(0, 6, kind="mask"),
        Link(6, 7),
    ),
    (
        Frame("tower", weights=0),
        Frame("inner", parent=0),
        Frame("tower", weights=0, call=1),
        Frame("inner", parent=2, details="tower/inner"),
    ),
)
BOTH_WAYS = pytest.mark.parametrize("rankdir", ["TB", "LR"])


def turned(rankdir: Any) -> Diagram:
    return Diagram(DIAGRAM.title, DIAGRAM.subtitle, DIAGRAM.boxes, DIAGRAM.links, DIAGRAM.frames, rankdir)


def groups(diagram: Diagram, kind: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(Picture(diagram).svg)
    return [group for group in root if group.get("class") == f"jgraph-{kind}"]


@BOTH_WAYS
def test_the_svg_holds_every_box_link_and_frame_once(rankdir: str) -> None:
    diagram = turned(rankdir)
    assert [len(groups(diagram, kind)) for kind in ("box", "link", "frame", "head")] == [8, 9, 4, 4]
    names = [group.findall("{*}text")[0].text for group in groups(diagram, "box")]
    assert names[:6] == ["left", "right", "dense", "dense", "lstm", "lstm"]
    titles = [group.findtext("{*}title") for group in groups(diagram, "link")]
    assert titles[:2] == ["left → dense (with its mask)", "right → dense"]


@BOTH_WAYS
def test_no_text_is_longer_than_its_box_and_nothing_leaves_the_sheet(rankdir: str) -> None:
    scene = draw_scene(turned(rankdir))
    for group in scene.groups:
        box = next((part for part in group.parts if isinstance(part, Rect)), None)
        for words in (part for part in group.parts if isinstance(part, Words)):
            width = width_of(words.text, words.size, words.weight)
            left = words.x - {"start": 0.0, "middle": width / 2, "end": width}[words.anchor]
            assert left >= 0
            assert left + width <= scene.width
            assert words.y <= scene.height
            if group.kind in ("box", "head") and box is not None:
                assert left >= box.x
                assert left + width <= box.x + box.width
                assert box.y < words.y < box.y + box.height


def test_marks_do_not_cover_names() -> None:
    for group in draw_scene(DIAGRAM).groups:
        if group.kind in ("box", "head"):
            words = [part for part in group.parts if isinstance(part, Words)]
            name = words[0]
            pills = [part for part in group.parts if isinstance(part, Rect)][1:]
            end = name.x + width_of(name.text, name.size, name.weight)
            assert name.anchor == "middle" or all(end <= pill.x for pill in pills)


def test_the_legend_names_what_occurs_and_nothing_else() -> None:
    [legend] = groups(DIAGRAM, "legend")
    words = [text.text for text in legend.findall("{*}text")]
    assert words == [
        *("input", "output", "recurrent", "dense", "other layer"),
        *("mask", "one colour: one set of weights", "not trained"),
    ]
    [legend] = groups(Diagram("one", "", (Box("a", "op"),), ()), "legend")
    assert [text.text for text in legend.findall("{*}text")] == ["operation"]


def test_calls_that_see_each_other_are_joined_by_a_dotted_line() -> None:
    assert [group.findtext("{*}title") for group in groups(DIAGRAM, "shared")] == ["one set of weights"]
    between = Diagram("", "", (Box("a", weights=0), Box("b"), Box("a", weights=0, call=1)), ())
    assert groups(between, "shared") == []


def test_every_kind_has_colours() -> None:
    assert set(KINDS) == set(FILLS)


def test_odd_names_are_held_by_the_svg() -> None:
    [*_, odd, _] = groups(DIAGRAM, "box")
    texts = [text.text or "" for text in odd.findall("{*}text")]
    assert texts[0] == r'a"b<c>&\{d}|[e]\n%#;`\x00\ud800模--> end subgraph'[:45] + "…"
    assert "�" in (odd.findtext("{*}title") or "")


@st.composite
def diagrams(draw: st.DrawFn) -> Diagram:
    """Boxes, links and frames around runs of boxes, with any texts at all."""
    count = draw(st.integers(1, 10))
    text = st.text(max_size=12)
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=4)))
    frames = tuple(Frame(draw(text), marks=("frozen",)) for _ in cuts[::2]) if len(cuts) % 2 == 0 else ()
    homes = {box: number for number in range(len(frames)) for box in range(cuts[2 * number], cuts[2 * number + 1])}
    kinds, weights = st.sampled_from(sorted(KINDS)), st.one_of(st.none(), st.integers(0, 2))
    boxes = tuple(
        Box(
            draw(text),
            draw(kinds),
            (draw(text),),
            homes.get(number),
            draw(text),
            draw(weights),
            draw(st.integers(0, 3)),
        )
        for number in range(count)
    )
    ends = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=12, unique=True))
    kind = st.sampled_from(("data", "mask", "both"))
    links = tuple(Link(a, b, draw(st.one_of(st.none(), st.integers(0, 2))), draw(kind)) for a, b in ends if a < b)
    return Diagram(draw(text), draw(text), boxes, links, frames, draw(st.sampled_from(("TB", "LR"))))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(diagrams())
def test_any_diagram_is_whole_in_every_language(diagram: Diagram) -> None:
    picture = Picture(diagram)
    sizes = {"box": len(diagram.boxes), "link": len(diagram.links), "frame": len(diagram.frames)}
    for kind, size in sizes.items():
        assert len(groups(diagram, kind)) == size
    assert sum(1 for kind, token in tokens(picture.dot) if (kind, token) == ("arrow", "->")) == sizes["link"]
    lines = [line.strip() for line in picture.mermaid.splitlines()]
    assert all(any(re.fullmatch(form, line) for form in MERMAID) for line in lines)
    assert sum(":::" in line for line in lines) == sizes["box"]
    assert lines.count("end") == sizes["frame"] == picture.dot.count("subgraph cluster_")
    for text in (picture.svg, picture.dot, picture.mermaid):
        text.encode()


TOKENS = re.compile(
    r"""(?P<html><(?:[^<>]|<[^<>]*>)*>)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<arrow>->)|(?P<word>[A-Za-z0-9_.]+)"""
    r"""|(?P<sign>[{}\[\];=,])|(?P<space>\s+)"""
)


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """The tokens of Graphviz' language; a text that is none of them fails."""
    place = 0
    while place < len(text):
        found = TOKENS.match(text, place)
        assert found is not None, text[place : place + 60]
        place = found.end()
        if found.lastgroup != "space":
            yield found.lastgroup or "", found.group()


def test_the_dot_is_sound_and_holds_everything_once() -> None:
    text = dot(DIAGRAM)
    found = list(tokens(text))
    depth = 0
    for _, token in found:
        depth += (token == "{") - (token == "}")
        assert depth >= 0
    assert depth == 0
    words = [token for kind, token in found if kind == "word"]
    assert [words.count(f"cluster_{number}") for number in range(4)] == [1, 1, 1, 1]
    statements = [a for (_, a), (_, b) in itertools.pairwise(found) if b == "[" and re.fullmatch(r"n\d+", a)]
    drawn = [(a, b) for (_, a), (_, arrow), (_, b) in zip(found, found[1:], found[2:], strict=False) if arrow == "->"]
    assert drawn == [(f"n{link.source}", f"n{link.target}") for link in DIAGRAM.links]
    boxes = [name for name in statements if (found.index(("word", name)), name)]
    assert {f"n{number}" for number in range(8)} <= set(boxes)
    assert text.count("<b>dense</b>") == 2
    for kind, token in found:
        if kind == "html":
            ElementTree.fromstring(f"<label>{token[1:-1]}</label>")


def test_the_dot_nests_clusters_and_marks_masks() -> None:
    lines = [line.strip() for line in dot(DIAGRAM).splitlines()]
    start = lines.index("subgraph cluster_0 {")
    assert lines[start + 2] == "subgraph cluster_1 {"
    assert lines[start + 5 : start + 7] == ["}", "}"]
    assert 'n0 -> n6 [color="#8B3FC7", style="dashed"];' in lines
    assert any(line.startswith('n0 -> n2 [color="#8A94A3:white:#8B3FC7"') for line in lines)
    assert 'n2 -> n4 [label="#1"];' in lines
    assert 'rankdir="LR"' in dot(turned("LR"))


MERMAID = [
    r"---",
    r'title: "(?:[^"\\]|\\.)*"',
    r"flowchart (?:TB|LR)",
    r'subgraph f\d+\["[^"\[\]{}<>|`]*"\]',
    r"end",
    r'n\d+(?:\["[^"`]*"\]|\(\["[^"`]*"\]\)):::kind-\w+',
    r'n\d+ (?:-->|-\.->)(?:\|"[^"|]*"\|)? n\d+',
    r"linkStyle [\d,]+ stroke:#\w{6}",
    r"classDef kind-\w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}",
    r"style [fn]\d+ (?:fill:#\w{6},)?stroke:#\w{6},(?:stroke-width:2px|color:#\w{6})",
]


@pytest.mark.parametrize("diagram", [DIAGRAM, turned("LR")], ids=["TB", "LR"])
def test_the_mermaid_is_sound_and_holds_everything_once(diagram: Diagram) -> None:
    text = mermaid(diagram)
    lines = [line.strip() for line in text.splitlines()]
    for line in lines:
        assert any(re.fullmatch(form, line) for form in MERMAID), line
    assert sum(line.startswith("subgraph") for line in lines) == lines.count("end") == 4
    assert sum(bool(re.match(r"n\d+[\[(]", line)) for line in lines) == 8
    arrows = [line.split(" ") for line in lines if "->" in line and "[" not in line]
    assert [(a[0], a[-1]) for a in arrows] == [(f"n{link.source}", f"n{link.target}") for link in diagram.links]
    assert lines.index('subgraph f0["tower · shared"]') + 1 == lines.index('subgraph f1["inner"]')
    assert 'n2 -->|"#35;1"| n4' in lines
    assert 'n0 -.->|"mask"| n6' in lines


def test_a_png_has_the_size_of_the_scene(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = Picture(DIAGRAM, dpi=96)
    picture.save(tmp_path / "new" / "a.png")
    content = (tmp_path / "new" / "a.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert abs(width - picture.scene.width) <= 1
    assert abs(height - picture.scene.height) <= 1
    picture.save(tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == content


def test_a_png_that_would_be_too_large_has_fewer_dots() -> None:
    dots = resolution(4000.0, 20_000.0, 200)
    assert 4000 / 96 * 20_000 / 96 * dots**2 == pytest.approx(80e6)
    assert resolution(10.0, 600_000.0, 200) == pytest.approx(60_000 / (600_000 / 96))


def test_the_texts_are_written_as_they_are(tmp_path: Path) -> None:
    picture = Picture(DIAGRAM)
    for ending, text in ((".svg", picture.svg), (".dot", picture.dot), (".MMD", picture.mermaid)):
        picture.save(tmp_path / f"a{ending}")
        assert (tmp_path / f"a{ending}").read_text(encoding="utf-8") == text
    assert picture._repr_svg_() == picture.svg  # pyright: ignore[reportPrivateUsage]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"an ending among '.svg', '.png', '.dot', '.mmd', got .*a.gvg"):
        Picture(DIAGRAM).save(tmp_path / "a.gvg")
    with pytest.raises(ArgumentError, match=r"Did you mean '.svg'\? Write 'model.svg'"):
        Picture(DIAGRAM).save("a.svgz")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"expected a place that can be written.*Give a path that this process may"):
        Picture(DIAGRAM).save(tmp_path / "file" / "a.svg")


def test_without_matplotlib_only_a_png_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    Picture(DIAGRAM).save(tmp_path / "a.svg")
    with pytest.raises(ArgumentError, match=r"plot, path: expected matplotlib.*pip install jgraph\[plot\]"):
        Picture(DIAGRAM).save(tmp_path / "a.png")


def test_an_empty_diagram_is_drawn() -> None:
    assert Picture(Diagram("nothing", "", (), ())).svg.count("<g ") == 3
