"""What the picture of a model says: layers, shapes, masks, shared weights, nested models, treatments."""

import itertools
import operator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jgraph as jg
from jgraph.core.pictured import MOST_BOXES
from jgraph.draw.diagram import Box, Diagram
from jgraph.draw.picture import Picture
from jgraph.draw.ranks import topological
from jgraph.draw.shapes import Rect
from jgraph.errors import ArgumentError, WriteError
from tests.core import gallery


def twins() -> jg.Model:
    left, right = (jg.Input((6,), dtype="int32", name=name) for name in ("left", "right"))
    embedding, lstm = jg.layers.Embedding(9, 4, mask_zero=True, name="words"), jg.layers.LSTM(3, name="lstm")
    return jg.Model([left, right], {"apart": abs(lstm(embedding(left)) - lstm(embedding(right)))}, name="twins")


def towers() -> jg.Model:
    inner = jg.Sequential([jg.Input((4,), name="x"), jg.layers.Dense(4, name="deep")], name="inner")
    tower = jg.Sequential([jg.Input((4,), name="y"), inner, jg.layers.Dropout(0.5, name="drop")], name="tower")
    a, b = jg.Input((4,), name="a"), jg.Input((4,), name="b")
    return jg.Model([a, b], [tower(a) + tower(b), tower(a)], name="towers")


shown_of = operator.methodcaller("_repr_mimebundle_")


def boxes(diagram: Diagram) -> list[tuple[str, int]]:
    return [(box.name, box.call) for box in diagram.boxes]


def named(diagram: Diagram, name: str) -> Box:
    return next(box for box in diagram.boxes if box.name == name)


def links(diagram: Diagram) -> list[tuple[str, str, str]]:
    return [(diagram.boxes[link.source].name, diagram.boxes[link.target].name, link.kind) for link in diagram.links]


def test_a_picture_has_a_box_for_every_node_and_every_output() -> None:
    model = twins()
    diagram = model.plot().diagram
    assert boxes(diagram)[:-1] == [(node.path, node.call) for node in model.nodes]
    assert diagram.boxes[-1] == Box("apart", "output", details="an output of the model: float32[batch, 3]")
    assert (diagram.title, diagram.subtitle) == ("twins", "8 nodes · 132 parameters (528 B)")
    assert named(diagram, "left").lines == ("Input int32", "(batch, 6)")
    assert named(diagram, "words").lines == (
        "Embedding 9 \N{MULTIPLICATION SIGN} 4 · mask_zero",
        "(batch, 6, 4)",
        "36 params",
    )
    assert [box.kind for box in diagram.boxes[:3]] == ["input", "embedding", "recurrent"]


def test_masks_go_with_what_is_read_and_end() -> None:
    diagram = twins().plot().diagram
    assert ("words", "lstm", "both") in links(diagram)
    assert ("left", "words", "data") in links(diagram)
    assert (named(diagram, "words").mask, named(diagram, "lstm").mask) == ("made", "ends")


def test_a_mask_set_by_hand_is_a_link_of_its_own() -> None:
    x, m = jg.Input((6, 2), name="x"), jg.Input((6,), dtype="bool", name="m")
    model = jg.Model([x, m], jg.layers.LSTM(3, name="lstm")(x, mask=m))
    assert links(model.plot().diagram)[:2] == [("x", "lstm", "data"), ("m", "lstm", "mask")]


def test_a_mask_that_leaves_with_an_output_is_shown() -> None:
    x = jg.Input((6,), dtype="int32", name="x")
    model = jg.Model(x, jg.layers.Embedding(9, 4, mask_zero=True, name="words")(x))
    assert links(model.plot().diagram)[-1] == ("words", "output", "both")


def test_calls_of_one_layer_share_a_number() -> None:
    diagram = twins().plot().diagram
    first, second = (box for box in diagram.boxes if box.name == "lstm")
    assert first.weights == second.weights is not None
    assert (first.call, second.call) == (0, 1)
    assert second.lines[-1] == "96 params, shared"
    assert first.weights != named(diagram, "words").weights


def test_nested_models_are_frames_and_say_that_they_share() -> None:
    diagram = towers().plot().diagram
    assert {(frame.name, frame.call) for frame in diagram.frames} == {
        (name, call) for name in ("tower", "inner") for call in range(3)
    }
    for number, frame in enumerate(diagram.frames):
        assert frame.parent is None or frame.parent < number
        assert (frame.weights is not None) == (frame.name == "tower"), "what is in a shared model is shared with it"
    deep = [box for box in diagram.boxes if box.name == "deep"]
    assert [diagram.frames[box.frame or 0].name for box in deep] == ["inner"] * 3
    assert all(box.weights is None for box in deep)
    assert ("a", "deep", "data") in links(diagram)
    assert [box.name for box in diagram.boxes if box.kind == "output"] == ["output 0", "output 1"]


