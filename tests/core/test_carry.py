"""Carrying: the old arrays themselves, wherever their layer lives now, and lists of what is new or was dropped."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, KeyMismatchError, ShapeError
from jgraph.tree import leaves_with_names

L = jg.layers
KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
BATCH = RANDOM.normal(size=(8, 4)).astype("float32"), RANDOM.normal(size=(8, 2)).astype("float32")


def heads(tree: Any) -> Any:
    """What is trained by a rule of its own."""
    return {name: jax.tree.map(lambda _, is_head=name == "head": is_head, below) for name, below in tree.items()}


OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "adam": optax.adam(0.01),
    "adamw": optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.linear_schedule(0.1, 0.01, 10))),
    "injected": optax.inject_hyperparams(optax.adam)(learning_rate=0.01),
    "accumulated": optax.MultiSteps(optax.adam(0.01), 2),
    "masked": optax.masked(optax.adam(0.01), heads),
}


def net() -> jg.Model:
    x, t = jg.Input((4,), name="x"), jg.Input((6,))
    tower = jg.Model(t, L.BatchNormalization()(L.Dense(6, activation="relu")(t)), name="tower")
    h = L.Dropout(0.3)(tower(L.Dense(6, name="body")(x)))
    return jg.Model(x, L.Dense(2, name="head")(h))


def arrays(tree: Any) -> dict[str, np.ndarray]:
    """The leaves by name, keys as numbers."""
    keys = jax.dtypes.prng_key
    numbers = [(n, jax.random.key_data(x) if jnp.issubdtype(x.dtype, keys) else x) for n, x in leaves_with_names(tree)]
    return {name: np.asarray(leaf) for name, leaf in numbers}


def trained(model: jg.Model, optimizer: Any, steps: int = 3) -> tuple[jg.Trainer, Any]:
    trainer = jg.Trainer(model, optimizer, loss="mse")
    train_state = trainer.init(KEY)
    for _ in range(steps):
        train_state, _ = trainer.step(train_state, BATCH)
    return trainer, train_state


def same_objects(one: Any, other: Any) -> bool:
    alike = jax.tree.structure(one) == jax.tree.structure(other)
    return alike and all(a is b for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize("name", ["adam", "accumulated"])
def test_training_goes_on_after_an_identity_as_if_there_were_none(name: str) -> None:
    model = net()
    trainer, train_state = trained(model, OPTIMIZERS[name])
    new = model.insert_after("tower/dense", L.Identity()).insert_after("head", L.Activation("linear"))
    again = jg.Trainer(new, OPTIMIZERS[name], loss="mse")
    carried = jg.carry(model, new, train_state, start=again.init(jax.random.key(1)))
    assert (carried.new, carried.dropped) == ((), ())
    assert same_objects(carried.tree, train_state)
    assert same_objects(jg.carry(model, new, train_state).tree, train_state)
    (one, logs), (other, logs_again) = trainer.step(train_state, BATCH), again.step(carried.tree, BATCH)
    for first, second in ((one, other), (logs, logs_again)):
        expected, got = arrays(first), arrays(second)
        assert expected.keys() == got.keys()
        assert all(np.array_equal(got[leaf], array) for leaf, array in expected.items())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_every_optimizer_is_carried(name: str) -> None:
    model = net()
    new = model.insert_after("tower/dense", L.Identity())
    params, _ = model.init(KEY)
    tree = {"params": params, "opt_state": OPTIMIZERS[name].init(params)}
    start = {"params": params, "opt_state": OPTIMIZERS[name].init(new.init(KEY)[0])}
    for carried in (jg.carry(model, new, tree), jg.carry(model, new, tree, start=start)):
        assert (carried.new, carried.dropped) == ((), ())
        assert same_objects(carried.tree, tree)


@pytest.mark.parametrize(
    ("name", "moments"),
    [("adam", ["opt_state/0/mu", "opt_state/0/nu"]), ("masked", ["opt_state/inner_state/0/mu"])],
)
def test_what_is_new_and_what_was_dropped_is_listed_in_every_part_of_a_train_state(name: str, moments: Any) -> None:
    model = net()
    _, train_state = trained(model, OPTIMIZERS[name], 0)
    new = model.replace("head", L.Dense(2, name="last")).remove("tower/batch_normalization")
    carried = jg.carry(model, new, train_state, start=jg.Trainer(new, OPTIMIZERS[name], loss="mse").init(KEY))
    assert {"params/last/kernel", "params/last/bias"} <= set(carried.new)
    gone = {"params/head/kernel", "params/tower/batch_normalization/gamma", *(f"{m}/head/kernel" for m in moments)}
    assert gone <= set(carried.dropped)
    assert "model_state/tower/batch_normalization/moving_mean" in carried.dropped
    kept = {"step", "key", "params/body/kernel", "params/tower/dense/bias"}
    assert not kept & {*carried.new, *carried.dropped}
    assert carried.tree.params["body"]["kernel"] is train_state.params["body"]["kernel"]
    without = jg.carry(model, new, train_state)
    assert {"params/last/kernel", f"{moments[0]}/last/kernel"} <= set(without.new)
    assert set(without.dropped) == set(carried.dropped)
    assert "last" not in without.tree.params


def test_without_a_start_what_is_new_is_left_out_and_with_one_it_is_begun() -> None:
    model = net()
    params, state = model.init(KEY)
    new = model.replace("head", L.Dense(5)).insert_after("body", L.BatchNormalization(name="norm"))
    start = new.init(jax.random.key(1))
    carried = jg.carry(model, new, params)
    assert set(carried.new) == {"norm/beta", "norm/gamma", "head/kernel", "head/bias"}
    assert set(carried.dropped) == {"head/kernel", "head/bias"}
    assert set(carried.tree) == {"body", "tower"}
    begun = jg.carry(model, new, params, start=start[0])
    assert (set(begun.new), set(begun.dropped)) == (set(carried.new), set(carried.dropped))
    assert begun.tree["head"]["kernel"] is start[0]["head"]["kernel"]
    assert begun.tree["body"]["kernel"] is params["body"]["kernel"]
    of_state = jg.carry(model, new, state, start=start[1])
    assert set(of_state.new) == {"norm/moving_mean", "norm/moving_variance"}
    new.apply(begun.tree, of_state.tree, BATCH[0], train=True, key=KEY)


def test_a_layer_is_found_wherever_it_lives_now() -> None:
    model = net()
    params, _ = model.init(KEY)
    body = model.layers["body"]
    x = jg.Input((4,))
    wrapped = model.replace("body", jg.Model(x, L.Activation("relu")(body(x))))
    carried = jg.carry(model, wrapped, params)
    assert (carried.new, carried.dropped) == ((), ())
    assert carried.tree["body"]["body"]["kernel"] is params["body"]["kernel"]
    back = jg.carry(wrapped, model, carried.tree)
    assert (back.new, back.dropped) == ((), ())
    assert back.tree["body"]["kernel"] is params["body"]["kernel"]


def test_a_layer_of_the_same_shape_at_the_same_path_is_another_layer_after_an_edit() -> None:
    model = net()
    params, _ = model.init(KEY)
    carried = jg.carry(model, model.replace("body", L.Dense(6)), params)
    assert set(carried.new) == set(carried.dropped) == {"body/kernel", "body/bias"}


def test_models_without_a_layer_in_common_go_by_path() -> None:
    model, other = net(), net().replace("head", L.Dense(3, name="head"))
    params, state = model.init(KEY)
    carried = jg.carry(model, other, params)
    assert set(carried.new) == set(carried.dropped) == {"head/kernel", "head/bias"}
    loaded = jg.Model.from_json(model.to_json())
    for tree in (params, state):
        again = jg.carry(model, loaded, tree)
        assert (again.new, again.dropped) == ((), ())
        assert all(a is b for a, b in zip(jax.tree.leaves(again.tree), jax.tree.leaves(tree), strict=True))


def test_another_dtype_is_cast_where_a_start_says_so() -> None:
    model = net()
    half = model.with_policy(jg.Policy({"body": {"param_dtype": "bfloat16"}}))
    params, _ = model.init(KEY)
    carried = jg.carry(model, half, params, start=half.init(KEY)[0])
    assert carried.tree["body"]["kernel"].dtype == jnp.bfloat16
    assert (carried.new, carried.dropped) == ((), ())


def test_a_model_that_has_nothing_of_a_kind_has_an_empty_tree_of_it() -> None:
    x = jg.Input((4,))
    plain = jg.Model(x, L.Dense(4, name="dense")(x))
    normed = plain.insert_after("dense", L.BatchNormalization(name="norm"))
    carried = jg.carry(plain, normed, {})
    assert carried == ({}, ("norm/moving_mean", "norm/moving_variance"), ())
    bare = normed.remove("dense").remove("norm")
    assert jg.carry(normed, bare, normed.init(KEY)[1]) == ({}, (), ("norm/moving_mean", "norm/moving_variance"))


@pytest.mark.parametrize(
    ("tree", "start", "message"),
    [
        ({"nothing": jnp.ones(2)}, None, "carry, tree: expected params or state of Model.*'nothing'"),
        ([jnp.ones(2)], None, "carry, tree: .*'0'.*Give the trees that belong to that model"),
        ({}, None, "carry, tree: .*the leaves none"),
        (None, None, "carry, tree"),
        ("params", {"other": jnp.ones(2)}, "carry, start: expected params or state of Model.*'other'"),
    ],
)
def test_trees_of_something_else_are_refused(tree: Any, start: Any, message: str) -> None:
    model = net()
    given = model.init(KEY)[0] if tree == "params" else tree
    with pytest.raises(KeyMismatchError, match=message):
        jg.carry(model, model.remove("dropout"), given, start=start)


def test_a_tree_of_the_new_model_is_refused_where_the_old_one_belongs() -> None:
    model = net()
    new = model.replace("head", L.Dense(2, name="last"))
    with pytest.raises(KeyMismatchError, match="'last/bias'"):
        jg.carry(model, new, new.init(KEY)[0])
    with pytest.raises(ArgumentError, match=r"two models and a tree.*Write jg\.carry"):
        jg.carry(model.init(KEY)[0], model, new)


def with_a_layer_more() -> tuple[jg.Model, jg.Model]:
    """A model with state, and the same with one more layer."""
    x = jg.Input((4,), name="x")
    body = L.BatchNormalization(name="norm")(L.Dense(4, name="body")(x))
    model = jg.Model(x, L.Dense(2, name="head")(body))
    return model, model.insert_after("body", L.Dense(4, name="more"))


def forms(model: jg.Model) -> dict[str, Any]:
    """Everything of a model that can be carried, by what it is."""
    trainer = jg.Trainer(model, OPTIMIZERS["adam"], loss="mse")
    params, state = pair = model.init(KEY)
    train_state = trainer.init(KEY)
    return {"params": params, "state": state, "pair": pair, "train": train_state, "optimizer": train_state.opt_state}


CURES = {
    "params": r"Give new_model\.init\(key\)\[0\]\.",
    "state": r"Give new_model\.init\(key\)\[1\]\.",
    "pair": r"Give new_model\.init\(key\)\.",
    "train": r"Give new_trainer\.init\(key\), or the part",
    "optimizer": r"Give new_trainer\.init\(key\), or the part",
}


@pytest.mark.parametrize("form", CURES)
def test_a_start_is_of_the_form_of_the_tree(form: str) -> None:
    old, new = with_a_layer_more()
    tree, starts = forms(old)[form], forms(new)
    for name, start in starts.items():
        if name == form:
            carried = jg.carry(old, new, tree, start=start)
            assert all("more/" in path for path in carried.new)
            assert bool(carried.new) == (form != "state")
            assert carried.dropped == ()
        else:
            with pytest.raises(KeyMismatchError, match=f"^carry, start.*{CURES[form]}"):
                jg.carry(old, new, tree, start=start)


@pytest.mark.parametrize("form", ["params", "pair", "train", "optimizer"])
def test_a_start_of_the_old_model_is_refused(form: str) -> None:
    old, new = with_a_layer_more()
    tree = forms(old)[form]
    lacking = f"the leaf 'more/bias', 'more/kernel', got a tree without it. {CURES[form]}"
    with pytest.raises(KeyMismatchError, match=lacking):
        jg.carry(old, new, tree, start=tree)
    if form != "optimizer":  # whose leaves may be those of unfrozen layers alone, unlike those of params
        with pytest.raises(KeyMismatchError, match=lacking):
            jg.carry(old, new.freeze("more"), tree, start=tree)


def test_a_start_of_a_model_of_other_shapes_is_refused() -> None:
    model = net()
    wider = jg.Model.from_json(model.replace("head", L.Dense(5, name="head")).to_json())
    params, _ = model.init(KEY)
    with pytest.raises(ShapeError, match=r"carry, start, leaf 'head/bias': expected shape \(5,\), got \(2,\)"):
        jg.carry(model, wider, params, start=params)


def test_params_and_state_in_each_others_place_are_refused() -> None:
    old, new = with_a_layer_more()
    with pytest.raises(
        KeyMismatchError, match=r"start, '0': expected params of .*, as in the tree, got state, the leaves"
    ):
        jg.carry(old, new, old.init(KEY), start=new.init(KEY)[::-1])


def test_a_start_may_lack_in_an_optimizer_what_that_does_not_see() -> None:
    old, new = with_a_layer_more()
    frozen = new.freeze("body", "more")
    for form in ("train", "optimizer"):
        carried = jg.carry(old, frozen, forms(old)[form], start=forms(frozen)[form])
        assert {path.split("/")[-2] for path in carried.dropped} == {"body"}
        assert all(path.startswith("params/more/") for path in carried.new)
    parts = optax.multi_transform(
        {"head": optax.adam(0.1), "rest": optax.adam(0.2)},
        lambda tree: {name: "head" if name == "head" else "rest" for name in tree},
    )
    headless = new.remove("head")
    start = parts.init(headless.init(KEY)[0])
    carried = jg.carry(old, headless, parts.init(old.init(KEY)[0]), start=start)
    assert {path.split("/")[-2] for path in carried.new} == {"more"}
    assert {path.split("/")[-2] for path in carried.dropped} == {"head"}
    other = jg.carry(old, new, forms(old)["train"], start=jg.Trainer(new, optax.sgd(0.1), loss="mse").init(KEY))
    assert {path.split("/")[0] for path in other.dropped} == {"opt_state"}


def test_an_empty_tree_takes_its_kind_from_the_old_model_and_else_from_the_start() -> None:
    x = jg.Input((4,))
    bare = jg.Model(x, L.Activation("tanh", name="tanh")(x))
    plain = bare.insert_after("tanh", L.Dense(4, name="dense"))
    normed = plain.insert_after("dense", L.BatchNormalization(name="norm"))
    params, state = normed.init(KEY)
    of_state = ("norm/moving_mean", "norm/moving_variance")
    carried = jg.carry(plain, normed, {}, start=state)
    assert carried.new == of_state
    assert carried.tree == state
    with pytest.raises(KeyMismatchError, match=r"start: expected state .*Give new_model\.init\(key\)\[1\]"):
        jg.carry(plain, normed, {}, start=params)
    with pytest.raises(
        KeyMismatchError, match=r"tree: .*the leaves none.*an empty one is that of a model that has none"
    ):
        jg.carry(normed, plain, {}, start=params)
    assert jg.carry(normed, plain, state, start={}) == ({}, (), of_state)
    with pytest.raises(KeyMismatchError, match=r"start: expected state .*'0/dense/bias'"):
        jg.carry(normed, plain, state, start=plain.init(KEY))
    of_params = tuple(name for name, _ in leaves_with_names(params))
    assert jg.carry(bare, normed, {}).new == of_params
    assert jg.carry(bare, normed, {}, start=params).new == of_params
    assert jg.carry(bare, normed, {}, start=state).new == of_state
    both = tuple(name for name, _ in leaves_with_names((params, state)))
    assert jg.carry(bare, normed, ({}, {})).new == jg.carry(bare, normed, ({}, {}), start=(params, state)).new == both


def test_a_run_is_not_a_tree() -> None:
    old, new = with_a_layer_more()
    run = jg.Trainer(old, optax.sgd(0.1), loss="mse").fit(BATCH, epochs=1, progress=False)
    with pytest.raises(KeyMismatchError, match=r"carry, tree: .*got a Run\. Give run\.train_state\."):
        jg.carry(old, new, run)
    with pytest.raises(KeyMismatchError, match=r"carry, start: .*got a Run\. Give new_trainer\.init\(key\)"):
        jg.carry(old, new, run.train_state, start=run)
