"""Flax NNX modules as layers: what they compute and change is what the module itself computes and changes."""

import copy
import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jgraph as jg
from jgraph.errors import ArgumentError, JGraphError, RandomKeyError, SaveError, ShapeError
from jgraph.keys import fold
from tests.layers.adapting import (
    KEY,
    X,
    assert_close,
    assert_copies,
    assert_nests,
    assert_saves,
    assert_shared,
    assert_trains_and_resumes,
    drawn,
    value_and_grads,
)

IMAGES = np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype("float32")


class Block(nnx.Module):
    """Several layers, two of which draw, a list, and a variable of a kind of its own that counts while training."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first, self.norm = nnx.Linear(5, 4, rngs=rngs), nnx.BatchNorm(4, momentum=0.8, rngs=rngs)
        self.drops = nnx.List([nnx.Dropout(0.4, rngs=rngs), nnx.Dropout(0.4, rngs=rngs)])
        self.steps = nnx.Variable(jnp.zeros((), jnp.int32))
        self.last = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.norm(self.first(x))
        if not self.norm.use_running_average:
            self.steps[...] += 1
        for drop in self.drops:
            x = drop(x)
        return self.last(x)


class Told(nnx.Module):
    """A module that is told by an argument whether it is trained, and given its random streams by another."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense, self.drop = nnx.Linear(5, 3, rngs=rngs), nnx.Dropout(0.5)

    def __call__(self, x: Any, train: bool, rngs: nnx.Rngs) -> Any:
        return self.drop(self.dense(x), deterministic=not train, rngs=rngs)


def made(kind: Any, *args: Any, **options: Any) -> Any:
    return kind(*args, **options, rngs=nnx.Rngs(0))


def convolutional() -> Any:
    rngs = nnx.Rngs(0)
    return nnx.Sequential(
        nnx.Conv(2, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs), nnx.relu, nnx.Conv(4, 3, (3, 3), rngs=rngs)
    )


def theirs(module: Any, params: Any, state: Any, x: Any, train: bool, key: jax.Array) -> tuple[Any, Any]:
    """The module itself, by NNX's own means: its arrays set by path, its mode, its streams begun anew from the key."""
    module = nnx.clone(module)
    for path, variable in nnx.to_flat_state(nnx.state(module, nnx.Not(nnx.RngState))):
        leaf = params if isinstance(variable, nnx.Param) else state
        for word in path:
            leaf = leaf[str(word)]
        variable.set_value(leaf)
    for path, stream in nnx.iter_graph(module):
        if isinstance(stream, nnx.RngStream) and train:
            stream.key.set_value(fold(fold(key, "it", 0), "/".join(map(str, path))))
            stream.count.set_value(jnp.zeros((), jnp.uint32))
    module.train() if train else module.eval()
    outputs = module(x)
    after: dict[str, Any] = {}
    for path, variable in nnx.to_flat_state(nnx.state(module, nnx.Not(nnx.Any(nnx.RngState, nnx.Param)))):
        place = after
        for word in path[:-1]:
            place = place.setdefault(str(word), {})
        place[str(path[-1])] = variable.get_value()
    return outputs, after


@pytest.mark.parametrize(
    ("module", "x", "train"),
    [
        (made(nnx.Linear, 5, 3), X, False),
        (made(Block), X, False),
        (made(Block), X, True),
        (convolutional(), IMAGES, False),
    ],
    ids=["Linear", "Block", "Block, training", "convolutional"],
)
def test_outputs_state_and_gradients_are_those_of_nnx(module: Any, x: Any, train: bool) -> None:
    model, params, state = drawn(jg.as_layer(module, name="it"), x.shape[1:])

    def ours(params: Any, x: Any) -> Any:
        return model.apply(params, state, x, train=train, key=KEY if train else None)

    def reference(params: Any, x: Any) -> Any:
        outputs, after = theirs(module, params.get("it", {}), state.get("it", {}), x, train, KEY)
        return outputs, ({"it": after} if after else {})

    assert_close(value_and_grads(ours, params, x), value_and_grads(reference, params, x))


def test_params_and_state_are_the_module_s_own_variables() -> None:
    module = made(Block)
    for seed in (0, 1):
        params, state = drawn(jg.as_layer(module, name="it"))[0].init(jax.random.key(seed))
        np.testing.assert_array_equal(params["it"]["first"]["kernel"], module.first.kernel[...])
    assert jax.tree.map(jnp.shape, params["it"]) == {
        "first": {"bias": (4,), "kernel": (5, 4)},
        "norm": {"bias": (4,), "scale": (4,)},
        "last": {"bias": (3,), "kernel": (4, 3)},
    }
    assert jax.tree.map(jnp.shape, state["it"]) == {"norm": {"mean": (4,), "var": (4,)}, "steps": ()}


