"""Inference: equal questions share one answer, which is the one that a fresh look gives; 1, 1.0 and True differ."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.infer import infer, typed


class Report(jg.Layer):
    """Its output's dtype follows the constant that it is configured with."""

    value: Any

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x * self.value, state


@pytest.mark.parametrize("order", [(1, 1.0, True), (True, 1, 1.0), (1.0, True, 1)], ids=str)
def test_1_and_1_0_and_true_are_different_constants(order: tuple) -> None:
    x = jg.Input((2,), dtype="int32")
    kinds = {bool: "int32", int: "int32", float: "float32"}
    for value in order:
        assert str(jg.op(jnp.multiply)(x, value).dtype) == kinds[type(value)]
        assert str(Report(value)(x).dtype) == kinds[type(value)]
        assert str(jg.op(lambda x, v: x * v[0])(x, [value]).dtype) == kinds[type(value)]


def test_keys_tell_types_apart_inside_containers_too() -> None:
    values = [
        1,
        1.0,
        True,
        (1,),
        (1.0,),
        (True,),
        [1],
        [1.0],
        {"a": 1},
        {"a": 1.0},
        slice(1),
        slice(1.0),
        slice(True),
        None,
    ]
    keys = [typed(v) for v in values]
    for i, a in enumerate(keys):
        for j, b in enumerate(keys):
            assert (a == b) == (i == j), (values[i], values[j])
            assert (hash(a) == hash(b)) or i != j


def test_equal_layers_on_equal_specs_share_the_answer_and_it_is_right() -> None:
    specs = [jax.ShapeDtypeStruct((4, 3), "float32"), jax.ShapeDtypeStruct((4, 5), "float32")]
    for spec in specs:
        one = infer(jg.layers.Dense(2), (spec,), {}, None)
        other = infer(jg.layers.Dense(2, name="other"), (spec,), {}, None)
        assert one is other
        assert one.params["kernel"].shape == (spec.shape[1], 2)
    assert infer(jg.layers.Dense(3), (specs[0],), {}, None) is not infer(jg.layers.Dense(2), (specs[0],), {}, None)


def test_an_unhashable_constant_or_field_is_inferred_without_the_memo() -> None:
    x = jg.Input((2,), dtype="int32")
    for value, kind in [(np.ones(2, np.int32), "int32"), (np.ones(2, np.float32), "float32")]:
        assert str((x * value).dtype) == kind
        assert str(Report(value)(x).dtype) == kind


def test_two_classes_of_one_name_are_two_questions() -> None:
    def of(factor: float) -> type[jg.Layer]:
        class Same(jg.Layer):
            def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
                return jnp.repeat(x, int(factor), axis=1), state

        return Same

    x = jg.Input((2,))
    assert [of(n)()(x).shape[1] for n in (1.0, 2.0, 3.0)] == [2, 4, 6]


def test_double_precision_is_another_question() -> None:
    x = jax.ShapeDtypeStruct((3,), "int32")
    total = jg.op(jnp.sum)
    with jax.enable_x64(True):
        assert str(infer(total, (x,), {}, None).outputs[0].dtype) == "int64"
    with jax.enable_x64(False):
        assert str(infer(total, (x,), {}, None).outputs[0].dtype) == "int32"


def test_what_was_inferred_is_what_apply_gives() -> None:
    x = jg.Input((6, 3))
    drawn = [
        jg.layers.Dense(2)(x),
        jg.layers.LSTM(4, return_state=True)(x),
        jg.layers.Flatten()(x),
        jg.op(jnp.argmax)(x, 1),
    ]
    model = jg.Model(x, drawn)
    outputs = jax.eval_shape(lambda: model.apply(*model.init(jax.random.key(0)), jnp.ones((5, 6, 3)))[0])
    for promised, given in zip(jax.tree.leaves(model.outputs), jax.tree.leaves(outputs), strict=True):
        assert (promised.shape[1:], promised.dtype) == (given.shape[1:], given.dtype)
