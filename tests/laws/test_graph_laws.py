"""Laws of all graphs, on random ones: what is drawn is what is computed, and nothing depends on what it should not."""

import dataclasses
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import jgraph as jg
from jgraph.keys import fold

WIDTH, LAYERS = 3, 2
KEY = jax.random.key(42)
ROWS = {
    name: np.linspace(-1, 1, 2 * WIDTH, dtype=np.float32).reshape(2, WIDTH) * scale
    for name, scale in (("a", 1), ("b", 2))
}

UNARY = ("dense", "drop", "count", "tanh", "scale", "reverse")
BINARY = ("plus", "minus", "times", "less", "join")
SOME = settings(max_examples=50, deadline=None, derandomize=True, database=None)


class Count(jg.Layer):
    """Adds the number of its calls so far."""

    def init(self, key: Any, x: Any) -> Any:
        return {}, {"n": jnp.zeros(())}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x + state["n"], {"n": state["n"] + 1}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Steps `(kind, layer, first, second)` on earlier values, the first two of which are the inputs; and outputs."""

    steps: tuple[tuple[str, int, int, int], ...]
    outputs: tuple[int, ...]


@st.composite
def plans(draw: Any) -> Plan:
    """Random directed graphs without cycles, with shared layers and values that are read many times."""
    steps = []
    for place in range(2, 2 + draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(UNARY + BINARY))
        reads = [draw(st.integers(max(0, place - 4), place - 1)) for _ in range(2)]
        steps.append((kind, draw(st.integers(0, LAYERS - 1)), *reads))
    last = len(steps) + 1
    return Plan(tuple(steps), (last, *draw(st.lists(st.integers(0, last), max_size=2))))


def layers_of(prefix: str, named: bool = True) -> dict[str, jg.Layer]:
    """The layers that the steps of one plan share."""
    made: dict[str, jg.Layer] = {}
    for i in range(LAYERS):
        for kind, layer in (("dense", jg.layers.Dense), ("drop", jg.layers.Dropout), ("count", Count)):
            arguments = {"dense": (WIDTH,), "drop": (0.5,), "count": ()}[kind]
            made[f"{kind}{i}"] = layer(*arguments, name=f"{prefix}{kind}{i}" if named else None)
    return made


def drawing(plan: Plan, a: Any, b: Any, layers: dict[str, jg.Layer]) -> list[Any]:
    """The plan's outputs as symbols."""
    values = [a, b]
    for kind, index, first, second in plan.steps:
        x, y = values[first], values[second]
        values.append(layers[f"{kind}{index}"](x) if kind in ("dense", "drop", "count") else step(kind, x, y))
    return [values[i] for i in plan.outputs]


def step(kind: str, x: Any, y: Any) -> Any:
    """One step without a layer of its own, on symbols and on arrays alike."""
    lift = jg.op if not isinstance(x, jax.Array) else lambda f: f
    return {
        "tanh": lambda: lift(jnp.tanh)(x),
        "scale": lambda: 0.5 * x - 1.0,
        "reverse": lambda: x[:, ::-1],
        "plus": lambda: x + y,
        "minus": lambda: x - y,
        "times": lambda: lift(jnp.tanh)(x * y),
        "less": lambda: lift(jnp.where)(x < y, x, 0.5 * y),
        "join": lambda: lift(jnp.concatenate)([x[:, :1], y[:, 1:]], axis=1),
    }[kind]()


def naive(plan: Plan, params: Any, state: Any, train: bool) -> tuple[list[Any], Any]:
    """The plan's outputs by plain recursion over its steps, each value computed when it is first asked for."""
    values: dict[int, Any] = {0: jnp.asarray(ROWS["a"]), 1: jnp.asarray(ROWS["b"])}
    calls: dict[str, int] = {}
    counts = {name: part["n"] for name, part in state.items()}

    def value(place: int) -> Any:
        if place not in values:
            kind, index, first, second = plan.steps[place - 2]
            name = f"{kind}{index}"
            x = value(first)
            y = value(second) if kind in BINARY else x
            if kind not in ("dense", "drop", "count"):
                values[place] = step(kind, x, y)
                return values[place]
            call = calls[name] = calls.get(name, -1) + 1
            if kind == "dense":
                values[place] = x @ params[name]["kernel"] + params[name]["bias"]
            elif kind == "count":
                values[place], counts[name] = x + counts[name], counts[name] + 1
            else:
                keep = jax.random.bernoulli(fold(KEY, name, call), 0.5, x.shape)
                values[place] = jnp.where(keep, x / 0.5, 0) if train else x
        return values[place]

    outputs = [value(place) for place in plan.outputs]
    return outputs, {name: {"n": n} for name, n in counts.items()}


def model_of(plan: Plan) -> jg.Model:
    a, b = jg.Input((WIDTH,), name="a"), jg.Input((WIDTH,), name="b")
    return jg.Model({"a": a, "b": b}, drawing(plan, a, b, layers_of("")))