def test_lists_are_dicts_of_their_places() -> None:
    _, params, _ = drawn(jg.as_layer(convolutional(), name="it"), (6, 6, 2))
    assert set(params["it"]["layers"]) == {"0", "1", "3"}


def test_the_module_is_never_changed_and_later_changes_are_not_seen() -> None:
    module = made(Block)
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngKey))))
    model, params, state = drawn(jg.as_layer(module, name="it"))
    model.apply(params, state, X, train=True, key=KEY)
    assert module.norm.use_running_average is module.drops[0].deterministic is False
    assert_close(nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngKey))), before)
    module.first.kernel[...] *= 0.0
    assert_close(model.init(KEY)[0], params)


def test_who_donates_the_params_does_not_empty_the_layer() -> None:
    model, params, _ = drawn(jg.as_layer(made(nnx.Linear, 5, 3), name="it"))
    jax.tree.map(lambda leaf: leaf.delete(), params)
    assert np.isfinite(model.init(KEY)[0]["it"]["kernel"]).all()


def test_dropout_follows_train_and_key_and_each_layer_draws_for_itself() -> None:
    model, params, state = drawn(jg.as_layer(nnx.Sequential(*made(Block).drops), name="it"))
    ones = np.ones((200, 5), np.float32)
    np.testing.assert_array_equal(model.apply(params, state, ones)[0], ones)
    first, again, other = (
        np.asarray(model.apply(params, state, ones, train=True, key=k)[0]) for k in (KEY, KEY, jax.random.key(2))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert abs((first == 0).mean() - (1 - 0.6**2)) < 0.05  # one draw for both would leave 0.4 of zeros
    assert state == {}


@pytest.mark.parametrize("module", [made(nnx.Dropout, 0.5), nnx.Dropout(0.5), made(Told)], ids=["own", "none", "Told"])
def test_a_missing_key_is_an_error_with_its_cure(module: Any) -> None:
    model, params, state = drawn(jg.as_layer(module, name="it"))
    with pytest.raises(RandomKeyError, match=r"as_layer\(.*key=jax\.random\.key\(0\)"):
        model.apply(params, state, X, train=True)


def test_a_module_that_does_not_draw_needs_no_key() -> None:
    model, params, state = drawn(jg.as_layer(made(Block).norm, name="it"), (4,))
    model.apply(params, state, X[:, :4], train=True)
    quiet = nnx.Sequential(made(nnx.Linear, 5, 3), made(nnx.Dropout, 0.0))
    model, params, state = drawn(jg.as_layer(quiet, name="it"))
    model.apply(params, state, X, train=True)


def test_arguments_for_the_mode_and_for_streams_are_given() -> None:
    module = made(Told)
    model, params, state = drawn(jg.as_layer(module, name="it"))
    assert_close(model.apply(params, state, X)[0], module.dense(X))
    streams = nnx.Rngs(fold(fold(KEY, "it", 0), "rngs"))
    assert_close(model.apply(params, state, X, train=True, key=KEY)[0], module(X, train=True, rngs=streams))


def test_what_always_draws_does_so_from_its_own_streams_when_not_training() -> None:
    class Noisy(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.rngs = rngs

        def __call__(self, x: Any) -> Any:
            return x + jax.random.normal(self.rngs.noise(), x.shape)

    model, params, state = drawn(jg.as_layer(made(Noisy), name="it"))
    assert_close(model.apply(params, state, X)[0], made(Noisy)(X))
    with pytest.raises(RandomKeyError):
        model.apply(params, state, X, train=True)


def test_streams_made_for_several_copies_keep_their_shape() -> None:
    class Many(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.stream = rngs.noise.split(3)

        def __call__(self, x: Any) -> Any:
            keys = self.stream.key[...]
            return x + jax.vmap(lambda key: jax.random.normal(key))(keys).sum()

    model, params, state = drawn(jg.as_layer(made(Many), name="it"))
    keys = jax.random.split(fold(fold(KEY, "it", 0), "stream"), 3)
    want = X + jax.vmap(lambda key: jax.random.normal(key))(keys).sum()
    assert_close(model.apply(params, state, X, train=True, key=KEY)[0], want)


def test_shared_state_goes_from_call_to_call() -> None:
    x, module = jg.Input((5,), name="x"), made(nnx.BatchNorm, 5, momentum=0.5)
    shared = jg.as_layer(module, name="it")
    model = jg.Model(x, shared(shared(x)))
    params, state = model.init(KEY)
    outputs, after = model.apply(params, state, X, train=True)
    assert_close(outputs, module(module(jnp.asarray(X))))
    assert_close(after["it"], {"mean": module.mean[...], "var": module.var[...]})


def test_two_modules_that_share_a_variable_have_one_entry() -> None:
    class Tied(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.one = nnx.Linear(5, 5, rngs=rngs)
            self.two = self.one

        def __call__(self, x: Any) -> Any:
            return self.two(self.one(x))

    module = made(Tied)
    model, params, state = drawn(jg.as_layer(module, name="it"))
    assert list(params["it"]) == ["one"]
    assert_close(model.apply(params, state, X)[0], module(X))


def test_variables_that_hold_trees() -> None:
    class Tree(nnx.Module):
        def __init__(self) -> None:
            self.both = nnx.Param({"gain": jnp.full(5, 2.0), "value": jnp.ones(5)})

        def __call__(self, x: Any) -> Any:
            return x * self.both["gain"] + self.both["value"]

    model, params, state = drawn(jg.as_layer(Tree(), name="it"))
    assert jax.tree.map(jnp.shape, params) == {"it": {"both": {"gain": (5,), "value": (5,)}}}
    assert_close(model.apply(params, state, X)[0], 2 * X + 1)


def test_what_is_sown_is_not_collected_and_a_growing_state_is_refused() -> None:
    class Sows(nnx.Module):
        def __init__(self, kind: Any) -> None:
            self.kind = kind

        def __call__(self, x: Any) -> Any:
            self.sow(self.kind, "hidden", x)
            return x

    module = Sows(nnx.Intermediate)
    with pytest.warns(DeprecationWarning, match="sow"):
        module(X)
    layer = jg.as_layer(module, name="it")
    with pytest.warns(DeprecationWarning, match="sow"):
        model, params, state = drawn(layer)
    assert (params, state) == ({}, {})
    with pytest.warns(DeprecationWarning, match="sow"):
        assert_close(model.apply(params, state, X), (X, {}))
    with (
        pytest.warns(DeprecationWarning, match="sow"),
        pytest.raises(ShapeError, match=r"Sows.*another 'hidden.*__init__"),
    ):
        drawn(jg.as_layer(Sows(nnx.BatchStat)))


def test_it_trains_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    module = made(Block)
    run = assert_trains_and_resumes(jg.as_layer(module, name="it"), tmp_path)
    assert (run.train_state.model_state["it"]["steps"], module.steps[...]) == (8 * 2, 0)


def test_it_is_shared_nests_is_saved_and_copied(tmp_path: Path) -> None:
    layer = jg.as_layer(made(Block), name="it")
    assert_shared(layer)
    assert_saves(layer, tmp_path)
    assert_nests(layer)
    assert_copies(layer, pickles=False)
    assert_copies(jg.as_layer(nnx.Sequential(made(nnx.Linear, 5, 3), nnx.relu), name="it"))


def test_what_cannot_be_pickled_says_so() -> None:
    class Here(nnx.Linear):
        pass

    layer = jg.as_layer(made(Here, 5, 3))
    with pytest.raises(SaveError, match=r"as_layer\(Here.*with def"):
        pickle.dumps(layer)
    assert copy.deepcopy(layer) is not layer


def test_it_is_called_as_its_module() -> None:
    x = jg.Input((5,), name="x")
    layer = jg.as_layer(made(nnx.BatchNorm, 5))
    model = jg.Model(x, layer(x))
    assert isinstance(layer, jg.layers.NNXModule)
    assert (list(model.layers), layer.describe()) == (["x", "batch_norm"], "nnx BatchNorm")
    assert "nnx BatchNorm" in model.summary()
    assert repr(layer) == "as_layer(BatchNorm(...))"


def test_free_axes_stay_free() -> None:
    model, params, state = drawn(jg.as_layer(made(nnx.Linear, 5, 3), name="it"), (None, 5))
    for steps in (2, 7):
        assert model.apply(params, state, np.ones((4, steps, 5), "float32"))[0].shape == (4, steps, 3)


def test_inputs_by_keyword_and_several_inputs() -> None:
    class Scaled(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.dense = nnx.Linear(5, 3, rngs=rngs)

        def __call__(self, x: Any, power: int, *, scale: Any) -> Any:
            return self.dense(x) ** power * scale

    x, scale = jg.Input((5,), name="x"), jg.Input((3,), name="scale")
    module = made(Scaled)
    model = jg.Model([x, scale], jg.as_layer(module, name="it")(x, 2, scale=scale))
    assert_close(model.apply(*model.init(KEY), [X, X[:, :3]])[0], module(X, 2, scale=X[:, :3]))


def test_bad_modules_are_refused() -> None:
    class Silent(nnx.Module):
        pass

    with pytest.raises(ArgumentError, match=r"Silent.*__call__"):
        jg.as_layer(Silent())
    with pytest.raises(ArgumentError, match=r"the class Linear.*Linear\(\.\.\.\)"):
        jg.as_layer(nnx.Linear)
    with pytest.raises(ArgumentError, match="Linear and int"):
        jg.as_layer(made(nnx.Linear, 5, 3), 3)
    with pytest.raises(JGraphError, match=r"as_layer\(Linear"):
        drawn(jg.as_layer(made(nnx.Linear, 5, 3)), (4,))
