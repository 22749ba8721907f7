"""From a drawing to a flat graph: which calls, in which order, under which names, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jgraph as jg
from jgraph.core.graph import Ref
from jgraph.errors import GraphError, NameClashError, ShapeError, SymbolError

Dense = jg.layers.Dense


def paths(model: jg.Model) -> list[str]:
    return [node.path for node in model.nodes]


def test_names_are_snake_case_classes_numbered_depth_first_from_the_outputs() -> None:
    x = jg.Input((3,))
    last, first = Dense(2), Dense(4)  # made in the other order than they are reached
    y = last(first(x))
    model = jg.Model(x, y)
    assert paths(model) == ["input", "dense", "dense_1"]
    assert model.layers["dense"] is first
    assert model.layers["dense_1"] is last


def test_arguments_count_from_left_to_right_and_dict_keys_sorted() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    left, right, other = Dense(2), Dense(2), Dense(2)
    model = jg.Model({"b": b, "a": a}, {"z": right(b) - left(a), "y": other(a)})
    assert paths(model) == ["a", "dense", "b", "dense_1", "dense_2", "subtract"]
    assert [model.layers[n] for n in ("dense", "dense_1", "dense_2")] == [other, right, left]
    swapped = jg.Model({"a": a, "b": b}, {"y": other(a), "z": right(b) - left(a)})
    assert paths(swapped) == paths(model)


def test_explicit_names_come_first_and_numbers_go_round_them() -> None:
    x = jg.Input((3,))
    y = Dense(1)(Dense(2, name="dense")(Dense(3)(Dense(4, name="dense_2")(x))))
    assert paths(jg.Model(x, y)) == ["input", "dense_2", "dense_1", "dense", "dense_3"]


def test_no_counter_is_shared_between_models() -> None:
    def draw() -> jg.Model:
        x = jg.Input((3,))
        return jg.Model(x, Dense(1)(Dense(2)(x)))

    assert paths(draw()) == paths(draw()) == ["input", "dense", "dense_1"]


def test_operations_are_named_by_their_functions() -> None:
    x = jg.Input((3,))
    y = jg.op(jax.nn.relu)(x) + jg.op(lambda a: a)(x)[:, :1] * 2
    assert paths(jg.Model(x, y)) == ["input", "relu", "op", "getitem", "multiply", "add"]


def test_a_layer_called_twice_is_one_name_and_two_calls() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    shared = Dense(2)
    model = jg.Model([a, b], shared(a) + shared(b))
    assert [(n.path, n.call) for n in model.nodes] == [("a", 0), ("dense", 0), ("b", 0), ("dense", 1), ("add", 0)]
    assert list(model.layers) == ["a", "dense", "b", "add"]


def test_nodes_hold_integer_references_in_topological_order() -> None:
    x = jg.Input((3,))
    h = Dense(3)(x)
    model = jg.Model(x, [h * h + x, h])
    for place, node in enumerate(model.nodes):
        references = [r for r in jax.tree.leaves((node.args, node.kwargs, node.mask)) if isinstance(r, Ref)]
        assert all(0 <= r.node < place for r in references)
    assert model.graph.inputs == Ref(0, 0)
    assert model.graph.outputs == [Ref(3, 0), Ref(1, 0)]


def test_a_diamond_computes_its_stem_once() -> None:
    x = jg.Input((3,))
    stem = Dense(3)(x)
    y = stem
    for _ in range(20):  # 2**20 paths lead to the stem
        y = y + y
    assert len(jg.Model(x, y).nodes) == 22


def test_models_renaming_leaves_the_drawing_as_it_was() -> None:
    x = jg.Input((3,))
    h = Dense(3)(x)
    y = Dense(2)(h)
    assert paths(jg.Model(x, y)) == ["input", "dense", "dense_1"]
    assert paths(jg.Model(x, h)) == ["input", "dense"]
    cut = jg.Model(h, y)  # counted anew, as it is made from the freshly drawn symbols
    assert paths(cut) == ["input", "dense"]


def test_handed_on_symbols_keep_their_names_and_only_new_layers_get_new_ones() -> None:
    x = jg.Input((3,))
    model = jg.Model(x, Dense(1)(Dense(2)(x)))
    cut = jg.Model(model.output_of("dense"), model.outputs)
    assert paths(cut) == ["input", "dense_1"]
    longer = jg.Model(model.inputs, Dense(5)(model.outputs))
    assert paths(longer) == ["input", "dense", "dense_1", "dense_2"]
    in_front = jg.Input((7,))
    grown = jg.Model(in_front, Dense(3)(in_front))
    joined = jg.Model(model.inputs, [model.outputs, Dense(4)(model.output_of("dense"))])
    assert paths(joined) == ["input", "dense", "dense_1", "dense_2"]
    assert paths(grown) == ["input", "dense"]


def test_fresh_and_handed_on_symbols_of_one_drawing_are_the_same_graph() -> None:
    x = jg.Input((3,))
    h = Dense(2)(x)
    model = jg.Model(x, Dense(1)(Dense(4)(h)))
    mixed = jg.Model(x, [model.outputs, h])
    assert paths(mixed) == ["input", "dense", "dense_1", "dense_2"]
    assert [n.layer for n in mixed.nodes] == [n.layer for n in model.nodes]


def test_a_missing_input_is_named_with_the_output_that_needs_it() -> None:
    left, right = jg.Input((3,), name="left"), jg.Input((3,), name="right")
    with pytest.raises(GraphError, match=r"'both'.*'left'.*'right'.*Add the input 'right'"):
        jg.Model({"left": left}, {"both": left + right})
    unnamed = jg.Input((4,))
    with pytest.raises(GraphError, match=r"unnamed input float32\[batch, 4\]"):
        jg.Model(left, Dense(3)(unnamed) + left)


def test_a_missing_input_behind_a_model_is_named_by_its_path() -> None:
    x = jg.Input((3,))
    model = jg.Model(x, Dense(2)(x))
    other = jg.Input((2,), name="other")
    with pytest.raises(GraphError, match="'input'"):
        jg.Model(other, model.outputs + other)


def test_unused_inputs_are_kept_at_the_end() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    assert paths(jg.Model({"b": b, "a": a}, Dense(2)(b))) == ["b", "dense", "a"]


def test_an_input_given_twice_is_refused_with_both_places() -> None:
    x = jg.Input((3,), name="x")
    with pytest.raises(GraphError, match="'a' and 'b'"):
        jg.Model({"a": x, "b": x}, x)


def test_two_layers_of_one_name_clash_but_one_layer_twice_does_not() -> None:
    x = jg.Input((3,), name="x")
    with pytest.raises(NameClashError, match=r"'same'.*Dense\(3, name='same'\).*Dense\(2, name='same'\)"):
        jg.Model(x, Dense(2, name="same")(Dense(3, name="same")(x)))
    with pytest.raises(NameClashError, match="'x'"):
        jg.Model(x, Dense(3, name="x")(x))
    shared = Dense(3, name="same")
    assert paths(jg.Model(x, shared(shared(x)))) == ["x", "same", "same"]


def test_parts_of_two_models_with_one_name_clash() -> None:
    x = jg.Input((3,), name="x")
    one, other = jg.Model(x, Dense(2)(x)), jg.Model(x, Dense(2)(x))
    with pytest.raises(NameClashError, match="Call the models as layers"):
        jg.Model(x, [one.outputs, other.outputs])
    called = jg.Model(x, [one(x), other(x)])
    assert paths(called) == ["x", "model/dense", "model", "model_1/dense", "model_1"]


def test_a_shared_layer_on_two_widths_names_both_places() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((4,), name="b")
    tower = Dense(2, name="tower")
    with pytest.raises(ShapeError, match=r"tower.*call 0.*\[3, 2\].*\[4, 2\].*call 1"):
        jg.Model([a, b], [tower(a), tower(b)])


@pytest.mark.parametrize("wrong", [None, 3, "x", jnp.ones(3), Dense(2), [None], {"a": None}, {"a": "x"}], ids=repr)
def test_only_symbols_are_inputs_and_outputs(wrong: Any) -> None:
    x = jg.Input((3,))
    with pytest.raises(SymbolError, match=r"outputs.*Inputs come from jg\.Input"):
        jg.Model(x, wrong)
    with pytest.raises(SymbolError, match=r"inputs.*Inputs come from jg\.Input"):
        jg.Model(wrong, x)


@pytest.mark.parametrize("empty", [[], {}, ()], ids=repr)
def test_a_model_has_at_least_one_input_and_one_output(empty: Any) -> None:
    x = jg.Input((3,))
    with pytest.raises(GraphError, match="an input and an output"):
        jg.Model(x, empty)
    with pytest.raises(GraphError, match="an input and an output"):
        jg.Model(empty, x)


def test_an_output_may_be_an_input_and_may_stand_twice() -> None:
    x = jg.Input((3,))
    y = Dense(2)(x)
    outputs, _ = (model := jg.Model(x, [x, y, y])).apply(*model.init(jax.random.key(0)), jnp.ones((2, 3)))
    assert [o.shape for o in outputs] == [(2, 3), (2, 2), (2, 2)]


def test_layers_with_several_outputs_are_one_node() -> None:
    x = jg.Input((5, 3))
    sequence, h, c = jg.layers.LSTM(2, return_sequences=True, return_state=True)(x)
    model = jg.Model(x, {"c": c, "h": h, "sequence": sequence})
    assert paths(model) == ["input", "lstm"]
    assert model.graph.outputs == {"c": Ref(1, 2), "h": Ref(1, 1), "sequence": Ref(1, 0)}


def test_the_input_of_a_copy_is_another_symbol_of_that_name() -> None:
    x = jg.Input((3,), name="x")
    copied = jg.Model.from_json(jg.Model(x, jg.layers.Dense(2, name="y")(x)).to_json())
    with pytest.raises(GraphError, match=r"another symbol of that name.*model\.inputs"):
        jg.Model(x, copied.output_of("y"))
    kept = jg.Model(x, jg.layers.Dense(2, name="y")(x)).freeze("y")
    assert list(jg.Model(x, kept.output_of("y")).layers) == ["x", "y"]  # a policy keeps the inputs' symbols