def test_nested_models_may_be_one_box_each() -> None:
    diagram = towers().plot(expand_nested=False).diagram
    assert diagram.frames == ()
    towers_ = [box for box in diagram.boxes if box.kind == "model"]
    assert [(box.name, box.call, box.lines) for box in towers_] == [
        ("tower", 0, ("Model", "(batch, 4)", "20 params")),
        ("tower", 1, ("Model", "(batch, 4)")),
        ("tower", 2, ("Model", "(batch, 4)")),
    ]
    assert len({box.weights for box in towers_}) == 1
    assert ("a", "tower", "data") in links(diagram)
    assert ("tower", "add", "data") in links(diagram)


def test_a_nested_model_with_nothing_in_it_is_a_box() -> None:
    x = jg.Input((4,), name="x")
    empty = jg.Model(x, x, name="empty")
    model = jg.Model(x, jg.layers.Dense(2, name="dense")(empty(x)))
    assert links(model.plot().diagram) == [
        ("x", "empty", "data"),
        ("empty", "dense", "data"),
        ("dense", "output", "data"),
    ]


def test_outputs_of_one_layer_are_told_apart() -> None:
    x = jg.Input((6, 2), name="x")
    y, h, c = jg.layers.LSTM(3, return_state=True, name="encoder")(x)
    diagram = jg.Model(x, jg.layers.add([h, c]) + y).plot().diagram
    read = {link.output for link in diagram.links if diagram.boxes[link.source].name == "encoder"}
    assert read == {0, 1, 2}
    assert named(diagram, "encoder").lines[1:4] == ("#0 (batch, 3)", "#1 (batch, 3)", "#2 (batch, 3)")


def test_many_outputs_are_counted() -> None:
    x = jg.Input((6,), name="x")
    parts = jg.op(lambda a: tuple(a[:, i] for i in range(6)), name="parts")(x)
    diagram = jg.Model(x, list(parts)).plot().diagram
    assert named(diagram, "parts").lines[-2:] == ("#2 (batch,)", "… 6 outputs")


def test_what_is_read_twice_is_one_link() -> None:
    x = jg.Input((4,), name="x")
    assert links(jg.Model(x, x * x).plot().diagram) == [("x", "multiply", "data"), ("multiply", "output", "data")]


def test_treatments_are_marked() -> None:
    x = jg.Input((4,), name="x")
    body = jg.layers.Dense(3, name="body")(x)
    model = jg.Model(x, jg.layers.Dense(2, name="head")(jg.layers.Activation("relu", name="relu")(body)))
    diagram = model.freeze("body").with_policy(jg.Policy({"head": {"dtype": "bfloat16", "remat": True}})).plot().diagram
    assert [(box.name, box.marks) for box in diagram.boxes if box.marks] == [
        ("body", ("frozen",)),
        ("head", ("bfloat16", "remat")),
    ]
    assert diagram.subtitle.endswith("15 frozen")


def test_adapters_are_marked_as_partly_frozen() -> None:
    x = jg.Input((4,), name="x")
    model = jg.lora(jg.Model(x, jg.layers.Dense(3, name="dense")(x)), "dense", rank=2)
    [adapted] = [box for box in model.plot().diagram.boxes if "partly frozen" in box.marks or "frozen" in box.marks]
    assert adapted.kind == "dense"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, ("Dense 3 · relu", "(batch, 3)", "15 params")),
        ({"show_shapes": False}, ("Dense 3 · relu", "15 params")),
        ({"show_params": False}, ("Dense 3 · relu", "(batch, 3)")),
        ({"show_dtype": True}, ("Dense 3 · relu", "float32 (batch, 3)", "15 params")),
        ({"show_dtype": True, "show_shapes": False, "show_params": False}, ("Dense 3 · relu", "float32")),
    ],
)
def test_what_is_shown(options: dict[str, Any], lines: tuple[str, ...]) -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.layers.Dense(3, activation="relu", name="dense")(x))
    assert named(model.plot(**options).diagram, "dense").lines == lines


def test_a_layer_of_ones_own_and_operations() -> None:
    class Scale(jg.Layer):
        factor: float = 2.0

        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            return x * self.factor, state

    x = jg.Input((4, 5), name="x")
    y = jg.op(jnp.clip, name="clip")(Scale(3.0, name="scale")(x)[:, 1:, ::2], 0.0, 1.0)
    lines = [box.lines[0] for box in jg.Model(x, y).plot().diagram.boxes[:-1]]
    assert lines == ["Input float32", "Scale · factor 3", "x[:, 1:, ::2]", "clip(x, 0.0, 1.0)"]


