"""What nodes keep for the backward pass, and what they cost at the sizes they are given."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import jgraph as jg
from jgraph.core.costs import Cost, activations_of, costs_of
from jgraph.errors import ShapeError

L = jg.layers


def kept(model: jg.Model, rows: int = 1, sizes: dict[str, int] | None = None) -> dict[str, int]:
    """The bytes that the nodes keep, by path."""
    found = activations_of(model.nodes, costs_of(model.nodes, rows, sizes), model.graph.outputs)
    return {node.path: count for node, count in zip(model.nodes, found, strict=True) if count}


def chain(*layers: jg.Layer, width: int = 8, **options: Any) -> jg.Model:
    return jg.Sequential([jg.Input((width,), **options), *layers])


@pytest.mark.parametrize(
    ("activation", "arrays"), [("linear", 1), ("tanh", 1), ("sigmoid", 1), ("relu", 2), ("silu", 3), ("elu", 3)]
)
def test_an_activation_keeps_what_its_gradient_cannot_be_computed_from_cheaply(activation: str, arrays: int) -> None:
    """`relu` keeps what it is given, and what it makes is kept for the product that follows."""
    model = chain(L.Dense(16, activation=activation, name="first"), L.Dense(4))
    assert kept(model) == {"first": arrays * 16 * 4, "dense": 4 * 4}


def test_what_a_node_reads_is_kept_once_and_the_batch_is_no_activation() -> None:
    x = jg.Input((8,), name="x")
    h = L.Dense(16, name="h")(x)
    model = jg.Model(x, L.add([L.Dense(4, name="a")(h), L.Dense(4, name="b")(h)]))
    assert kept(model) == {"h": 64, "add": 16}
    assert kept(model, rows=10) == {"h": 640, "add": 160}


def test_a_dropout_keeps_its_mask_of_one_byte_an_element() -> None:
    assert kept(chain(L.Dense(16), L.Dropout(0.5), L.Dense(4))) == {"dropout": 16 + 64, "dense_1": 16}


@pytest.mark.parametrize("layer", [L.Dropout(0.5), L.GaussianNoise(0.1), L.SpatialDropout1D(0.5)])
def test_what_is_the_identity_in_predictions_alone_makes_an_array_behind_an_input_too(layer: jg.Layer) -> None:
    x = jg.Input((4, 64))
    model = jg.Model(x, L.Dense(1, name="end")(layer(x)))
    [path] = [node.path for node in model.nodes if node.layer is layer]
    assert kept(model, rows=1024) == {path: 1024 * 4 * 64 * 4, "end": 1024 * 4 * 4}
    cost = costs_of(model.nodes)[1].cost
    assert cost is not None
    assert cost.operations == 0 < cost.training


def test_a_layer_that_is_the_identity_in_training_too_keeps_nothing_behind_an_input() -> None:
    assert kept(chain(L.Dropout(0.0), L.Dense(1, name="end")), rows=1024) == {"end": 4096}


def test_what_only_hands_an_array_on_keeps_no_other_one() -> None:
    x = jg.Input((2, 4))
    inner = jg.Input((2, 3))
    nested = jg.Model(inner, L.Flatten(name="flat")(inner), name="nested")
    model = jg.Model(x, L.Dense(5, name="end")(nested(L.Dense(3, name="start")(x))))
    assert kept(model) == {"start": 2 * 3 * 4, "end": 20}


def test_nothing_is_kept_where_no_gradient_goes() -> None:
    model = chain(L.Dense(16, activation="relu", name="a"), L.Dense(16, activation="relu", name="b"), L.Dense(4))
    assert kept(model.freeze("a")) == {"a": 64, "b": 128, "dense": 16}
    assert kept(model.freeze("a", "b")) == {"b": 64, "dense": 16}
    assert kept(model.freeze("*")) == {}


def test_frozen_params_cost_no_gradient() -> None:
    model = chain(L.Dense(16, use_bias=False), L.Dense(4, use_bias=False))
    product = 2 * 8 * 16
    assert [n.cost.training for n in costs_of(model.nodes) if n.cost][1] == 2 * product
    assert [n.cost.training for n in costs_of(model.freeze("dense").nodes) if n.cost][1] == product


DEPTHWISE, POINTWISE = 2 * 10 * 10 * 16 * 9, 2 * 10 * 10 * 16 * 16


@pytest.mark.parametrize(
    ("layer", "operations", "training"),
    [
        (L.Conv2D(16, 3, use_bias=False), 16 * DEPTHWISE, 32 * DEPTHWISE),
        (L.Conv2D(16, 3, groups=4, use_bias=False), 4 * DEPTHWISE, 8 * DEPTHWISE),
        (L.DepthwiseConv2D(3, use_bias=False), DEPTHWISE, 2 * DEPTHWISE),
        (L.SeparableConv2D(16, 3, use_bias=False), DEPTHWISE + POINTWISE, 2 * DEPTHWISE + 3 * POINTWISE),
    ],
    ids=["one group", "groups", "depthwise", "separable"],
)
def test_the_gradient_of_a_kernel_costs_what_its_convolution_costs(layer: Any, operations: int, training: int) -> None:
    """What is between the two kernels of a separable convolution needs a gradient too."""
    model = jg.Model(x := jg.Input((12, 12, 16)), layer(x))
    cost = costs_of(model.nodes)[1].cost
    assert cost is not None
    assert (cost.operations, cost.training) == (operations, pytest.approx(training, rel=0.001))


def test_adapted_params_cost_only_the_gradient_of_the_adapter() -> None:
    model = chain(L.Dense(16, use_bias=False), L.Dense(16, use_bias=False, name="wide"), L.Dense(4))
    adapted = jg.lora(model, "wide", rank=2)
    costs = {node.path: c.cost for node, c in zip(adapted.nodes, costs_of(adapted.nodes), strict=True)}
    assert costs["wide"] is not None
    assert costs["wide"].training < 3 * costs["wide"].operations


def test_half_precision_keeps_half_the_bytes() -> None:
    model = chain(L.Dense(16, activation="relu", name="a"), L.Dense(16, name="b"), L.Dense(4))
    assert kept(model.with_policy(jg.Policy({"*": {"dtype": "bfloat16"}}))) == {"a": 64, "b": 32, "dense": 8}


def test_what_is_computed_again_keeps_its_inputs_alone() -> None:
    x = jg.Input((8,))
    inner = jg.Input((8,))
    body = L.Dense(8, activation="relu")(L.Dense(16, activation="relu")(inner))
    block = jg.Model(inner, body, name="block")
    model = jg.Model(x, L.Dense(4, name="end")(block(L.Dense(8, name="start")(x))))
    assert kept(model) == {"start": 32, "block/dense": 128, "block/dense_1": 64, "end": 16}
    again = model.with_policy(jg.Policy({"block": {"remat": True}}))
    assert kept(again) == {"start": 32, "block/dense_1": 32, "end": 16}


def test_a_recurrence_keeps_every_step_of_a_convolution_every_place() -> None:
    model = jg.Sequential([jg.Input((20,), dtype="int32"), L.Embedding(30, 8), L.LSTM(16), L.Dense(5)])
    assert kept(model)["embedding"] == 20 * 8 * 4
    assert kept(model)["lstm"] >= 20 * 16 * 6 * 4  # six slopes
    model = jg.Sequential([jg.Input((8, 8, 3)), L.Conv2D(5, 3, activation="relu"), L.Flatten(), L.Dense(4)])
    assert kept(model)["conv2d"] == 2 * 6 * 6 * 5 * 4


def test_free_axes_are_not_known_until_they_are_given() -> None:
    text = jg.Input(("steps",), dtype="int32", name="text")
    model = jg.Model(text, L.Dense(3)(L.LSTM(4)(L.Embedding(9, 8, mask_zero=True)(text))))
    costs = dict(zip((node.path for node in model.nodes), costs_of(model.nodes), strict=True))
    assert [path for path, found in costs.items() if found.cost is None] == ["embedding", "lstm"]
    ten, twenty = (costs_of(model.nodes, sizes={"steps": steps})[2].cost for steps in (10, 20))
    assert ten is not None
    assert twenty is not None
    assert 1.9 * ten.operations < twenty.operations <= 2 * ten.operations


def test_sizes_that_a_layer_cannot_take_are_refused() -> None:
    x = jg.Input(("w", 4))
    model = jg.Model(x, L.Conv1D(2, 3)(x))
    with pytest.raises(ShapeError, match="Conv1D"):
        costs_of(model.nodes, sizes={"w": 1})


def test_costs_grow_with_the_rows() -> None:
    model = chain(L.Dense(16, activation="relu"), L.Dense(4))
    one, eight = (sum(n.cost.operations for n in costs_of(model.nodes, rows) if n.cost) for rows in (1, 8))
    assert eight == 8 * one


def test_a_mask_and_a_constant_are_no_hindrance() -> None:
    x = jg.Input((4, 2))
    model = jg.Model(x, L.GlobalAveragePooling1D()(L.Masking()(x)) * jnp.ones(2))
    assert all(found.cost is not None for found in costs_of(model.nodes))


def test_equal_layers_are_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    make = jax.make_jaxpr
    monkeypatch.setattr(jax, "make_jaxpr", lambda f, *a, **k: traced.append(f) or make(f, *a, **k))
    model = chain(*(L.Dense(23, activation="tanh") for _ in range(50)), width=23)
    found = costs_of(model.nodes)
    assert len(traced) <= 6
    assert len({n.cost for n in found[2:]}) == 1
    costs_of(model.nodes)
    assert len(traced) <= 6


def test_a_layer_that_cannot_be_hashed_costs_what_it_costs() -> None:
    x = jg.Input((4,))
    model = jg.Model(x, jg.op(lambda x, table: x * len(table))(x, {"a": 1}))
    assert costs_of(model.nodes)[1].cost == Cost(4, 4, same=(None,))


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "silu"])
def test_the_estimate_is_what_the_compiled_step_needs_in_between(activation: str) -> None:
    """The difference of two depths, so that what a step needs beside the activations does not count."""

    def needs(depth: int) -> tuple[int, int]:
        model = chain(*(L.Dense(64, activation=activation) for _ in range(depth)), width=64)
        lowered = jg.Trainer(model, optax.sgd(0.1), loss="mse").lower(batch_size=512)
        return sum(kept(model, 512).values()), lowered.temporaries

    ours, theirs = (deep - flat for flat, deep in zip(needs(3), needs(6), strict=True))
    assert ours == pytest.approx(theirs, rel=0.15)
