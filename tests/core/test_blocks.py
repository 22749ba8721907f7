"""What is computed again for the gradient: the same gradients, fewer arrays kept, and blocks that cannot be one."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.blocks import blocks_of
from jgraph.core.run import run
from jgraph.errors import ArgumentError, GraphError

L = jg.layers
TOLERANCE = 1e-6  # a block is compiled as one program, which rounds otherwise where operations are fused


def net() -> jg.Model:
    """A nested model with dropout and batch statistics, called twice, and a layer that is shared with the outside."""
    x, i = jg.Input((4,), name="x"), jg.Input((5,))
    shared = L.Dense(5, activation="tanh", name="shared")
    hidden = L.Dropout(0.3, name="drop")(L.Dense(6, activation="gelu", name="wide")(shared(i)))
    block = jg.Model(i, L.BatchNormalization(name="norm")(L.Dense(5, activation="tanh", name="back")(hidden)))
    block = _named(block, "block")
    first = shared(L.Dense(5, name="stem")(x))
    second = block(block(first))
    return jg.Model(x, L.Dense(3, name="head")(L.Add(name="sum")([shared(second), second])))


def _named(model: jg.Model, name: str) -> jg.Model:
    return jg.Model(model.inputs, model.outputs, name=name)


def run_of(model: jg.Model) -> Any:
    params, state = jax.tree.map(_filled, (model.params_spec, model.state_spec))
    rows = jax.random.normal(jax.random.key(1), (8, 4))

    def loss(params: Any) -> tuple[Any, Any]:
        outputs, after = model.apply(params, state, rows, train=True, key=jax.random.key(2))
        return jnp.sum(jnp.sin(outputs)), (outputs, after)

    return loss, params


def _filled(spec: Any) -> Any:
    return jnp.linspace(0.5, 1.0, math.prod(spec.shape)).reshape(spec.shape)


def primitives(jaxpr: Any) -> Iterator[str]:
    """The names of all primitives of a program."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            yield from primitives(inner) if hasattr(inner, "eqns") else ()


def remats(model: jg.Model) -> int:
    loss, params = run_of(model)
    return sum(name in ("remat", "checkpoint", "remat2") for name in primitives(jax.make_jaxpr(loss)(params).jaxpr))


def kept(model: jg.Model) -> int:
    """How many numbers are kept for the gradient."""
    loss, params = run_of(model)
    return sum(leaf.size for leaf in residuals(lambda p: loss(p)[0], params))


def residuals(function: Any, params: Any) -> list[Any]:
    """The specs of the arrays that the function's gradient keeps."""
    return jax.tree.leaves(jax.eval_shape(lambda p: jax.vjp(function, p)[1], params))


@pytest.mark.parametrize(("pattern", "programs"), [("block", 2), ("block/*", 8), ("*shared", 4), ("*", 7)])
def test_what_is_marked_is_computed_again_and_less_is_kept(pattern: str, programs: int) -> None:
    plain = net()
    model = plain.with_policy(jg.Policy({pattern: {"remat": True}}))
    assert remats(plain) == 0
    assert remats(model) == programs
    assert kept(model) < kept(plain)


def test_losses_outputs_states_and_gradients_stay() -> None:
    """Dropout and batch statistics in a block that is called twice, a layer shared between it and the outside."""
    plain = net()
    found = []
    for model in (plain, plain.with_policy(jg.Policy({"block": {"remat": True}, "head": {"remat": True}}))):
        loss, params = run_of(model)
        found.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE), *found)


def test_only_what_a_block_reads_is_kept() -> None:
    plain = net()
    sizes = {n: kept(plain.with_policy(jg.Policy({n: {"remat": True}}))) for n in ("block", "block/*")}
    assert sizes["block"] < sizes["block/*"] < kept(plain)
    x = jg.Input((4,))
    y, i = L.Dense(4, name="first")(x), jg.Input((4,))
    inner = i
    for number in range(6):
        inner = L.Dense(4, activation="tanh", name=f"d{number}")(inner)
    deep = jg.Model(x, jg.Model(i, inner, name="deep")(y))
    rows = jnp.ones((64, 4))
    params, state = deep.init(jax.random.key(0))
    block = deep.with_policy(jg.Policy({"deep": {"remat": True}}))
    counts = []
    for model in (deep, block):
        found = residuals(lambda p, m=model: m.apply(p, state, rows)[0], params)
        counts.append(sum(leaf.shape == (64, 4) for leaf in found))
    assert counts[0] >= 8  # the rows, and what goes into each layer
    assert counts[1] == 2  # the rows, and what goes into the block