def test_an_edit_inside_a_nested_model_stays_in_its_frame() -> None:
    model = towers().insert_after("tower/inner/deep", jg.layers.Activation("relu", name="new"), call=0)
    diagram = model.plot().diagram
    new = [box for box in diagram.boxes if box.name.endswith("new")]
    assert new
    assert all(diagram.frames[box.frame or 0].name == "inner" for box in new)


def test_a_part_of_a_nested_model_is_drawn_without_its_frame() -> None:
    model = towers()
    part = jg.Model(model.inputs[0], model.output_of("tower/inner/deep", call=0))
    assert [box.name for box in part.plot().diagram.boxes] == ["a", "tower/inner/deep", "output"]


@pytest.mark.parametrize("ending", ["svg", "png", "dot", "mmd"])
@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_a_path_is_written(tmp_path: Path, ending: str, rankdir: str) -> None:
    path = tmp_path / "made" / f"model.{ending}"
    picture = towers().plot(path, rankdir=rankdir, dpi=50)
    beginning = {"svg": b"<svg", "png": b"\x89PNG", "dot": b"digraph", "mmd": b"---\ntitle"}[ending]
    assert path.read_bytes().startswith(beginning)
    assert picture == towers().plot(rankdir=rankdir, dpi=50)


def test_the_same_model_gives_the_same_text() -> None:
    assert towers().plot().svg == towers().plot().svg
    again = jg.Model.from_json(towers().to_json())
    assert again.plot().dot == towers().plot().dot


def test_a_notebook_shows_the_picture() -> None:
    shown = shown_of(twins())
    assert shown == {"text/plain": "Model('twins', 8 nodes)", "image/svg+xml": twins().plot().svg}


def test_a_notebook_shows_large_models_with_closed_frames_and_still_larger_ones_as_text() -> None:
    x = start = jg.Input((2,), name="x")
    for _ in range(MOST_BOXES):
        x = jg.layers.Activation("relu")(x)
    long = jg.Model(start, x, name="long")
    assert set(shown_of(long)) == {"text/plain"}
    shown = shown_of(jg.Model(start, long(start)))
    assert "Activation" not in shown["image/svg+xml"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"path": "model.jpg"},
            r"plot, path: expected an ending among '.svg', '.png', '.dot', '.mmd', got 'model.jpg'",
        ),
        ({"path": "model"}, r"plot, path: .* got 'model'. Write 'model.svg'"),
        ({"rankdir": "UP"}, r"plot, rankdir: expected one of 'TB', 'LR', got 'UP'. Write 'TB'"),
        ({"dpi": 0}, r"plot, dpi: expected an integer from 1 to 2400, got 0. Write dpi=200"),
        ({"dpi": True}, r"plot, dpi: .* got True"),
        ({"show_shapes": 1}, r"plot, show_shapes: expected True or False, got 1. Write show_shapes=True"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        twins().plot(**options)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="a place that can be written"):
        twins().plot(tmp_path / "file" / "model.svg")


def test_plotting_computes_nothing() -> None:
    model = twins()
    with jax.transfer_guard("disallow"):
        model.plot()


def whole_and_apart(picture: Picture) -> None:
    places = [next(p for p in g.parts if isinstance(p, Rect)) for g in picture.scene.groups if g.kind == "box"]
    assert len(places) == len(picture.diagram.boxes)
    for a, b in itertools.combinations(places, 2):
        beside = a.x + a.width <= b.x or b.x + b.width <= a.x
        assert beside or a.y + a.height <= b.y or b.y + b.height <= a.y
    count = len(picture.diagram.boxes)
    ends = [(link.source, link.target) for link in picture.diagram.links]
    assert sorted(topological(count, ends)) == list(range(count))


@pytest.mark.parametrize("expand_nested", [True, False])
@pytest.mark.parametrize("name", gallery.MODELS)
def test_models_with_all_that_a_drawing_can_hold(name: str, expand_nested: bool) -> None:
    model = gallery.MODELS[name]()
    picture = model.plot(expand_nested=expand_nested)
    whole_and_apart(picture)
    closed = {node.owner for node in model.nodes} - {None} if expand_nested else set()
    drawn = [
        place for place, node in enumerate(model.nodes) if place not in closed and (expand_nested or node.owner is None)
    ]
    assert sum(box.kind != "output" for box in picture.diagram.boxes) == len(drawn)
    assert len(picture.diagram.frames) == len(closed)


def test_a_graph_cut_inside_a_nested_model_is_drawn_in_both_ways() -> None:
    model = towers()
    part = jg.Model(model.output_of("tower/inner/deep", call=0), model.output_of("tower", call=0))
    whole_and_apart(part.plot())
    assert [box.name for box in part.plot().diagram.boxes][1:] == ["inner", "drop", "output"]
    closed = part.plot(expand_nested=False)
    whole_and_apart(closed)
    assert len(closed.diagram.links) == 2
