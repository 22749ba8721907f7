"""The hash of a graph: what decides about it changes it, and nothing else does, in any process and after any copy."""

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jgraph as jg
from jgraph.core.fingerprint import differences
from jgraph.errors import SaveError
from tests.core.gallery import MODELS, Count, Gate
from tests.laws.test_graph_laws import Plan, drawing, layers_of, plans

L = jg.layers
FEW = settings(max_examples=20, deadline=None, derandomize=True, database=None)
ROOT = Path(__file__).parents[2]

FRESH = """
from tests.core.gallery import MODELS
for make in MODELS.values():
    print(make().fingerprint)
"""


def written(**changes: Any) -> jg.Model:
    """A model with one thing changed, or with its lines in another order."""
    said: dict[str, Any] = {
        "turned": False,
        "units": 3,
        "name": "common",
        "shared": True,
        "nested": True,
        "mask": 1,
        "by_hand": True,
        "constant": 0.5,
        "activation": None,
        "as_list": False,
        "key": "x",
        "inner_rate": 0.5,
    }
    said.update(changes)
    a, t = jg.Input((4, 3), name="a"), jg.Input((4,), dtype="int32", name="t")
    common = L.Dense(said["units"], said["activation"], name=said["name"])
    other = common if said["shared"] else L.Dense(said["units"], said["activation"])
    start = jg.Input((4, 3))
    tower = jg.Model(start, L.Dropout(said["inner_rate"])(L.Dense(3)(start)), name="tower")

    def first() -> Any:
        return common(tower(a) if said["nested"] else a)

    def second() -> Any:
        return other(a) * said["constant"]

    if said["turned"]:
        scaled, kept = second(), first()
        kept = jg.op(jnp.clip)(kept, max=1.0, min=-1.0)
    else:
        kept, scaled = first(), second()
        kept = jg.op(jnp.clip)(kept, min=-1.0, max=1.0)
    pooled = L.GlobalAveragePooling1D()(scaled, **({"mask": t > said["mask"]} if said["by_hand"] else {}))
    inputs, outputs = {"a": a, "t": t}, {said["key"]: kept, "pooled": [pooled] if said["as_list"] else (pooled,)}
    if said["turned"]:
        inputs, outputs = dict(reversed(inputs.items())), dict(reversed(outputs.items()))
    return jg.Model(inputs, outputs)


def test_the_order_of_writing_does_not_matter() -> None:
    assert written(turned=True).fingerprint == written().fingerprint
    assert len(written().fingerprint) == 64


@given(left=plans(), right=plans(), turned=st.booleans())
@FEW
def test_the_order_of_writing_does_not_matter_in_random_graphs(left: Plan, right: Plan, turned: bool) -> None:
    def draw(turned: bool) -> jg.Model:
        names = ["b", "a"] if turned else ["a", "b"]
        inputs = {name: jg.Input((3,), name=name) for name in names}
        parts: dict[str, Any] = {}
        for key, plan in reversed([("x", left), ("y", right)]) if turned else (("x", left), ("y", right)):
            parts[key] = drawing(plan, inputs["a"], inputs["b"], layers_of("", named=False))
        return jg.Model(inputs, parts)

    assert draw(turned).fingerprint == draw(False).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"units": 5},
        {"name": "another"},
        {"activation": "relu"},
        {"shared": False},
        {"nested": False},
        {"inner_rate": 0.25},
        {"by_hand": False},
        {"mask": 2},
        {"constant": 0.25},
        {"constant": np.float32(0.5)},
        {"constant": np.full(3, 0.5, "float32")},
        {"as_list": True},
        {"key": "z"},
    ],
    ids=repr,
)
def test_what_decides_changes_it(changes: dict[str, Any]) -> None:
    assert written(**changes).fingerprint != written().fingerprint


def test_shape_dtype_and_absence_of_inputs_change_it() -> None:
    given: list[tuple[Any, dict[str, Any]]] = [
        ((4, 3), {}),
        ((4, 2), {}),
        ((None, 3), {}),
        (("n", 3), {}),
        ((4, 3), {"dtype": "int32"}),
        ((4, 3), {"optional": True}),
    ]
    starts = [jg.Input(shape, name="x", **options) for shape, options in given]
    gated = [Gate()(jg.Input((4, 3), name="g"), shift=0.0) for _ in starts]
    prints = {jg.Model([s, g.call.args[0]], g).fingerprint for s, g in zip(starts, gated, strict=True)}
    assert len(prints) == len(given)


