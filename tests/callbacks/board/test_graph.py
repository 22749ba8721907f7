"""The model as TensorBoard's Graphs page has it: nodes, edges, scopes."""

import jgraph as jg
from jgraph.callbacks.board.graph import graph_of
from jgraph.storage.messages import GraphNode


def nodes(model: jg.Model) -> dict[str, GraphNode]:
    graph = graph_of(model, 7)
    assert graph.step == 7
    found = {node.name: node for node in graph.nodes}
    assert len(found) == len(graph.nodes), "no name twice"
    for node in graph.nodes:
        assert {name.partition(":")[0] for name in node.inputs} <= set(found), "every edge comes from a node"
    return found


def test_a_node_for_each_layer_with_its_shape_and_params() -> None:
    x = jg.Input((4,), name="x")
    found = nodes(jg.Model(x, jg.layers.Dense(3, name="last")(jg.layers.Dropout(0.5)(x))))
    assert list(found) == ["x", "dropout", "last"]
    assert [node.op for node in found.values()] == ["Input", "Dropout", "Dense"]
    assert (found["last"].inputs, found["last"].shapes) == (("dropout",), ((-1, 3),))
    assert found["last"].facts["parameters"] == 15
    assert found["last"].facts["operations"] == 2 * 4 * 3 + 3
    assert "operations" not in found["x"].facts
    assert found["last"].facts["params/kernel"] == "float32[4, 3]"
    assert found["last"].facts["layer"] == "Dense(3, name='last')"


def test_a_layer_of_several_calls_is_one_scope_with_its_params_once() -> None:
    a, b = jg.Input((4,), name="a"), jg.Input((4,), name="b")
    shared = jg.layers.Dense(2, name="shared")
    found = nodes(jg.Model([a, b], shared(a) - shared(b)))
    both = ("shared/bias", "shared/kernel")
    assert found["shared/call_0"].inputs == ("a", *both)
    assert found["shared/call_1"].inputs == ("b", *both)
    assert found["shared/kernel"].op == "Params"
    assert found["subtract"].inputs == ("shared/call_0", "shared/call_1")


def test_a_nested_model_is_a_scope_and_its_ends_are_seen_through() -> None:
    inner = jg.Input((4,))
    tower = jg.Model(inner, jg.layers.Dense(4, name="hidden")(inner), name="tower")
    x = jg.Input((4,), name="x")
    found = nodes(jg.Model(x, jg.layers.Dense(1, name="last")(tower(x))))
    assert list(found) == ["x", "tower/hidden", "last"]
    assert found["last"].inputs == ("tower/hidden",)


def test_masks_are_edges_and_second_outputs_have_numbers() -> None:
    text = jg.Input((None,), dtype="int32", name="text")
    x = jg.layers.Embedding(5, 3, mask_zero=True, name="words")(text)
    outputs = jg.layers.LSTM(2, return_state=True, name="lstm")(x)
    found = nodes(jg.Model(text, [outputs[0], jg.layers.Dense(1, name="last")(outputs[2])]))
    assert found["words"].shapes == ((-1, -1, 3), (-1, -1))
    assert found["lstm"].inputs == ("words", "words:1")
    assert found["last"].inputs == ("lstm:2",)


def test_what_is_frozen_says_so() -> None:
    x = jg.Input((4,), name="x")
    model = jg.Model(x, jg.layers.Dense(1, name="last")(jg.layers.Dense(2, name="first")(x))).freeze("first")
    found = nodes(model)
    assert found["first"].facts["trainable"] == "no"
    assert "trainable" not in found["last"].facts
