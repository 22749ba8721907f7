"""Finding tensors by path and call: what a layer gives, and what it was called on."""

from typing import Any

import jax
import pytest

import jgraph as jg
from jgraph.errors import GraphError, PathError
from tests.core.gallery import cut, deep, keywords, recurrent, shared, stacks

L = jg.layers


def path_of(symbol: Any) -> tuple[str, int]:
    return symbol.call.path, symbol.index


def test_what_a_layer_gives_has_the_structure_that_it_gave_it_in() -> None:
    model = recurrent()
    assert isinstance(model.output_of("lstm"), (list, tuple))
    assert jax.tree.map(path_of, list(model.output_of("lstm"))) == [("lstm", 0), ("lstm", 1), ("lstm", 2)]
    assert path_of(model.output_of("text")) == ("text", 0)
    x = jg.Input((3,))
    inner = jg.Model(x, {"one": L.Dense(2)(x), "two": x * 2.0}, name="inner")
    outer = jg.Model(x, inner(x)["one"])
    assert sorted(outer.output_of("inner")) == ["one", "two"]


def test_what_a_layer_was_called_on() -> None:
    model = shared()
    assert path_of(model.input_of("tower", call=0)) == ("a", 0)
    assert path_of(model.input_of("tower", call=1)) == ("dropout", 0)
    assert [path_of(s) for s in model.input_of("add")] == [("dropout", 0), ("dropout_1", 0)]
    assert [path_of(s) for s in model.input_of("concatenate")] == [("dropout", 0), ("dropout_1", 0)]
    args, options = keywords().input_of("gate")
    assert [path_of(s) for s in args] == [("dense", 0)]
    assert path_of(options["gate"]) == ("tanh", 0)
    assert options["shift"] == 0.5


def test_inside_of_nested_models_and_of_stacks() -> None:
    model = deep()
    assert path_of(model.input_of("outer", call=1)) == ("b", 0)
    assert path_of(model.input_of("outer/model", call=0)) == ("outer/dense", 0)
    assert path_of(model.input_of("outer/model/inner/dense", call=2)) == ("a", 0)
    assert path_of(model.output_of("outer/model/inner", call=2)) == ("outer/model/inner", 0)
    assert path_of(stacks().input_of("sequential/sequential", call=0)) == ("sequential/dense", 0)


def test_a_model_from_input_to_output_of_a_layer_computes_that_layer() -> None:
    model = deep()
    part = jg.Model(model.input_of("outer/model", call=0), model.output_of("outer/model", call=0))
    inner = model.layers["outer/model"]
    assert isinstance(inner, jg.Model)
    params, _ = model.init(jax.random.key(0))
    taken = part.select(params, of=model)
    assert taken["outer"]["model"].keys() == inner.params_spec.keys()
    assert list(taken["outer"]) == ["model"]


@pytest.mark.parametrize("method", ["output_of", "input_of"])
def test_typos_and_calls_that_are_not_said(method: str) -> None:
    model = deep()
    find = getattr(model, method)
    with pytest.raises(PathError, match=rf"{method}: .*got 'outer/dens'\. Did you mean 'outer/dense'"):
        find("outer/dens")
    with pytest.raises(PathError, match=r"one of call=0 on 'a'; call=1 on 'b', got call=None\. Say which call"):
        find("outer")
    for call in (-1, 2, "0", 0.0, True):
        with pytest.raises(PathError, match="Say which call"):
            find("outer", call=call)
    for path in (None, 3, ["outer"], ("outer", "dense"), ""):
        with pytest.raises(PathError, match="expected a path of the model"):
            find(path)


def test_what_reads_nothing_has_no_input() -> None:
    with pytest.raises(GraphError, match=r"input_of 'a': .*got an input\. Read model\.inputs"):
        deep().input_of("a")
    with pytest.raises(GraphError, match="a nested model that was cut open"):
        cut().input_of("outer/model")
