"""A layer of one's own: frozen, compared by identity, named, printed, and checked when it is drawn."""

import copy
import dataclasses
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.layer import snake_case
from jgraph.errors import ArgumentError, KeyMismatchError, RandomKeyError, ShapeError, SymbolError


class Scale(jg.Layer):
    """The layer of the design page."""

    axis: int = -1

    def init(self, key: Any, x: Any) -> Any:
        return {"gain": jnp.ones(x.shape[self.axis])}, {}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x * params["gain"], state


class Affine(Scale):
    """Fields of a subclass follow those of its base."""

    offset: float = 0.0

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x * params["gain"] + self.offset, state


class Tell(jg.Layer):
    """Returns whatever it is told to from `init`, and its input from `apply`."""

    made: Any = ()

    def init(self, key: Any, x: Any) -> Any:
        return self.made(x) if callable(self.made) else self.made

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x, state


def test_a_subclass_is_a_frozen_dataclass_with_a_keyword_only_name() -> None:
    layer = Affine(1, offset=2.0, name="a")
    assert (layer.axis, layer.offset, layer.name) == (1, 2.0, "a")
    assert [f.name for f in dataclasses.fields(layer)] == ["name", "axis", "offset"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.axis = 3  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        Scale(-1, "a")  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("field", ["mixes", "logits", "penalty", "default_name", "mixes_rows", "apply"])
def test_a_field_may_not_hide_a_part_of_the_protocol(field: str) -> None:
    with pytest.raises(ArgumentError, match=f"'{field}'.*without a type"):
        type("Hiding", (jg.Layer,), {"__annotations__": {field: int}})


def test_layers_are_compared_by_identity() -> None:
    one, other = Scale(), Scale()
    assert one == one  # noqa: PLR0124
    assert one != other
    assert len({one, other, one}) == 2
    assert copy.copy(one) != one


def test_the_same_layer_twice_is_one_set_of_weights_and_an_equal_one_is_two() -> None:
    x, layer = jg.Input((3,)), Scale()
    assert list(jg.Model(x, layer(layer(x))).init(jax.random.key(0))[0]) == ["scale"]
    assert list(jg.Model(x, Scale()(Scale()(x))).init(jax.random.key(0))[0]) == ["scale", "scale_1"]


def test_drawing_writes_nothing_into_the_layer() -> None:
    layer = Scale()
    before = dict(vars(layer))
    layer(jg.Input((3,)))
    jg.Model(x := jg.Input((3,)), layer(x)).init(jax.random.key(0))
    assert vars(layer) == before


def test_a_layer_prints_what_differs_from_the_defaults() -> None:
    assert repr(Scale()) == "Scale()"
    assert repr(Affine(1, name="a")) == "Affine(axis=1, name='a')"
    assert repr(jg.layers.Dense(64, activation="relu")) == "Dense(64, activation='relu')"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dense", "dense"),
        ("Conv2D", "conv2d"),
        ("LSTM", "lstm"),
        ("BatchNormalization", "batch_normalization"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
        ("MaxPooling2D", "max_pooling2d"),
        ("_Private", "private"),
        ("__", "layer"),
    ],
)
def test_class_names_become_keras_names(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize("name", ["a/b", "", 3, b"x"], ids=repr)
def test_a_name_is_a_string_without_a_slash(name: Any) -> None:
    with pytest.raises(ArgumentError, match="use '_' inside a name"):
        Scale(name=name)


def test_a_name_is_checked_even_where_a_class_forgets_to_ask_its_base() -> None:
    class Careless(jg.Layer):
        def __post_init__(self) -> None:
            pass

        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            return x, state

    x = jg.Input((3,))
    with pytest.raises(ArgumentError, match="without '/'"):
        jg.Model(x, Careless(name="a/b")(x))


def test_a_layer_without_apply_says_so_when_drawn() -> None:
    class Nothing(jg.Layer):
        pass

    with pytest.raises(ArgumentError, match="Define `apply`"):
        Nothing()(jg.Input((3,)))


def test_apply_must_return_a_pair() -> None:
    class Single(jg.Layer):
        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            return x

    with pytest.raises(SymbolError, match="return outputs, state"):
        Single()(jg.Input((3,)))


@pytest.mark.parametrize(
    "made", [{"a": np.ones(3), "b": np.ones(3)}, np.ones(3), None, ({}, {}, {}), ({}, [])], ids=str
)
def test_init_must_return_a_pair(made: Any) -> None:
    with pytest.raises(SymbolError, match="return params, state"):
        Tell(lambda x: made)(jg.Input((3,)))


@pytest.mark.parametrize(
    "params", [np.ones(3), [np.ones(3)], {"a": (np.ones(3),)}, {0: np.ones(3)}, {"a/b": np.ones(3)}], ids=str
)
def test_params_are_nested_dicts_with_string_keys(params: Any) -> None:
    with pytest.raises(KeyMismatchError, match=r"Return \{'name': array\}"):
        Tell(lambda x: (params, {}))(jg.Input((3,)))


@pytest.mark.parametrize("kind", [0, 1])
def test_init_may_not_depend_on_the_batch_or_a_free_size(kind: int) -> None:
    def made(x: Any, axes: slice) -> Any:
        trees = [{}, {}]
        trees[kind] = {"w": jnp.ones(x.shape[axes])}
        return tuple(trees)

    for x, axes in [(jg.Input((None,)), slice(1, 2)), (jg.Input((3,)), slice(0, 1))]:
        with pytest.raises(ShapeError, match="instead of None"):
            Tell(lambda spec, a=axes: made(spec, a))(x)


def test_a_state_keeps_its_leaves_shapes_and_dtypes() -> None:
    class Grow(jg.Layer):
        change: Any

        def init(self, key: Any, x: Any) -> Any:
            return {}, {"n": jnp.zeros((), jnp.int32)}

        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            return x, self.change(state)

    changes = [lambda s: {}, lambda s: {"n": s["n"] + 1.0}, lambda s: {"n": s["n"][None]}, lambda s: {**s, "m": s["n"]}]
    for change in changes:
        with pytest.raises(ShapeError, match="A state never changes"):
            Grow(change)(jg.Input((3,)))


def test_what_a_layer_raises_is_told_with_its_layer_and_inputs() -> None:
    class Picky(jg.Layer):
        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            raise RuntimeError("not today")

    with pytest.raises(ShapeError, match=r"Picky\(\).*float32\[batch, 3\].*RuntimeError: not today") as caught:
        Picky()(jg.Input((3,)))
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ArgumentError, match=r"the arguments \(x\).*unexpected keyword argument 'foo'"):
        Scale()(jg.Input((3,)), foo=1)
    with pytest.raises(ArgumentError, match="too many positional arguments"):
        Scale()(jg.Input((3,)), jg.Input((3,)))


