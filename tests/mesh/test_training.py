"""On a mesh everything is as on one device: losses, gradients, statistics, whole runs, predictions, checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, PathError, ShapeError
from jgraph.train.layout import named_params
from jgraph.tree import leaves_with_names
from tests.mesh.drawings import CASES, Case, dense
from tests.test_readme import run_page

S = jg.sharding
MESH = jax.make_mesh((4, 2), ("data", "model"))

plans = pytest.mark.parametrize("plan", ["data_parallel", "fsdp", "tensor_parallel", "combined"])


def plan_of(name: str, case: Case) -> Any:
    spread, ruled = S.fsdp("data", smallest=16), S.tensor_parallel(case.rules)
    return {
        "data_parallel": S.data_parallel("data"),
        "fsdp": spread,
        "tensor_parallel": ruled,
        "combined": S.combine(spread, ruled),
    }[name]


def near(found: Any, want: Any, scale: float = 1e-5) -> None:
    """Equal to rounding, as seen from the largest number of each leaf."""
    for (name, a), (_, b) in zip(leaves_with_names(found), leaves_with_names(want), strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        assert np.abs(a - b).max(initial=0) <= scale * max(1e-2, np.abs(b).max(initial=0)), name


@plans
@pytest.mark.parametrize("draw", CASES, ids=lambda draw: draw.__name__)
def test_a_step_is_that_of_one_device(draw: Callable[[], Case], plan: str) -> None:
    """With plain gradient descent at a rate of 1 the update is the gradient."""
    case = draw()
    alone = jg.Trainer(case.model, optax.sgd(1.0), loss=case.loss)
    state = alone.init(jax.random.key(0))
    want, logs = alone.step(state, case.data)
    trainer = jg.Trainer(case.model, optax.sgd(1.0), loss=case.loss, mesh=MESH, sharding=plan_of(plan, case))
    begun = trainer.init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, begun.params, state.params)
    found, own = trainer.step(begun, case.data)
    near({name: own[name] for name in logs}, logs)
    updates = [jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), s.params, state.params) for s in (found, want)]
    near(*updates)
    near(found.model_state, want.model_state)


@plans
def test_a_run_is_that_of_one_device_and_compiles_no_more(plan: str) -> None:
    case = dense()
    data, runs = case.data, []
    for where in ({}, {"mesh": MESH, "sharding": plan_of(plan, case)}):
        trainer = jg.Trainer(
            case.model, optax.adam, learning_rate=1e-2, loss=case.loss, metrics="accuracy", ema=0.9, **where
        )
        run = trainer.fit(data, epochs=3, batch_size=8, validation_split=0.25, progress=False)
        runs.append((trainer, run, trainer.predict(run.train_state, data[0]), trainer.evaluate(run.train_state, data)))
    (_, alone, want, logs), (trainer, run, found, own) = runs
    near(run.history, alone.history, 1e-4)
    near((run.train_state.params, run.train_state.ema), (alone.train_state.params, alone.train_state.ema), 1e-4)
    near((found, own), (want, logs), 1e-4)
    compiled = [[event for event in each.events if "compiled" in event] for each in (run, alone)]
    assert compiled[0] == compiled[1]
    assert dict(leaves_with_names(run.train_state))["params/up/kernel"].sharding.is_equivalent_to(
        trainer.layout.at(trainer.layout.params["up/kernel"]), 2
    )


def test_moments_and_averages_lie_as_their_params() -> None:
    case = dense()
    trainer = jg.Trainer(
        case.model, optax.adam(1e-3), case.loss, ema=0.9, mesh=MESH, sharding=S.fsdp("data", smallest=0)
    )
    leaves = dict(leaves_with_names(trainer.init(jax.random.key(0))))
    parts = {name: leaf.addressable_shards[0].data.shape for name, leaf in leaves.items()}
    for name in ("params/up/kernel", "opt_state/0/mu/up/kernel", "opt_state/0/nu/up/kernel", "ema/up/kernel"):
        assert parts[name] == (16, 16), name
    assert parts["model_state/norm/moving_mean"] == (64,)


def test_a_batch_that_the_devices_cannot_share_is_whole_on_each() -> None:
    """The last batch of an epoch, of what mixes rows, has a size of its own."""
    case = dense()
    rows = jax.tree.map(lambda a: a[:30], case.data)
    runs = [
        jg.Trainer(case.model, optax.sgd(0.1), case.loss, **where).fit(rows, epochs=1, batch_size=8, progress=False)
        for where in ({}, {"mesh": MESH, "sharding": S.data_parallel("data")})
    ]
    near(runs[1].train_state.params, runs[0].train_state.params, 1e-4)


def test_batches_of_an_iterable_and_rows_on_the_host() -> None:
    case = dense()
    batches = [jax.tree.map(lambda a, n=n: a[n : n + 8], case.data) for n in range(0, 32, 8)]
    where = {"mesh": MESH, "sharding": S.fsdp("data", smallest=16)}
    runs = [
        jg.Trainer(case.model, optax.sgd(0.1), case.loss, **place).fit(data, epochs=2, progress=False, **options)
        for place, data, options in [
            ({}, case.data, {"batch_size": 8, "shuffle": False}),
            (where, batches, {}),
            (where, case.data, {"batch_size": 8, "shuffle": False, "data_on_device": False}),
        ]
    ]
    near(runs[1].train_state.params, runs[0].train_state.params, 1e-4)
    near(runs[2].train_state.params, runs[0].train_state.params, 1e-4)


@pytest.mark.parametrize(("before", "after"), [((8, 1), (1, 1)), ((1, 1), (4, 2)), ((4, 2), (2, 4))], ids=str)
def test_a_checkpoint_goes_on_with_other_devices(tmp_path: Path, before: tuple, after: tuple) -> None:
    case = dense()

    def trainer(shape: tuple[int, int]) -> jg.Trainer:
        mesh = jax.make_mesh(shape, ("data", "model"))
        plan = S.combine(S.fsdp("data", smallest=16), S.tensor_parallel(case.rules))
        return jg.Trainer(case.model, optax.adam(1e-2), case.loss, mesh=mesh, sharding=plan)

    def fit(shape: tuple[int, int], epochs: int, directory: Path, **options: Any) -> jg.Run:
        saving = [jg.callbacks.Checkpoint(directory)]
        return trainer(shape).fit(case.data, epochs=epochs, batch_size=8, callbacks=saving, progress=False, **options)

    first = fit(before, 2, tmp_path / "a")
    seen: list[Any] = []
    look = jg.callbacks.on_epoch_begin(lambda event: seen.append(jax.tree.map(np.array, event.train_state.params)))
    saving = jg.callbacks.Checkpoint(tmp_path / "a")
    run = trainer(after).fit(
        case.data, epochs=4, batch_size=8, callbacks=[saving, look], progress=False, resume=tmp_path / "a"
    )
    jax.tree.map(np.testing.assert_array_equal, seen[0], jax.tree.map(np.array, first.train_state.params))
    near(run.history, fit(before, 4, tmp_path / "b").history, 1e-4)


def test_a_run_that_goes_on_with_the_same_devices_has_the_same_bits(tmp_path: Path) -> None:
    case = dense()
    plan = S.combine(S.fsdp("data", smallest=16), S.tensor_parallel(case.rules))
    trainer = jg.Trainer(case.model, optax.adam(1e-2), case.loss, mesh=MESH, sharding=plan)

    def fit(epochs: int, directory: Path, **options: Any) -> jg.Run:
        saving = [jg.callbacks.Checkpoint(directory)]
        return trainer.fit(case.data, epochs=epochs, batch_size=8, callbacks=saving, progress=False, **options)

    whole = fit(4, tmp_path / "whole")
    fit(2, tmp_path / "parts")
    rest = fit(4, tmp_path / "parts", resume=tmp_path / "parts")
    assert rest.history == whole.history
    for a, b in zip(jax.tree.leaves(rest.train_state.params), jax.tree.leaves(whole.train_state.params), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.sharding == b.sharding


def test_the_page_on_many_devices(tmp_path: Path) -> None:
    outcome = run_page(Path(__file__).parents[2] / "docs/scale.md", tmp_path)
    assert "data=8, model=1" in outcome.printed
    assert "all-gather over 8" in outcome.printed


def test_a_plan_says_what_each_device_gets() -> None:
    case = dense()
    trainer = jg.Trainer(case.model, optax.adam(1e-3), case.loss, mesh=MESH, sharding=plan_of("combined", case))
    plan = trainer.plan(batch_size=32)
    leaves = {leaf.name: leaf for leaf in plan.leaves}
    assert leaves["params/up/kernel"].dims == "features 16, units 64"
    assert leaves["params/up/kernel"].size == 16 * 64 * 4
    assert leaves["params/up/kernel"].per_device == 16 * 64 * 4 // 8
    state = trainer.init(jax.random.key(0))
    held = [
        shard.data.nbytes
        for leaf in jax.tree.leaves((state.params, state.opt_state))
        for shard in leaf.addressable_shards[:1]
    ]
    told = [leaf.per_device for leaf in plan.leaves if leaf.name.startswith(("params/", "opt_state/"))]
    assert sum(held) == sum(told)
    text = str(plan)
    assert "data=4, model=2" in text
    assert "all-gather over 4" in text
    assert "peak memory" in text


def params_bytes(case: Case) -> int:
    return sum(4 * int(np.prod(param.shape)) for param in named_params(case.model).values())


def test_data_parallel_sends_what_it_must() -> None:
    """`2 (n - 1) / n` of the gradients, and some sums: loss, counts, statistics of the norm forward and backward."""
    case = dense()
    plan = jg.Trainer(case.model, optax.sgd(0.1), case.loss, mesh=MESH, sharding=S.data_parallel("data")).plan(
        batch_size=32
    )
    least = 2 * params_bytes(case) * 3 / 4
    assert {collective.kind for collective in plan.collectives} == {"all-reduce"}
    assert least <= plan.sent <= least + 2 * 4 * (4 * 64 + 16) * 3 / 4


def test_fsdp_gathers_each_param_once_forward() -> None:
    """Gathered for the layer that needs it: `(n - 1) / n` of the params; gradients are summed as in data_parallel here.

    XLA:CPU has no pass that makes a reduce-scatter of a sum and a cut.
    """
    case = dense()
    plan = jg.Trainer(case.model, optax.sgd(0.1), case.loss, mesh=MESH, sharding=S.fsdp("data", smallest=0)).plan(
        batch_size=32
    )
    gathered = sum(collective.sent for collective in plan.collectives if collective.kind == "all-gather")
    split = params_bytes(case) - 4 * 10  # the bias of 10 cannot be shared by 4
    assert gathered == split * 3 / 4


def test_one_device_as_a_mesh_sends_nothing() -> None:
    case = dense()
    mesh = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])
    trainer = jg.Trainer(case.model, optax.sgd(0.1), case.loss, mesh=mesh, sharding=S.fsdp("data"))
    assert trainer.plan(batch_size=5).sent == 0


def test_outputs_lie_where_rules_say() -> None:
    """32 rows over 4, and the 10 units of "y" over 2, which no rule for params splits."""
    case = dense()
    texts = [
        jg.Trainer(case.model, optax.sgd(0.1), case.loss, mesh=MESH, sharding=plan).plan(batch_size=32).lowered.text
        for plan in (
            S.data_parallel("data"),
            S.combine(S.data_parallel("data"), S.tensor_parallel({}, outputs={"y": ("data", "model")})),
        )
    ]
    assert ["f32[8,5]" in text for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mesh": MESH, "sharding": S.fsdp("dat")}, ArgumentError, "Did you mean 'data'"),
        ({"mesh": MESH, "sharding": "fsdp"}, ArgumentError, "a plan of jg.sharding"),
        ({"mesh": 8}, ArgumentError, "jax.sharding.Mesh"),
        ({"sharding": S.fsdp("data")}, ArgumentError, "a mesh, as `sharding` is given"),
        ({"mesh": MESH, "sharding": S.tensor_parallel({"upp": {"units": "model"}})}, PathError, "'up'"),
        ({"mesh": MESH, "sharding": S.tensor_parallel({"y": {"units": "data"}})}, ShapeError, "got 10"),
        ({"mesh": MESH, "sharding": S.tensor_parallel({}, outputs={"upp": ("data",)})}, PathError, "'up'"),
        ({"mesh": MESH, "sharding": S.tensor_parallel({}, outputs={"up": ("data",)})}, ArgumentError, "2 entries"),
        ({"mesh": MESH, "sharding": S.tensor_parallel({}, outputs={"y": (None, "data")})}, ShapeError, "10"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_trainer_is_made(options: Any, error: Any, words: str) -> None:
    case = dense()
    with pytest.raises(error) as found:
        jg.Trainer(case.model, optax.sgd(0.1), case.loss, **options)
    assert words in " ".join(str(found.value).split())


def test_sizes_that_do_not_divide_are_refused_with_the_nearest_that_do() -> None:
    case = dense()
    trainer = jg.Trainer(case.model, optax.sgd(0.1), case.loss, mesh=MESH, sharding=S.data_parallel("data"))
    for call in (
        lambda: trainer.fit(case.data, epochs=1, batch_size=10, progress=False),
        lambda: trainer.evaluate(trainer.init(jax.random.key(0)), case.data, batch_size=10),
        lambda: trainer.plan(batch_size=10),
    ):
        with pytest.raises(ArgumentError, match="batch_size=8 or batch_size=12"):
            call()
    batches = [jax.tree.map(lambda a: a[:10], case.data)]
    with pytest.raises(ArgumentError, match=r"batch 0, batch_size.*batch_size=8 or batch_size=12"):
        trainer.fit(batches, epochs=1, progress=False)
    with pytest.raises(ArgumentError, match="without a mesh"):
        trainer.fit_many(case.data, epochs=1, seeds=2)
    with pytest.raises(ArgumentError, match="a trainer with a mesh"):
        jg.Trainer(case.model, optax.sgd(0.1), case.loss).plan(batch_size=8)
