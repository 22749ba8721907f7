"""Surgery: what is edited changes, everything else stays, to the bit; what cannot be done is said at once."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jgraph as jg
from jgraph.errors import JGraphError
from tests.core.gallery import MODELS, cut, deep, fed, inside_out, keywords, noisy, program, recurrent, shared, stacks
from tests.laws.test_graph_laws import Plan, model_of, plans

L = jg.layers
KEY = jax.random.key(42)
FEW = settings(max_examples=12, deadline=None, derandomize=True, database=None)


def nested(plan: Plan) -> jg.Model:
    """A random model called twice, once on what it gave."""
    inner = model_of(plan)
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    first = inner({"a": a, "b": b})
    second = inner({"a": first[0], "b": b})
    return jg.Model({"a": a, "b": b}, {"first": first, "second": second, "own": L.Dense(2)(second[0])})


def targets(model: jg.Model) -> list[tuple[str, int | None]]:
    """Every place where something can be inserted: a path, with the call where there are several places."""
    found: dict[Any, tuple[str, int | None]] = {}
    for node in model.nodes:
        place = node if node.owner is None else (model.nodes[node.owner].layer, node.origin)
        found.setdefault(place, (node.path, node.call))
    paths = [path for path, _ in found.values()]
    return [(path, call if paths.count(path) > 1 else None) for path, call in found.values()]


def read(model: jg.Model, path: str) -> bool:
    """Whether anything reads what is at a path."""
    refs = [leaf for n in model.nodes for leaf in jax.tree.leaves((n.args, n.kwargs, n.mask))]
    places = {ref.node for ref in (*refs, *jax.tree.leaves(model.graph.outputs)) if hasattr(ref, "node")}
    return not places.isdisjoint(model.graph.places[path])


def check_identity(model: jg.Model, path: str, call: int | None) -> None:
    """An identity is inserted and removed again, and nothing else changes by it."""
    text, before = model.to_json(), program(model, KEY)
    new = model.insert_after(path, L.Identity(), call)
    (added,) = set(new.layers) - set(model.layers)
    assert added.split("/")[-1].startswith("identity")
    assert program(new, KEY) == before
    back = new.remove(added)
    assert program(back, KEY) == before
    assert back.fingerprint == model.fingerprint != new.fingerprint
    assert model.to_json() == text
    for edited in (new, back):
        for name, layer in model.layers.items():
            assert layer.is_graph or edited.layers[name] is layer


@given(plan=plans(), place=st.integers(0, 99), inside=st.booleans())
@FEW
def test_an_identity_anywhere_changes_no_bit_and_removing_it_undoes_it(plan: Plan, place: int, inside: bool) -> None:
    model = nested(plan) if inside else model_of(plan)
    places = [(path, call) for path, call in targets(model) if read(model, path)]
    path, call = places[place % len(places)]
    check_identity(model, path, call)


@pytest.mark.parametrize(
    ("make", "path", "call"),
    [
        (deep, "outer/model/inner/dense", None),
        (deep, "outer/model/inner", 2),
        (deep, "outer", 1),
        (stacks, "sequential/sequential/dropout", None),
        (stacks, "sequential", 0),
        (recurrent, "lstm", None),
        (recurrent, "greater", None),
        (recurrent, "reader/dropout", None),
        (keywords, "tanh", None),
        (keywords, "a", None),
        (cut, "input", None),
        (cut, "outer/model", None),
        (inside_out, "inner/common", 0),
        (inside_out, "inner/common", 1),
    ],
)
def test_an_identity_in_all_that_a_drawing_can_hold_changes_no_bit(make: Any, path: str, call: int | None) -> None:
    check_identity(make(), path, call)


def test_an_identity_changes_no_bit_that_is_computed() -> None:
    model = deep()
    new = model.insert_after("outer/model/dense", L.Activation("linear"))
    made, inputs = model.init(KEY), fed(model)
    jax.tree.map(np.testing.assert_array_equal, new.init(KEY), made)
    jax.tree.map(
        np.testing.assert_array_equal,
        new.apply(*made, inputs, train=True, key=KEY),
        model.apply(*made, inputs, train=True, key=KEY),
    )


def replaceable(model: jg.Model) -> list[str]:
    return [path for path, layer in model.layers.items() if not layer.is_graph and layer.default_name() != "input"]


@given(plan=plans(), place=st.integers(0, 99), inside=st.booleans())
@FEW
def test_replacing_and_undoing_is_the_identity(plan: Plan, place: int, inside: bool) -> None:
    model = nested(plan) if inside else model_of(plan)
    paths = replaceable(model)
    check_undone(model, paths[place % len(paths)])


@pytest.mark.parametrize("name", [name for name in MODELS if name != "cut"])
def test_replacing_and_undoing_is_the_identity_in_all_that_a_drawing_can_hold(name: str) -> None:
    model = MODELS[name]()
    for path in replaceable(model):
        check_undone(model, path)


def check_undone(model: jg.Model, path: str) -> None:
    old = model.layers[path]
    new = model.replace(path, dataclasses.replace(old, name=None))
    assert new.layers[path] is not old
    assert set(new.layers) == set(model.layers)
    back = new.replace(path, old)
    assert back.fingerprint == new.fingerprint == model.fingerprint
    stack = any(layer.is_graph and not isinstance(layer, jg.Model) for layer in model.layers.values())
    assert back.to_json() == model.to_json() or stack  # which becomes a model of the same path
    params, state = model.init(KEY)
    for tree in (params, state):
        carried = jg.carry(model, back, tree)
        assert (carried.new, carried.dropped) == ((), ())
        assert jax.tree.structure(carried.tree) == jax.tree.structure(tree)
        assert all(a is b for a, b in zip(jax.tree.leaves(carried.tree), jax.tree.leaves(tree), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_freezing_and_unfreezing_is_the_identity(name: str) -> None:
    model = MODELS[name]()
    frozen = model.freeze("*")
    back = frozen.unfreeze("*")
    assert frozen.fingerprint != model.fingerprint == back.fingerprint
    assert back.to_json() == model.to_json()
    assert back.layers == model.layers


def test_a_replacement_stands_at_the_old_path_unless_it_has_a_name() -> None:
    model = shared()
    assert model.replace("count", L.Dropout(0.1)).layers["count"].default_name() == "dropout"
    named = model.replace("tower", L.Dense(3, name="new"))
    assert [n.path for n in named.nodes] == [n.path.replace("tower", "new") for n in model.nodes]
    inner = deep().replace("outer/model/dense", L.Dense(3, name="new"))
    assert "outer/model/new" in inner.layers
    assert "outer/model/dense" not in inner.layers


def test_new_layers_get_new_numbers_and_old_names_stay() -> None:
    model = shared()
    new = model.insert_after("count", L.Dropout(0.5), call=0).insert_after("count", L.Dropout(0.5), call=1)
    assert set(new.layers) - set(model.layers) == {"dropout_2", "dropout_3"}
    assert new.layers["dropout_1"] is model.layers["dropout_1"]
    inner = deep().insert_after("outer/model/dropout", L.Dropout(0.5))
    assert {"outer/model/dropout", "outer/model/dropout_1"} <= set(inner.layers)


def test_a_function_draws_what_is_to_stand_there_in_all_calls() -> None:
    model = deep()
    dense = model.layers["outer/model/inner/dense"]
    new = model.replace("outer/model/inner/dense", lambda x: L.add([x, dense(x)]))
    assert [n.call for n in new.nodes if n.path == "outer/model/inner/dense"] == [0, 1, 2]
    assert [n.call for n in new.nodes if n.path == "outer/model/inner/add"] == [0, 1, 2]
    assert new.layers["outer/model/inner/dense"] is dense
    gated = keywords().replace("gate", lambda x, gate, shift: x * gate + shift)
    assert "gate" not in gated.layers


def test_a_model_and_a_stack_take_a_layers_place() -> None:
    model = shared()
    for new in (noisy(), jg.Sequential([L.Dense(4), L.Dense(3)])):
        edited = model.replace("tower", new)
        assert [n.call for n in edited.nodes if n.path == "tower"] == [0, 1, 2]
        assert "tower/dense" in edited.layers
        params, state = edited.init(KEY)
        assert set(params) == {"tower"}
        edited.apply(params, state, fed(edited), train=True, key=KEY)


def test_an_edited_stack_is_a_model_of_the_same_path() -> None:
    model = stacks()
    new = model.remove("sequential/sequential/dropout")
    assert isinstance(new.layers["sequential/sequential"], jg.Model)
    assert new.layers["sequential/dense"] is model.layers["sequential/dense"]
    assert set(model.layers) - set(new.layers) == {"sequential/sequential/dropout"}
    assert jax.tree.map(jnp.shape, new.init(KEY)) == jax.tree.map(jnp.shape, model.init(KEY))


def test_a_removed_layers_readers_read_what_it_read() -> None:
    model = shared()
    new = model.remove("count", call=0)
    assert [n.path for n in new.nodes].count("count") == 1
    assert [model.nodes[ref.node].path for ref in new.nodes[new.graph.places["dropout"][0]].args] == ["tower"]
    whole = deep().remove("outer/model")
    assert not any(path.startswith("outer/model/dense") for path in whole.layers)
    scaled = recurrent().remove("multiply")
    assert "multiply" not in scaled.layers


def test_a_pruned_branch_takes_all_that_only_it_needed() -> None:
    model = deep()
    left = model.prune("outer")
    assert set(left.layers) == {"a", *(path for path in model.layers if path.startswith("outer/model/inner"))}
    assert list(left.outputs) == ["outside"]
    assert list(left.inputs) == ["a"]
    kept = shared().prune("dropout")
    assert list(kept.outputs) == ["both"]
    assert len(kept.outputs["both"]) == 1  # h[0] is gone, the concatenation has one input left
    listed = stacks().prune("end")
    assert len(listed.outputs) == 2


def wrong(name: str, call: Callable[[], Any], kind: str, message: str) -> Any:
    return pytest.param(call, kind, message, id=name)


def old_symbols(path: str) -> Any:
    model = deep()
    return model.replace(path, lambda x: x + model.output_of("outer/dense", call=0))


WRONG = [
    wrong("typo", lambda: shared().insert_after("towr", L.Identity()), "PathError", "Did you mean 'tower'"),
    wrong("typo inside", lambda: deep().remove("outer/model/dens"), "PathError", "Did you mean 'outer/model/dense'"),
    wrong("typo in prune", lambda: shared().prune("add", "cont"), "PathError", "Did you mean 'count'"),
    wrong("typo in freeze", lambda: shared().freeze("towr"), "PathError", "Did you mean 'tower'"),
    wrong("a list as path", lambda: shared().prune(["tower"]), "PathError", r"got \['tower'\]"),  # pyright: ignore[reportArgumentType]
    wrong("no path", lambda: shared().replace(None, L.Dense(3)), "PathError", "got None"),  # pyright: ignore[reportArgumentType]
    wrong("several calls", lambda: shared().remove("tower"), "PathError", "call=0 on 'a'; call=1.*Say which call"),
    wrong("no such call", lambda: shared().remove("tower", call=3), "PathError", "got call=3"),
    wrong("a word as call", lambda: shared().remove("tower", call="0"), "PathError", "got call='0'"),  # pyright: ignore[reportArgumentType]
    wrong("truth as call", lambda: shared().remove("tower", call=True), "PathError", "got call=True"),
    wrong("a class", lambda: shared().replace("tower", L.Dense), "ArgumentError", "expected a layer, or a function"),
    wrong("a number", lambda: shared().replace("tower", 3), "ArgumentError", "got 3. Lift functions of arrays"),
    wrong("a symbol", lambda: shared().replace("tower", jg.Input((3,))), "ArgumentError", "got <Symbol"),
    wrong("a function inserted", lambda: shared().insert_after("add", abs), "ArgumentError", "expected a layer"),  # pyright: ignore[reportArgumentType]
    wrong(
        "an input inserted",
        lambda: shared().insert_after("add", shared().layers["a"]),
        "ArgumentError",
        "a layer that reads something",
    ),
    wrong("an input replaced", lambda: shared().replace("a", L.Dense(3)), "GraphError", "got that of an input"),
    wrong("an input removed", lambda: shared().remove("a"), "GraphError", "got that of an input"),
    wrong("an input pruned", lambda: shared().prune("a"), "GraphError", "got that of an input"),
    wrong(
        "an unread input", lambda: cut().insert_after("b", L.Identity()), "GraphError", "an input that nothing reads"
    ),
    wrong("a cycle", lambda: old_symbols("outer"), "GraphError", "reads 'outer/dense', an old symbol.*a cycle"),
    wrong("a cycle within", lambda: old_symbols("outer/model/dense"), "GraphError", "reads '.*an old symbol.*a cycle"),
    wrong(
        "another input",
        lambda: shared().replace("count", lambda x: x + jg.Input((3,), name="mine")),
        "GraphError",
        "also reads 'mine'.*or one of another drawing",
    ),
    wrong("no symbol drawn", lambda: shared().replace("count", lambda x: 3), "ShapeError", "got int"),
    wrong("nothing drawn", lambda: shared().replace("count", lambda x: None), "ShapeError", "got nothing"),
    wrong("two drawn", lambda: shared().replace("count", lambda x: [x, x]), "ShapeError", "in the structure of those"),
    wrong("too many parameters", lambda: shared().replace("count", lambda x, y: x), "ArgumentError", "argument: 'y'"),
    wrong("too wide", lambda: shared().insert_after("count", L.Dense(5), call=0), "ShapeError", "incompatible shapes"),
    wrong("of another rank", lambda: shared().replace("dropout", L.LSTM(3)), "ShapeError", "rank 3"),
    wrong("weights of two shapes", lambda: shared().replace("tower", L.Dense(5)), "ShapeError", "same weights"),
    wrong("one input for two", lambda: shared().replace("add", L.Dense(3)), "ArgumentError", "Dense"),
    wrong(
        "an output less", lambda: recurrent().replace("lstm", L.LSTM(3)), "ShapeError", "what takes the place of 'lstm'"
    ),
    wrong("a name twice", lambda: shared().replace("tower", L.Dense(3, name="count")), "NameClashError", "'count'"),
    wrong("an input's name", lambda: shared().insert_after("add", L.Identity(name="a")), "NameClashError", "'a'"),
    wrong(
        "a name inside", lambda: deep().replace("outer/dense", L.Dense(3, name="model")), "NameClashError", "'model'"
    ),
    wrong("a merge removed", lambda: shared().remove("add"), "GraphError", "Op.* with 2 and 1.*prune the branches"),
    wrong("three outputs removed", lambda: recurrent().remove("lstm"), "GraphError", "LSTM.* with 1 and 3"),
    wrong("everything pruned", lambda: shared().prune("tower"), "GraphError", "got no output. Prune less"),
    wrong("a nested whole pruned", lambda: deep().prune("outer/dense"), "GraphError", "got no output. Prune less"),
    wrong(
        "a needed mask removed",
        lambda: recurrent().remove("embedding"),
        "SymbolError",
        "Draw the model for masked inputs",
    ),
    wrong(
        "read from outside",
        lambda: inside_out().replace("inner", L.Dense(3)),
        "GraphError",
        "read from outside of the nested model",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_what_cannot_be_done_is_said_at_once(call: Callable[[], Any], kind: str, message: str) -> None:
    with pytest.raises(JGraphError, match=message) as caught:
        call()
    assert type(caught.value).__name__ == kind
    assert caught.value.cure


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.insert_after("outer/model/inner/dropout", L.Identity(), call=0),
        lambda m: m.insert_after("outer/model/inner/dense", L.Identity()),
        lambda m: m.remove("outer/model/dropout"),
        lambda m: m.remove("outer/model"),
        lambda m: m.replace("outer/model/inner/dropout", L.Identity()),
        lambda m: m.replace("outer/model", L.Identity()),
        lambda m: m.prune("outer/model/dropout"),
    ],
)
def test_a_nested_model_that_was_cut_is_edited_as_a_whole(edit: Any) -> None:
    with pytest.raises(JGraphError, match="cut"):
        edit(cut())


def test_a_stack_that_was_cut_is_edited_as_a_whole() -> None:
    x = jg.Input((3,))
    whole = jg.Model(x, jg.Sequential([L.Dense(3), L.Dropout(0.5), L.Dense(2)])(x))
    half = jg.Model(whole.output_of("sequential/dense"), whole.outputs)
    for edit in (half.replace, half.insert_after):
        with pytest.raises(JGraphError, match=r"cut inside of it\. Edit the whole model"):
            edit("sequential/dropout", L.Identity())


def test_a_cut_inside_a_nested_model_needs_nothing_that_comes_before_it() -> None:
    model = cut()
    assert "outer/dense" not in model.layers
    params, state = model.init(KEY)
    inputs = fed(model)
    edited = model.insert_after("outer/model", L.Identity())
    first, second = (m.apply(params, state, inputs)[0]["end"] for m in (model, edited))
    np.testing.assert_array_equal(first, second)
    moved = {**inputs, "middle": inputs["middle"] + 1}
    assert not np.array_equal(edited.apply(params, state, moved)[0]["end"], second)