def test_a_fault_while_applying_names_the_node() -> None:
    class Sly(jg.Layer):
        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            if train:
                raise RuntimeError("only in training")
            return x, state

    x = jg.Input((3,))
    model = jg.Model(x, Sly(name="sly")(x))
    with pytest.raises(RuntimeError) as caught:
        model.apply({}, {}, np.ones((2, 3)), train=True)
    assert caught.value.__notes__ == ["In 'sly' (Sly(name='sly')), call 0."]


def test_a_layer_alone_is_the_same_pair_of_functions() -> None:
    layer = jg.layers.Dense(2)
    params, state = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((4, 3), "float32"))
    outputs, state = layer.apply(params, state, jnp.ones((4, 3)))
    assert (outputs.shape, state) == ((4, 2), {})


def test_keyword_inputs_are_inputs_and_reach_init_where_it_asks() -> None:
    class Gate(jg.Layer):
        def init(self, key: Any, x: Any, *, gate: Any) -> Any:
            return {"w": jnp.full(gate.shape[1:], 2.0)}, {}

        def apply(self, params: Any, state: Any, x: Any, *, gate: Any, train: bool = False, key: Any = None) -> Any:
            return x * gate * params["w"], state

    x, g = jg.Input((3,), name="x"), jg.Input((3,), name="g")
    model = jg.Model([x, g], Gate()(x, gate=g))
    params, state = model.init(jax.random.key(0))
    np.testing.assert_array_equal(
        model.apply(params, state, [np.full((2, 3), 3.0), np.full((2, 3), 5.0)])[0], np.full((2, 3), 30.0)
    )