def test_dropout_and_state_in_a_block_are_the_same_bits() -> None:
    x, i = jg.Input((16,), name="x"), jg.Input((16,))
    block = jg.Model(i, L.BatchNormalization(name="norm")(L.Dropout(0.5, name="drop")(i)), name="block")
    model = jg.Model(x, block(block(x)))
    again = model.with_policy(jg.Policy({"block": {"remat": True}}))
    params, state = model.init(jax.random.key(0))
    rows = jax.random.normal(jax.random.key(1), (8, 16))
    for m in (model, again):
        assert [len(b) for b in blocks_of(m.nodes)] == ([1, 3, 3] if m is again else [1] * 7)
    a, b = (
        jax.jit(lambda m=m: m.apply(params, state, rows, train=True, key=jax.random.key(2)))() for m in (model, again)
    )
    np.testing.assert_array_equal(a[0] == 0, b[0] == 0)
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=TOLERANCE, atol=TOLERANCE), a, b)
    dropped = jg.Model(model.inputs, model.output_of("block/drop", call=0))
    same = jg.Model(again.inputs, again.output_of("block/drop", call=0))
    u, v = (m.apply({}, {}, rows, train=True, key=jax.random.key(2))[0] for m in (dropped, same))
    np.testing.assert_array_equal(u, v)


class Costly(jg.Layer):
    """It costs the sum of what it gives."""

    def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
        """A third of the sum of squares."""
        return jnp.sum(outputs**2) / 3

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        """As it is."""
        return jnp.sin(x), state


def test_penalties_in_a_block_are_added_in_the_same_order() -> None:
    x, i = jg.Input((4,), name="x"), jg.Input((4,))
    block = jg.Model(i, Costly()(Costly()(i)), name="block")
    plain = jg.Model(x, Costly()(block(Costly()(x))))
    rows = jax.random.normal(jax.random.key(1), (8, 4))
    a, b = (
        float(run(m.nodes, {0: rows}, {}, {}, True, None)[2])
        for m in (plain, plain.with_policy(jg.Policy({"block": {"remat": True}})))
    )
    assert a == b > 0


def test_blocks_within_blocks_are_one() -> None:
    x, i, j = jg.Input((4,)), jg.Input((4,)), jg.Input((4,))
    inner = jg.Model(j, L.Dense(4, activation="tanh", name="dense")(j), name="inner")
    model = jg.Model(x, jg.Model(i, L.Dense(4, name="last")(inner(i)), name="outer")(x))
    both = model.with_policy(jg.Policy({"outer": {"remat": True}, "outer/inner": {"remat": True}}))
    assert [len(block) for block in blocks_of(both.nodes)] == [1, 4]
    alone = model.with_policy(jg.Policy({"outer/inner": {"remat": True}}))
    assert [len(block) for block in blocks_of(alone.nodes)] == [1, 2, 1, 1]


# Blocks that cannot be one


def peeking(early: bool) -> jg.Model:
    model = net()
    side, end = L.Dense(5, name="side")(model.output_of("block/wide", call=0)), model.output_of("block", call=0)
    return jg.Model(model.inputs, L.Add(name="join")([side, end] if early else [end, side]))


def test_what_reads_inside_of_a_block_before_its_end_is_named() -> None:
    policy = jg.Policy({"block": {"remat": True}})
    with pytest.raises(
        GraphError, match=r"'block' as one block: .* got 'side', .*Give the rule .*: 'block/\*'"
    ) as caught:
        peeking(early=True).with_policy(policy)
    assert "only when the block is done" in str(caught.value)
    later = peeking(early=False)
    params, state = later.init(jax.random.key(0))
    rows = jax.random.normal(jax.random.key(1), (8, 4))
    a, b = (m.apply(params, state, rows)[0] for m in (later, later.with_policy(policy)))
    np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)


def test_it_is_refused_when_it_is_drawn() -> None:
    model = net().with_policy(jg.Policy({"block": {"remat": True}}))
    side = L.Dense(5, name="side")(model.output_of("block/wide", call=0))
    with pytest.raises(GraphError, match="as one block"):
        jg.Model(model.inputs, L.Add()([side, model.output_of("block", call=0)]))


