"""Laws of random drawings that call models, share layers across their borders, name an axis and do without an input."""

import dataclasses
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.tree import leaves_with_names

WIDTH, STEPS = 2, 3
KINDS, ODDS = ("dense", "model", "fill", "plus", "centre", "reverse"), (0.2, 0.35, 0.15, 0.2, 0.05, 0.05)
SEEDS = pytest.mark.parametrize("seed", range(20))
ABSENT = pytest.mark.parametrize("absent", [True, False], ids=["absent", "there"])
KEY = jax.random.key(3)


@dataclasses.dataclass(frozen=True)
class Step:
    """What is done to two earlier values, with which layer or model, and whether that is given the optional input."""

    kind: str
    which: int
    first: int
    second: int
    handed_on: bool


Level = tuple[Step, ...]


def levels(seed: int) -> tuple[Level, ...]:
    """Models that each may call those before it; the last is the whole."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(3):
        steps = []
        for place in range(2, 2 + random.integers(2, 6)):
            kind, (first, second) = (
                KINDS[random.choice(len(KINDS), p=ODDS)],
                random.integers(max(0, place - 2), place, 2),
            )
            steps.append(Step(kind, int(random.integers(2)), int(first), int(second), bool(random.integers(2))))
        made.append(tuple(steps))
    return tuple(made)


class Fill(jg.Layer):
    """Adds what may be absent, weighed."""

    mixes_rows = False

    def init(self, key: Any, x: Any, more: Any) -> Any:
        return {"gain": jnp.full(x.shape[-1], 0.5)}, {}

    def apply(self, params: Any, state: Any, x: Any, more: Any, *, train: bool = False, key: Any = None) -> Any:
        return x if more is None else x + params["gain"] * more, state


def model_of(drawn: tuple[Level, ...]) -> jg.Model:
    """All levels, with layers that they share."""
    dense = [jg.layers.Dense(WIDTH, name=f"dense{i}") for i in range(2)]
    fill = [Fill(name=f"fill{i}") for i in range(2)]
    models: list[jg.Model] = []

    def draw(step: Step, x: Any, y: Any, more: Any) -> Any:
        match step.kind:
            case "dense":
                return dense[step.which](x)
            case "fill":
                return fill[step.which](x, more)
            case "model" if models:
                given = {"a": x, "b": y, "more": more if step.handed_on else None}
                return models[step.which % len(models)](given)["y"]
            case "centre":
                return x - jg.op(jnp.mean)(x, axis=1, keepdims=True)
            case "reverse":
                return x[:, ::-1]
            case _:
                return x + 0.5 * y

    for number, steps in enumerate(drawn):
        a, b = (jg.Input((f"t{number}", WIDTH), name=name) for name in ("a", "b"))
        more = jg.Input((f"t{number}", WIDTH), name="more", optional=True)
        values = [a, b]
        for step in steps:
            values.append(draw(step, values[step.first], values[step.second], more))
        models.append(jg.Model({"a": a, "b": b, "more": more}, {"y": values[-1]}, name=f"level{number}"))
    return models[-1]


def naive(drawn: tuple[Level, ...], inputs: dict[str, Any], params: dict[str, Any]) -> Any:
    """The last value of the last level by plain recursion, with the params by layer name."""

    def value(place: int) -> Any:
        if place < 2:
            return inputs["ab"[place]]
        step = drawn[-1][place - 2]
        x, more = value(step.first), inputs["more"]
        match step.kind:
            case "dense":
                own = params[f"dense{step.which}"]
                return x @ own["kernel"] + own["bias"]
            case "fill":
                return x if more is None else x + params[f"fill{step.which}"]["gain"] * more
            case "model" if len(drawn) > 1:
                given = {"a": x, "b": value(step.second), "more": more if step.handed_on else None}
                return naive(drawn[: step.which % (len(drawn) - 1) + 1], given, params)
            case "centre":
                return x - x.mean(1, keepdims=True)
            case "reverse":
                return x[:, ::-1]
            case _:
                return x + 0.5 * value(step.second)

    return value(len(drawn[-1]) + 1)


def arrays(absent: bool) -> dict[str, Any]:
    random = np.random.default_rng(0)
    a, b, more = (random.normal(size=(2, STEPS, WIDTH)).astype("float32") for _ in range(3))
    return {"a": a, "b": b, "more": None if absent else more}


def by_layer(params: Any) -> dict[str, Any]:
    """The params by the layer's own name, of which there must be one entry, however deep it is and often used."""
    found: dict[str, Any] = {}
    for path, array in leaves_with_names(params):
        *_, layer, name = path.split("/")
        assert name not in found.setdefault(layer, {})
        found[layer][name] = array
    return found


@SEEDS
@ABSENT
def test_nested_and_shared_models_compute_what_plain_recursion_computes(seed: int, absent: bool) -> None:
    drawn = levels(seed)
    model, inputs = model_of(drawn), arrays(absent)
    params, state = model.init(KEY)
    outputs, _ = model.apply(params, state, inputs)
    np.testing.assert_allclose(outputs["y"], naive(drawn, inputs, by_layer(params)), rtol=1e-5, atol=1e-5)


@SEEDS
@ABSENT
def test_a_copy_and_a_model_around_it_change_no_bit(seed: int, absent: bool) -> None:
    model, inputs = model_of(levels(seed)), arrays(absent)
    params, state = model.init(KEY)
    expected, _ = model.apply(params, state, inputs)
    outer = jg.Model(model.inputs, model(model.inputs))
    copies = [
        (pickle.loads(pickle.dumps(model)), params),
        (jg.Model.from_json(model.to_json(), allow=[Fill]), params),
        (outer, {model.name: params} if params else {}),
    ]
    for copy, own in copies:
        np.testing.assert_array_equal(copy.apply(own, state, inputs)[0]["y"], expected["y"])
    assert copies[0][0].fingerprint == copies[1][0].fingerprint == model.fingerprint


@SEEDS
def test_every_node_at_any_depth_can_be_read_and_started_from(seed: int) -> None:
    model, inputs = model_of(levels(seed)), arrays(absent=seed % 3 == 0)
    params, state = model.init(KEY)
    expected, _ = model.apply(params, state, inputs)
    made = [node for node in model.nodes if node.args]
    node = made[np.random.default_rng(seed).integers(len(made))]
    middle = model.output_of(node.path, call=node.call)
    middle = middle["y"] if node.layer.is_graph else middle
    first = jg.Model(model.inputs, middle)
    values, _ = first.apply(first.select(params, of=model), {}, inputs)
    second = jg.Model({**model.inputs, "middle": middle}, model.outputs)
    outputs, _ = second.apply(second.select(params, of=model), {}, {**inputs, "middle": values})
    np.testing.assert_array_equal(outputs["y"], expected["y"])