def test_any_pair_of_functions_is_a_layer() -> None:
    def init(key: Any, x: Any) -> Any:
        return {"w": jax.random.normal(key, (x.shape[-1], 2))}, {"calls": jnp.zeros((), jnp.int32)}

    def apply(params: Any, state: Any, x: Any, *, train: bool, key: Any) -> Any:
        return x @ params["w"], {"calls": state["calls"] + 1}

    x = jg.Input((3,))
    layer = jg.as_layer(init, apply, name="mine")
    model = jg.Model(x, layer(x))
    params, state = model.init(jax.random.key(0))
    outputs, state = model.apply(params, state, np.ones((4, 3)))
    assert (outputs.shape, int(state["mine"]["calls"])) == ((4, 2), 1)
    with pytest.raises(ArgumentError, match=r"jg\.as_layer\(init, apply\)"):
        jg.as_layer(3)


def test_mixes_rows_is_true_for_unknown_layers_and_refined_for_known_ones() -> None:
    x, y, scalar = jg.Input((3,)), jg.Input((3,)), jg.Input(())
    picked = jg.Input((), dtype="int32")

    def mixes(*outputs: Any) -> bool:
        return jg.Model([x, y, scalar, picked], list(outputs)).mixes_rows

    assert mixes(Scale()(x))
    assert not mixes(jg.layers.Dense(2)(x), 2 * x + y, x[:, 1:], abs(x) ** 2.0, jg.op(jnp.clip)(x, 0.0, 1.0))
    assert mixes(jg.layers.BatchNormalization()(x))
    assert mixes(jg.op(jnp.sort)(x))
    assert mixes(x[::-1])
    assert mixes(x[None])
    assert mixes(x[:, picked])
    assert mixes(scalar[:, None] - scalar)
    assert mixes(jg.op(jnp.clip)(scalar[:, None], max=scalar))
    assert mixes(scalar * np.ones((2, 1), np.float32))


def test_layers_are_pickled_with_their_fields() -> None:
    layer = pickle.loads(pickle.dumps(jg.layers.Dense(3, activation="relu", name="d")))
    assert repr(layer) == "Dense(3, activation='relu', name='d')"


class Mixing(jg.layers.Dense):
    """A child of a layer of jgraph that applies otherwise, and says nothing about it."""

    def apply(
        self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        return x - jnp.mean(x, axis=0), state


class Named(jg.layers.Dense):
    """A child that applies as its parent does."""


def test_what_a_layer_promises_of_its_apply_ends_where_a_child_applies_otherwise() -> None:
    assert (Mixing.mixes_rows, Mixing.logits) == (True, "unknown")
    assert (Named.mixes_rows, Named.logits) == (False, "always")
    x = jg.Input((3,))
    assert jg.Model(x, Mixing(3)(x)).mixes_rows
    assert not jg.Model(x, Named(3)(x)).mixes_rows


class Vector(jg.Layer):
    """A layer whose penalty is no scalar."""

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return {"w": jnp.ones(3)}, {}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        return x, state

    def penalty(self, params: Any, inputs: Any, outputs: Any) -> Any:
        return params["w"]


class Noise(jg.Layer):
    """A layer that draws without asking whether there is a key."""

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        return x + jax.random.normal(key, x.shape) if train else x, state


def test_a_penalty_that_is_no_scalar_is_refused_when_drawn() -> None:
    with pytest.raises(ShapeError, match="penalty: expected a scalar"):
        Vector()(jg.Input((4,)))


def test_a_layer_of_ones_own_that_draws_needs_a_key_too() -> None:
    x = jg.Input((4,))
    model = jg.Model(x, Noise(name="noise")(x))
    assert model.apply({}, {}, jnp.ones((2, 4)))[0].shape == (2, 4)
    with pytest.raises(RandomKeyError, match=r"train=True, key=jax\.random\.key"):
        model.apply({}, {}, jnp.ones((2, 4)), train=True)
