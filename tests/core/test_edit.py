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


def optional_sum(a: Any, b: Any = None) -> Any:
    return a if b is None else a + b


def sum_of(parts: list[Any]) -> Any:
    return sum(parts)


def test_pruning_keeps_what_was_absent_in_a_nested_call_absent() -> None:
    a, b = jg.Input((5, 3)), jg.Input((5, 3), optional=True)
    inner = jg.Model([a, b], jg.op(optional_sum)(a, b), name="inner")
    words = jg.Input((5,), dtype="int32", name="words")
    embedded = L.Embedding(9, 3, mask_zero=True, name="embedding")(words)
    outputs = {"left": inner([embedded, None]), "cut": L.Dense(2, name="cut")(words * 1.0)}
    model = jg.Model(words, outputs)
    text = jg.Model(words, {"left": outputs["left"]}).to_json()
    assert model.prune("cut").to_json() == text


def test_a_nested_call_of_which_only_the_absent_is_left_is_cut() -> None:
    a, b = jg.Input((3,)), jg.Input((3,), optional=True)
    inner = jg.Model([a, b], jg.op(optional_sum)(a, b), name="inner")
    x = jg.Input((3,), name="x")
    model = jg.Model(x, {"nested": inner([L.Dense(3, name="cut")(x), None]), "left": L.Dense(2, name="left")(x)})
    assert list(model.prune("cut").layers) == ["x", "left"]


def test_what_is_left_with_constants_alone_or_without_its_mask_is_cut() -> None:
    x, steps = jg.Input((3,), name="x"), jg.Input((4, 3), name="steps")
    joined = jg.op(sum_of, name="sum")([L.Dense(3, name="cut")(x), 1.0])
    model = jg.Model(x, [joined, L.Dense(2, name="left")(x)])
    assert list(model.prune("cut").layers) == ["x", "left"]
    inner = jg.Model(steps, L.GlobalAveragePooling1D()(steps), name="inner")
    masked = inner(steps, mask=jg.op(jnp.any, name="cut")(steps, axis=-1))
    assert list(jg.Model(steps, [masked, L.Dense(2, name="left")(steps)]).prune("cut").layers) == ["steps", "left"]


def coder(name: str = "coder") -> jg.Model:
    """Three branches on two inputs; the output of the one that reads `b` alone has a mask."""
    a, b = jg.Input((4,), name="a"), jg.Input((4, 3), name="b")
    masked = L.Masking()(b)
    p, q, r = L.Dense(2, name="p")(a), L.Dense(2, name="q")(masked), L.Dense(3, name="r")(a)
    return jg.Model({"a": a, "b": b}, {"p": p, "more": [q, r]}, name=name)


def coded() -> jg.Model:
    """It is called twice: every output of the first call is read, one with its mask."""
    inner, a, b = coder(), jg.Input((4,), name="a"), jg.Input((4, 3), name="b")
    near, far = inner({"a": a, "b": b}), inner({"a": a * 2.0, "b": b + 1.0})
    pooled = L.GlobalAveragePooling1D(name="pooled")(near["more"][0])
    heads = {"p": L.Dense(1, name="of_p")(near["p"]), "q": pooled, "both": L.concatenate([near["p"], near["more"][1]])}
    return jg.Model({"a": a, "b": b}, {"heads": heads, "far": far}, name="whole")


def test_a_branch_that_is_one_output_of_a_nested_model_is_pruned_in_all_its_calls() -> None:
    model = coded()
    left = model.prune("coder/q")
    assert set(model.layers) - set(left.layers) == {"b", "coder/masking", "coder/q", "add", "pooled"}
    assert all(
        left.layers[path] is layer for path, layer in model.layers.items() if path in left.layers and path != "coder"
    )
    assert list(left.inputs) == ["a"]
    assert jax.tree.structure(left.outputs) == jax.tree.structure(
        {"heads": {"p": 0, "both": 0}, "far": {"p": 0, "more": [0]}}
    )
    params, state = model.init(KEY)
    inputs = fed(model)
    new = jg.carry(model, left, params).tree
    outputs, _ = model.apply(params, state, inputs)
    found, _ = left.apply(new, {}, {"a": inputs["a"]})
    del outputs["heads"]["q"], outputs["far"]["more"][0]
    jax.tree.map(np.testing.assert_array_equal, found, outputs)


def test_a_lost_output_shortens_what_joins_it_and_leaves_the_other_inputs() -> None:
    left = coded().prune("coder/r")
    assert list(left.inputs) == ["a", "b"]
    assert left.outputs["heads"]["both"].shape[1:] == (2,)
    assert left.output_of("pooled").call.mask is not None
    assert len(left.outputs["far"]["more"]) == 1