def same(got: Any, expected: Any) -> None:
    """Equal in structure and in every bit."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


@given(plan=plans(), train=st.booleans())
@SOME
def test_a_model_computes_what_plain_recursion_over_the_drawing_computes(plan: Plan, train: bool) -> None:
    model = model_of(plan)
    params, state = model.init(KEY)
    same(model.apply(params, state, ROWS, train=train, key=KEY), naive(plan, params, state, train))


@given(plan=plans(), train=st.booleans())
@SOME
def test_nesting_a_model_changes_its_name_and_no_value(plan: Plan, train: bool) -> None:
    inner = model_of(plan)
    a, b = jg.Input((WIDTH,), name="a"), jg.Input((WIDTH,), name="b")
    outer = jg.Model({"a": a, "b": b}, inner({"a": a, "b": b}))
    params, state = inner.init(KEY)
    wrap = {"model": params} if params else {}, {"model": state} if state else {}
    assert jax.tree.structure(outer.init(KEY)) == jax.tree.structure(wrap)
    outputs, new = outer.apply(*wrap, ROWS)
    expected, new_inner = inner.apply(params, state, ROWS)
    same(outputs, expected)
    same(new.get("model", {}), new_inner)


@given(left=plans(), right=plans(), order=st.permutations(["x", "y", "z"]), swap=st.booleans())
@SOME
def test_the_order_of_writing_keys_changes_no_name_and_no_parameter(
    left: Plan, right: Plan, order: list[str], swap: bool
) -> None:
    def draw(keys: list[str], names: list[str]) -> jg.Model:
        inputs = {name: jg.Input((WIDTH,), name=name) for name in names}
        one = drawing(left, inputs["a"], inputs["b"], layers_of("", named=False))
        other = drawing(right, inputs["a"], inputs["b"], layers_of("", named=False))
        parts = {"x": one, "y": other[0], "z": jg.layers.Dense(2)(one[0])}
        return jg.Model({name: inputs[name] for name in names}, {key: parts[key] for key in keys})

    first, second = draw(["x", "y", "z"], ["a", "b"]), draw(order, ["b", "a"] if swap else ["a", "b"])
    assert [(n.path, n.call, n.args) for n in first.nodes] == [(n.path, n.call, n.args) for n in second.nodes]
    same(second.init(KEY), first.init(KEY))


@given(plan=plans())
@SOME
def test_pickling_changes_no_bit(plan: Plan) -> None:
    model = model_of(plan)
    again = pickle.loads(pickle.dumps(model))
    params, state = model.init(KEY)
    same(again.init(KEY), (params, state))
    same(again.apply(params, state, ROWS, train=True, key=KEY), model.apply(params, state, ROWS, train=True, key=KEY))
    assert [n.path for n in again.nodes] == [n.path for n in model.nodes]


@given(kept=plans(), removed=plans())
@SOME
def test_removing_a_branch_changes_no_other_nodes_start_values_or_dropout(kept: Plan, removed: Plan) -> None:
    a, b = jg.Input((WIDTH,), name="a"), jg.Input((WIDTH,), name="b")
    branch = drawing(kept, a, b, layers_of("kept_"))
    other = drawing(removed, a, b, layers_of("removed_"))
    whole, alone = jg.Model([a, b], {"a": other, "b": branch}), jg.Model([a, b], {"b": branch})
    params, state = whole.init(KEY)
    own_params, own_state = alone.init(KEY)
    same(own_params, {name: part for name, part in params.items() if name.startswith("kept_")})
    same(own_params, alone.select(params, of=whole))
    outputs, new = whole.apply(params, state, ROWS, train=True, key=KEY)
    own_outputs, own_new = alone.apply(own_params, own_state, ROWS, train=True, key=KEY)
    same(own_outputs["b"], outputs["b"])
    same(own_new, {name: part for name, part in new.items() if name.startswith("kept_")})


@given(plan=plans(), place=st.integers(0, 30))
@SOME
def test_a_model_cut_in_two_at_any_node_computes_the_same(plan: Plan, place: int) -> None:
    model = model_of(plan)
    params, state = model.init(KEY)
    expected, _ = model.apply(params, state, ROWS)
    drawn = [n for n in model.nodes if n.args]
    assume(drawn and not any(n.call and isinstance(n.layer, Count) for n in drawn))  # its state would start anew
    node = drawn[place % len(drawn)]
    middle = model.output_of(node.path, call=node.call)
    first = jg.Model(model.inputs, middle)
    values, _ = first.apply(first.select(params), first.select(state), ROWS)
    second = jg.Model({**model.inputs, "middle": middle}, model.outputs)
    outputs, _ = second.apply(second.select(params), second.select(state), {**ROWS, "middle": values})
    same(outputs, expected)