@pytest.mark.parametrize(
    "rule", [{"trainable": False}, {"remat": True}, {"dtype": "bfloat16"}, {"param_dtype": "bfloat16"}], ids=repr
)
def test_treatments_change_it(rule: dict[str, Any]) -> None:
    model = written()
    assert model.with_policy(jg.Policy({"common": rule})).fingerprint != model.fingerprint


def test_which_argument_comes_first_changes_it() -> None:
    x, y = jg.Input((3,), name="x"), jg.Input((3,), name="y")
    prints = {
        jg.Model(i, o).fingerprint for i, o in (([x, y], x - y), ([x, y], y - x), ([y, x], x - y), ((x, y), x - y))
    }
    assert len(prints) == 4


def test_how_a_layer_got_its_name_and_what_the_model_is_called_do_not_matter() -> None:
    x = jg.Input((3,), name="x")
    first = jg.Model(x, L.Dense(3)(x))
    assert jg.Model(x, L.Dense(3, name="dense")(x), name="mine").fingerprint == first.fingerprint
    free = [jg.Input((None, 3)) for _ in range(2)]
    assert len({jg.Model(u, u * 2.0).fingerprint for u in free}) == 1


COPIES: dict[str, Callable[[jg.Model], jg.Model]] = {
    "json": lambda model: jg.Model.from_json(model.to_json(), allow=[Count, Gate]),
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("name", MODELS)
def test_copies_have_it_too(name: str) -> None:
    model = MODELS[name]()
    assert {how: again(model).fingerprint for how, again in COPIES.items()} == dict.fromkeys(COPIES, model.fingerprint)
    frozen = model.freeze("*")
    assert COPIES["json"](frozen).fingerprint == frozen.fingerprint


def test_it_is_the_same_in_another_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [make().fingerprint for make in MODELS.values()]


def test_what_no_file_could_say_has_none() -> None:
    x = jg.Input((3,))
    model = jg.Model(x, jg.op(lambda v: v * 2)(x))
    with pytest.raises(SaveError, match="Write it with def"):
        _ = model.fingerprint


def test_differences_are_said_by_path_on_both_sides() -> None:
    one = written()
    said = differences(one.to_json(), written(units=5, by_hand=False).to_json())
    assert said["common"] == ('{"units": 3}', '{"units": 5}')
    assert said["greater"][1] == "no node"
    assert set(said) == {"common", "greater", "global_average_pooling1d"}
    assert differences(one.to_json(), written(turned=True).to_json()) == {}
    frozen = differences(one.to_json(), one.freeze("common").to_json())
    assert list(frozen) == ["common"]
    assert "trainable" in frozen["common"][1]


def scaled(factor: Any) -> Callable[..., Any]:
    def scale(x: Any) -> Any:
        return x * factor

    return scale


def test_what_a_function_was_made_with_decides() -> None:
    x = jg.Input((3,), name="x")
    found = {jg.Model(x, jg.op(scaled(factor))(x)).fingerprint for factor in (2.0, 3.0, jnp.ones(3), 2.0)}
    assert len(found) == 3


def test_a_frozen_model_is_what_its_frozen_layers_are() -> None:
    inner = jg.Input((3,))
    body = jg.Model(inner, L.Dense(2, name="dense")(inner), name="body")
    x = jg.Input((3,), name="x")
    model = jg.Model(x, L.Dense(1, name="head")(body(x)))
    assert model.freeze("body").fingerprint == model.freeze("body/dense").fingerprint


def test_a_function_may_hold_itself_or_what_cannot_be_said() -> None:
    def power(x: Any, times: int = 2) -> Any:
        return x * power(x, times - 1) if times > 1 else x + 0 * len(held)

    held = [object()]
    x = jg.Input((3,), name="x")
    assert len(jg.Model(x, jg.op(power)(x)).fingerprint) == 64