def test_a_state_that_changes_while_a_block_is_under_way() -> None:
    x, z, i, j = (jg.Input((4,), name=name) for name in ("x", "z", "i", "j"))
    norm = L.BatchNormalization(name="norm")
    block = jg.Model([i, j], L.Add(name="sum")([norm(i), j]), name="block")
    model = jg.Model([x, z], block([x, norm(z)]))
    with pytest.raises(GraphError, match=r"'block' as one block: .* got 'block/norm', which does so before"):
        model.with_policy(jg.Policy({"block": {"remat": True}}))
    before = jg.Model([x, z], block([norm(z), x])).with_policy(jg.Policy({"block": {"remat": True}}))
    params, state = before.init(jax.random.key(0))
    rows = list(jax.random.normal(jax.random.key(1), (2, 8, 4)))
    plain = before.with_policy(jg.Policy({"block": {"remat": False}}))
    a, b = (jax.jit(lambda m=m: m.apply(params, state, rows, train=True)[1])() for m in (before, plain))
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=TOLERANCE), a, b)


def test_many_blocks_are_found_in_linear_time() -> None:
    x, i = jg.Input((2,)), jg.Input((2,))
    block = jg.Model(i, L.BatchNormalization()(abs(i)), name="block")
    y = x
    for _ in range(150):
        y = block(y)
    model = jg.Model(x, y).with_policy(jg.Policy({"block": {"remat": True}}))
    assert [len(b) for b in blocks_of(model.nodes)] == [1] + [3] * 150


def stack(depth: int) -> jg.Model:
    return jg.Sequential([jg.Input((4,)), *(L.Dense(4, activation="tanh") for _ in range(depth))])


def test_nodes_with_one_text_are_one_block_with_the_same_gradients() -> None:
    model = stack(6)
    halves = {"dense": "first", "dense_1": "first", "dense_2": "first", "dense_3": "second", "dense_4": "second"}
    named = model.with_policy(jg.Policy({path: {"remat": text} for path, text in halves.items()}))
    assert blocks_of(named.nodes) == [(0,), (1, 2, 3), (4, 5), (6,)]
    (plain, params), (again, _) = run_of(model), run_of(named)
    want, got = (jax.grad(f, has_aux=True)(params)[0] for f in (plain, again))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE), want, got)
    assert [*primitives(jax.make_jaxpr(jax.grad(again, has_aux=True))(params).jaxpr)].count("remat2") == 2


def test_a_text_for_a_nested_model_is_one_for_its_nodes_and_each_call_is_a_block() -> None:
    x, i = jg.Input((4,)), jg.Input((4,))
    inner = jg.Model(i, L.Dense(4, name="b")(L.Dense(4, name="a")(i)), name="inner")
    model = jg.Model(x, L.Dense(4, name="end")(inner(inner(x))))
    named = model.with_policy(jg.Policy({"inner": {"remat": "both"}}))
    assert blocks_of(named.nodes) == [(0,), (1, 2, 3), (4, 5, 6), (7,)]
    once = jg.Model(x, L.Dense(4, name="end")(inner(L.Dense(4, name="start")(x))))
    named = once.with_policy(jg.Policy({"inner": {"remat": "rest"}, "end": {"remat": "rest"}}))
    assert blocks_of(named.nodes) == [(0,), (1,), (2, 3, 4, 5)]


def test_a_text_travels_with_the_model() -> None:
    model = stack(2).with_policy(jg.Policy({"dense": {"remat": "start"}}))
    again = jg.Model.from_json(model.to_json())
    assert [node.treatment.remat for node in again.nodes] == [False, "start", False]
    assert again.fingerprint == model.fingerprint != stack(2).fingerprint
    assert "remat start" in model.summary()
    assert " start " in str(jg.Policy({"dense": {"remat": "start"}}).plan(model))


def test_nodes_that_others_read_between_are_no_block() -> None:
    rules = {"dense": {"remat": "odd"}, "dense_2": {"remat": "odd"}}
    with pytest.raises(GraphError, match="Choose nodes that follow each other"):
        stack(3).with_policy(jg.Policy(rules))


@pytest.mark.parametrize("value", ["", 1, None])
def test_a_remat_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ArgumentError, match="True or False, or a text that names a block"):
        jg.Policy({"dense": {"remat": value}})
