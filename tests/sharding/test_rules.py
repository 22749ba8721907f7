"""Plans as values: what they say, how they are combined, and what is none."""

import re
from typing import Any

import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, JGraphError, PathError, ShapeError
from jgraph.sharding.resolve import Param, specs_of

S: Any = jg.sharding
SIZES = {"data": 4, "model": 2}
PARAMS = {
    "block/up/kernel": Param((16, 64), ("features", "units")),
    "block/up/bias": Param((64,), ("units",)),
    "block/down/kernel": Param((64, 24), ("features", "units")),
    "head/kernel": Param((24, 6), ("features", "units")),
    "scale": Param((), ()),
}


def places(plan: Any) -> dict[str, tuple]:
    return {path: tuple(spec) for path, spec in specs_of(PARAMS, plan, SIZES).items()}


def test_rows_alone_leave_params_whole() -> None:
    assert set(places(S.data_parallel("data")).values()) == {()}
    assert S.data_parallel().rows == ("data",)
    assert S.data_parallel("data", "model").rows == ("data", "model")


def test_what_is_spread_is_split_along_the_largest_dimension_that_can_be_shared() -> None:
    found = places(S.fsdp("data", smallest=0))
    assert found["block/up/kernel"] == (None, "data")
    assert found["block/down/kernel"] == ("data",)
    assert found["head/kernel"] == ("data",)  # 6 is no multiple of 4
    assert found["scale"] == ()
    assert places(S.fsdp("data", smallest=65))["block/up/bias"] == ()
    both = places(S.fsdp("data", "model", smallest=0))
    assert both["block/up/kernel"] == (None, ("data", "model"))
    assert both["head/kernel"] == (("data", "model"),)


def test_a_rule_is_for_a_param_a_layer_or_a_nested_model() -> None:
    found = places(S.tensor_parallel({"block/up": {"units": "model"}, "*/down/kernel": ("model", None)}))
    assert found == {
        "block/up/kernel": (None, "model"),
        "block/up/bias": ("model",),
        "block/down/kernel": ("model",),
        "head/kernel": (),
        "scale": (),
    }
    found = places(S.tensor_parallel({"block": {"units": ("model", "data")}}))
    assert found["block/down/kernel"] == (None, ("model", "data"))


def test_what_rules_leave_is_spread() -> None:
    plan = S.combine(S.fsdp("data", smallest=0), S.tensor_parallel({"block/up": {"units": "model"}}))
    found = places(plan)
    assert found["block/up/kernel"] == (None, ("model", "data"))  # 32 a device, and 16 features
    assert found["block/up/bias"] == (("model", "data"),)
    assert plan.rows == ("data",)
    assert plan.smallest == 0


@pytest.mark.parametrize(
    ("plan", "error", "words"),
    [
        (
            S.tensor_parallel({"blok/*": {"units": "model"}}),
            PathError,
            "one that matches none.*Known: 'block/up/kernel'",
        ),
        (S.tensor_parallel({"head": {"filters": "model"}}), ArgumentError, "dimensions among 'features', 'units'"),
        (S.tensor_parallel({"block/up": (None, "model")}), ArgumentError, "1 entries for 'block/up/bias'"),
        (S.tensor_parallel({"head": {"units": "data"}}), ShapeError, r"4 devices \(data=4\).*got 6.*4 or 8"),
        (
            S.tensor_parallel({"head": {"units": "model"}, "head/*": {"units": ()}}),
            ArgumentError,
            "'head' and .* of the rule 'head/\\*'",
        ),
        (S.tensor_parallel({"head": {"units": "model", "features": "model"}}), ArgumentError, "one dimension alone"),
    ],
    ids=["no match", "no such dimension", "another rank", "indivisible", "two rules", "one axis twice"],
)
def test_a_rule_that_does_not_fit(plan: Any, error: type[JGraphError], words: str) -> None:
    with pytest.raises(error) as found:
        places(plan)
    assert re.search(words, str(found.value).replace("\n", " ")), str(found.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: S.data_parallel(1),
        lambda: S.data_parallel("data", "data"),
        lambda: S.fsdp("data", smallest=-1),
        lambda: S.fsdp("data", smallest=True),
        lambda: S.tensor_parallel([("up", "model")]),
        lambda: S.tensor_parallel({"up": "model"}),
        lambda: S.tensor_parallel({"up": {}}),
        lambda: S.tensor_parallel({"up": {"units": 1}}),
        lambda: S.tensor_parallel({"up": ("model", "model")}),
        lambda: S.tensor_parallel({1: ("model",)}),
        lambda: S.tensor_parallel({}, outputs={"up": {"units": "model"}}),
        lambda: S.combine(S.fsdp("data"), "model"),
        lambda: S.combine(S.tensor_parallel({"up": ("a",)}), S.tensor_parallel({"up": ("b",)})),
    ],
)
def test_what_is_no_plan_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ArgumentError):
        make()