def test_a_branch_is_pruned_two_models_deep_and_where_nothing_reads_it() -> None:
    outer = coded()
    a, b = jg.Input((4,), name="a"), jg.Input((4, 3), name="b")
    drawn = outer({"a": a, "b": b})
    model = jg.Model([a, b], [drawn["heads"]["p"], coder("other")({"a": a, "b": b})["p"]])
    left = model.prune("whole/coder/q", "other/r")
    assert set(model.layers) - set(left.layers) == {
        *(f"whole/{path}" for path in ("coder/masking", "coder/q", "add", "pooled")),
        "other/r",
    }
    assert len(left.inputs) == 2  # the other one still reads b
    again = left.prune("other/q")
    assert len(again.inputs) == 1
    assert list(again.output_of("other")) == ["p"]


def test_a_nested_model_without_an_output_left_is_cut_as_a_whole() -> None:
    assert list(deep().prune("outer/dense").outputs) == ["outside"]
    assert list(stacks().prune("sequential/dense").layers) == ["a", "b", "subtract", "end/dense", "end"]


def test_a_layer_used_inside_and_outside_of_a_nested_model_is_pruned_in_both() -> None:
    x, dense = jg.Input((3,), name="x"), L.Dense(3, name="common")
    inner = jg.Model(x, [L.Dropout(0.5)(x), dense(x)], name="inner")
    model = jg.Model(x, [*inner(x), L.Dense(2, name="end")(dense(x))])
    (path,) = [path for path, layer in model.layers.items() if layer is dense]
    assert list(model.prune(path).layers) == ["x", "inner/dropout", "inner"]


def frozen(model: jg.Model) -> set[str]:
    return {node.path for node in model.nodes if not node.treatment.trainable and node.inference.params}


def one_tower() -> jg.Model:
    x = jg.Input((3,), name="x")
    tower = jg.Model(x, L.Dense(3, name="dense")(L.Dense(3, name="first")(x)), name="tower")
    return jg.Model(x, L.Dense(2, name="head")(tower(x)))


@pytest.mark.parametrize(
    "new", [L.Dense(1), L.Dense(1, name="head"), L.Dense(1, name="new"), lambda x: L.Dense(1, name="head")(x)]
)
def test_what_takes_a_frozen_layers_place_is_trained(new: Any) -> None:
    model = one_tower().freeze("*").replace("head", new)
    assert frozen(model) == {"tower/first", "tower/dense"}


@pytest.mark.parametrize("new", [L.Dense(3), lambda x: L.Dense(3, name="dense")(x)])
def test_what_takes_a_place_in_a_frozen_nested_model_is_trained(new: Any) -> None:
    assert frozen(one_tower().freeze("*").replace("tower/dense", new)) == {"tower/first", "head"}
    x = jg.Input((3,))
    inner = one_tower().freeze("*")
    assert frozen(jg.Model(x, inner(x)).replace("model/tower/dense", new)) == {"model/tower/first", "model/head"}


def test_what_takes_a_place_is_computed_as_the_old_layer_was() -> None:
    settings = {"dtype": "bfloat16", "param_dtype": "float16", "remat": True}
    for path in ("head", "tower/dense"):
        model = one_tower().with_policy(jg.Policy({path: {**settings, "trainable": False}}))
        (node,) = [n for n in model.replace(path, L.Dense(3)).nodes if n.path == path]
        assert dataclasses.asdict(node.treatment) == {**settings, "trainable": True, "places": None}


def test_what_stays_stays_frozen() -> None:
    model = one_tower().freeze("*")
    every = {"tower/first", "tower/dense", "head"}
    assert model.replace("head", model.layers["head"]) is model
    assert frozen(model.replace("tower", model.layers["tower"])) == every
    assert frozen(model.insert_after("tower/first", L.Dense(3))) == every
    assert frozen(model.remove("head")) == every - {"head"}
    head = model.layers["head"]
    assert frozen(model.replace("head", lambda x: L.Dense(2, name="new")(head(x)))) == every
    whole = jg.Model(model.inputs, L.Dense(3, name="first")(model.inputs), name="tower")
    assert frozen(model.replace("tower", whole)) == {"head"}
    assert frozen(model.replace("tower", whole.freeze("*"))) == {"tower/first", "head"}


def test_a_layer_that_is_frozen_in_one_call_alone_stays_so_by_an_edit() -> None:
    x, dense = jg.Input((3,), name="x"), L.Dense(3, name="common")
    inner = jg.Model(x, dense(x), name="inner").freeze("*")
    model = jg.Model(x, [inner(x), L.Dense(2, name="head")(dense(x))])
    new = model.insert_after("head", L.Dense(2))
    kept = [[n.treatment.trainable for n in m.nodes if n.layer is dense] for m in (model, new)]
    assert sorted(kept[0]) == [False, True]
    assert kept[0] == kept[1]


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
    wrong("a nested whole pruned", lambda: one_tower().prune("tower/dense"), "GraphError", "got no output. Prune less"),
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
