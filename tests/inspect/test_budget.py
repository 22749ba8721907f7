"""What a step needs: estimates beside the compiled program, and plans that really take less memory."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.core.costs import activations_of, costs_of
from jgraph.errors import ArgumentError, ShapeError
from jgraph.inspect.recompute import plans

L = jg.layers


def mlp(depth: int, width: int = 64, activation: str = "tanh") -> jg.Model:
    return jg.Sequential([jg.Input((width,)), *(L.Dense(width, activation=activation) for _ in range(depth))])


def trainer_of(model: jg.Model, optimizer: Any = None, **options: Any) -> jg.Trainer:
    return jg.Trainer(model, optimizer or optax.sgd(0.1), loss="mse", **options)


BUDGET = jg.inspect.budget(trainer_of(mlp(6), optax.adam(1e-3), ema=0.9), batch_size=256)


def test_what_is_held_is_what_the_program_is_given() -> None:
    params = 6 * (64 * 64 + 64) * 4
    assert BUDGET.params == params
    assert BUDGET.optimizer == 2 * params + 4
    assert BUDGET.averages == params + 0
    assert BUDGET.batch == 2 * 256 * 64 * 4
    assert BUDGET.arguments == pytest.approx(BUDGET.compiled.arguments, abs=16)


def test_what_comes_and_goes_is_near_what_xla_reserves() -> None:
    assert BUDGET.activations == 6 * 256 * 64 * 4
    assert BUDGET.gradient == (64 * 64 + 64) * 4
    assert BUDGET.temporaries == pytest.approx(BUDGET.compiled.temporaries + BUDGET.compiled.outputs, rel=0.35)
    assert BUDGET.memory == pytest.approx(BUDGET.compiled.peak_memory, rel=0.25)


def test_operations_are_those_that_xla_counts() -> None:
    assert BUDGET.forward == 6 * 256 * (2 * 64 * 64 + 2 * 64)
    assert 2.8 * BUDGET.forward < BUDGET.training < 3 * BUDGET.forward
    assert BUDGET.step == pytest.approx(BUDGET.compiled.flops, rel=0.05)


def test_it_prints_both_and_their_ratio() -> None:
    lines = {line.strip().split("  ")[0]: line for line in str(BUDGET).splitlines()}
    for name in ("params", "optimizer state", "averages of params", "batch", "activations", "a layer's gradient"):
        assert name in lines
    for name in ("held", "in between", "memory", "operations"):
        assert float(lines[name].split()[-1]) == pytest.approx(1, abs=0.4)
    assert "model state" not in lines
    assert repr(BUDGET).startswith("Budget(batch of 256, ")
    assert str(BUDGET).startswith("One step on a batch of 256\n")


def test_loops_are_said_as_xla_counts_their_bodies_once() -> None:
    model = jg.Sequential([jg.Input((6, 4)), L.LSTM(5), L.Dense(2)])
    found = jg.inspect.budget(trainer_of(model), batch_size=8)
    assert "loops, whose bodies XLA counts once" in str(found)
    assert found.step > found.compiled.flops


def test_a_batch_says_the_free_axes_and_parts_are_in_memory_one_by_one() -> None:
    text = jg.Input(("steps", 4))
    model = jg.Model(text, L.Dense(2)(L.LSTM(5)(text)))
    batch = [(jax.ShapeDtypeStruct((8, steps, 4), jnp.float32), np.zeros((8, 2), "float32")) for steps in (6, 12)]
    short, long = (jg.inspect.budget(trainer_of(model), given) for given in batch)
    assert 1.8 * short.activations < long.activations < 2.1 * short.activations
    whole, parts = (jg.inspect.budget(trainer_of(mlp(3), accumulate=k), batch_size=32) for k in (1, 4))
    assert parts.activations * 4 == whole.activations
    assert parts.forward == whole.forward
    with pytest.raises(ShapeError, match="without free axes"):
        jg.inspect.budget(trainer_of(model), batch_size=8)


def temporaries(trainer: jg.Trainer, like: Any) -> int:
    """What the compiled step needs in between, where XLA on a CPU does not undo what is computed again."""
    batch = jax.eval_shape(like.binding.cast, like.batch)
    step: Any = jax.jit(trainer.step_function.logged, donate_argnums=0).lower(trainer.template, batch)
    options = {"xla_disable_hlo_passes": "cse_barrier_expander"}
    return step.compile(compiler_options=options).memory_analysis().temp_size_in_bytes


def test_a_plan_takes_the_memory_that_it_says() -> None:
    model, share = mlp(12), 0.75
    trainer = trainer_of(model)
    whole = jg.inspect.budget(trainer, batch_size=1024)
    plan = jg.inspect.budget(trainer, batch_size=1024, limit=share * whole.memory).plan
    assert plan is not None
    assert len(plan.blocks) >= 1
    assert whole.memory - whole.activations + plan.activations <= share * whole.memory
    again = dataclasses.replace(trainer, model=model.with_policy(plan.policy))
    less = temporaries(again, whole.compiled)
    assert less < 0.85 * temporaries(trainer, whole.compiled)
    assert less == pytest.approx(plan.activations + whole.gradient, rel=0.4)


def test_a_plan_computes_again_no_more_than_it_must() -> None:
    trainer = trainer_of(mlp(16))
    whole = jg.inspect.budget(trainer, batch_size=512)
    plans = [
        jg.inspect.budget(trainer, batch_size=512, limit=share * whole.memory).plan for share in (1.0, 0.9, 0.8, 0.7)
    ]
    operations = [plan.operations for plan in plans if plan is not None]
    assert operations[0] == 0
    assert sorted(operations) == operations
    assert len(set(operations)) == 4
    assert str(plans[0]) == "Nothing needs to be computed again."
    assert "Computed again, for" in str(plans[-1])


def test_what_is_called_twice_or_has_a_block_already_is_left_as_it_is() -> None:
    x = jg.Input((64,))
    shared = L.Dense(64, activation="tanh", name="shared")
    h = shared(shared(x))
    for i in range(8):
        h = L.Dense(64, activation="tanh", name=f"d{i}")(h)
    model = jg.Model(x, h).with_policy(jg.Policy({"d0": {"remat": True}}))
    whole = jg.inspect.budget(trainer_of(model), batch_size=512)
    plan = jg.inspect.budget(trainer_of(model), batch_size=512, limit=whole.memory - 1).plan
    assert plan is not None
    assert not {"shared", "d0"} & {path for block in plan.blocks for path in block}
    model.with_policy(plan.policy)


def test_a_nested_model_stays_whole() -> None:
    def inner(name: str) -> jg.Model:
        i = jg.Input((32,))
        return jg.Model(i, L.Dense(32, activation="gelu")(L.Dense(128, activation="gelu")(i)), name=name)

    h = x = jg.Input((32,))
    for name in "abcd":
        h = inner(name)(h)
    model = jg.Model(x, L.Dense(32)(h))
    whole = jg.inspect.budget(trainer_of(model), batch_size=512)
    plan = jg.inspect.budget(trainer_of(model), batch_size=512, limit=0.7 * whole.memory).plan
    assert plan is not None
    assert {"a", "b"} <= {*plan.policy.rules} <= {"a", "b", "c", "d", "dense"}
    assert all(node.treatment.remat for node in model.with_policy(plan.policy).nodes[1:7])


@pytest.mark.parametrize("fixed", [False, True])
def test_the_activations_of_every_plan_are_those_of_the_model_that_follows_it(fixed: bool) -> None:
    h = x = jg.Input((8,))
    for k in range(4):
        i = jg.Input((8,))
        inner = jg.Model(i, L.Dense(8, activation="tanh")(L.Dense(5 + k, activation="relu")(i)), name=f"inner{k}")
        h = L.add([L.Dropout(0.5)(h), inner(h)]) if k % 2 else inner(L.Dense(8)(h))
    model = jg.Model(x, {"a": L.Dense(2)(h), "b": h})
    if fixed:
        model = model.with_policy(jg.Policy({"inner2": {"remat": True}}))
    found = list(plans(model, costs_of(model.nodes, 64)))
    assert len({plan.blocks for plan in found}) == len(found) > 5
    plain = activations_of(model.nodes, costs_of(model.nodes, 64), model.graph.outputs)
    for plan in found:
        again = model.with_policy(plan.policy)
        kept = activations_of(again.nodes, costs_of(again.nodes, 64), again.graph.outputs)
        inside = [
            [p for p, n in enumerate(model.nodes) if n.path in b or n.path.split("/")[0] in b] for b in plan.blocks
        ]
        assert plan.activations == sum(kept) + max((sum(plain[p] for p in block) for block in inside), default=0)


def test_a_nested_model_that_is_read_from_inside_is_left_as_it_is() -> None:
    """Where the reader comes before the nested model is closed; where it comes after, the model is a block."""

    def tower() -> tuple[Any, jg.Model]:
        i, x = jg.Input((32,)), jg.Input((32,), name="x")
        inner = jg.Model(i, L.Dense(32, name="b")(L.Dense(64, activation="gelu", name="a")(i)), name="tower")
        h = L.Dense(32, activation="tanh", name="start")(x)
        return x, jg.Model(x, L.Dense(32, activation="gelu", name="end")(inner(h)))

    for first, whole in (("atap", False), ("ztap", True)):
        x, base = tower()
        model = jg.Model(x, {"m": base.outputs, first: L.Dense(1, name="tap")(base.output_of("tower/a"))})
        trainer = jg.Trainer(model, optax.sgd(0.1), loss={"m": "mse", first: "mse"})
        assert jg.inspect.budget(trainer, batch_size=512, limit=1e9).plan is not None
        every = list(plans(model, costs_of(model.nodes, 512)))
        assert any("tower" in block for found in every for block in found.blocks) is whole
        for found in every:
            model.with_policy(found.policy)


def test_nodes_between_those_of_a_nested_model_are_computed_before_it() -> None:
    """`second` stands between `a` and `b`, reads what was before, and is called twice, so that it is in no block."""
    x, i, j = jg.Input((8,)), jg.Input((8,)), jg.Input((8,))
    inner = jg.Model([i, j], L.add([L.Dense(8, name="a")(i), L.Dense(8, name="b")(j)]), name="inner")
    first, second = L.Dense(8, activation="tanh", name="first")(x), L.Dense(8, activation="tanh", name="second")
    model = jg.Model(x, L.Dense(8)(second(L.Dense(8)(inner([first, second(first)])))))
    for plan in plans(model, costs_of(model.nodes, 64)):
        model.with_policy(plan.policy)


def test_a_limit_that_cannot_be_reached_says_the_least() -> None:
    trainer = trainer_of(mlp(8))
    with pytest.raises(ArgumentError, match=r"budget, limit: expected at least .* \(([\d,]+) bytes\).*fewer rows") as e:
        jg.inspect.budget(trainer, batch_size=512, limit=1000)
    least = int(str(e.value).split("(")[1].split(" bytes")[0].replace(",", ""))
    assert jg.inspect.budget(trainer, batch_size=512, limit=least).plan is not None


@pytest.mark.parametrize("limit", [0, -1, True, "8 GiB", float("nan")])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(ArgumentError, match="budget, limit: expected a number above 0"):
        jg.inspect.budget(trainer_of(mlp(1)), batch_size=8, limit=limit)


def test_what_is_no_trainer_or_no_batch_is_refused() -> None:
    with pytest.raises(ArgumentError, match="budget, trainer: expected a jg\\.Trainer"):
        jg.inspect.budget(mlp(1), batch_size=8)
    with pytest.raises(ArgumentError, match=r"lower: expected a batch .*got neither"):
        jg.inspect.budget(trainer_of(mlp(1)))
