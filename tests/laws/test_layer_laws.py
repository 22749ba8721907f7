"""What holds for every layer: one law, all members."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.errors import RandomKeyError
from jgraph.layers.lora import LoRA
from jgraph.layers.standard import Standard
from jgraph.layers.wrapping import Wrapping
from jgraph.train.layout import named_params
from tests.laws.members import LAYERS, Member

BATCH, FREE = 4, 6
KEY = jax.random.key(3)

members = pytest.mark.parametrize("member", LAYERS, ids=lambda member: member.id)


@dataclasses.dataclass(frozen=True)
class Case:
    """A member drawn, initialised and compiled, with inputs; made once."""

    model: jg.Model
    params: Any
    state: Any
    inputs: list[np.ndarray]

    @functools.cached_property
    def apply(self) -> Any:
        return jax.jit(
            lambda inputs, train, key: self.model.apply(self.params, self.state, inputs, train=train, key=key),
            static_argnums=1,
        )

    @functools.cached_property
    def draws(self) -> bool:
        """Whether training needs a key."""
        try:
            jax.eval_shape(lambda: self.model.apply(self.params, self.state, self.inputs, train=True))
        except (RandomKeyError, TypeError):  # the second is what jax.random says of `None`
            return True
        return False


@functools.cache
def case_of(member: Member) -> Case:
    model = member.draw()
    params, state = model.init(jax.random.key(0))
    return Case(model, params, state, inputs_of(member, model, 0))


def inputs_of(member: Member, model: jg.Model, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    arrays = []
    for symbol in model.inputs:
        shape = [size if isinstance(size, int) else FREE for size in symbol.shape[1:]]
        normal = random.normal(size=(BATCH, *shape))
        arrays.append(random.integers(0, 4, normal.shape) if member.dtype == "int32" else normal)
    return [a.astype(s.dtype) for a, s in zip(arrays, model.inputs, strict=True)]


def assert_equal(got: Any, want: Any, rtol: float = 0.0) -> None:
    """Checks that two trees are equal, up to a part of the largest element of each leaf."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.max(np.abs(b), initial=0.0))


@members
def test_what_was_promised_is_given(member: Member) -> None:
    case = case_of(member)
    for train in (False, True):
        outputs, state = case.apply(case.inputs, train, KEY)
        assert jax.tree.structure(outputs) == jax.tree.structure(case.model.outputs)
        for given, promised in zip(jax.tree.leaves(outputs), jax.tree.leaves(case.model.outputs), strict=True):
            sizes = [BATCH if str(size) == "batch" else size for size in promised.shape]
            assert given.dtype == promised.dtype
            assert given.ndim == len(sizes)
            assert all(size in (d, None) for d, size in zip(given.shape, known(sizes), strict=True))
        assert jax.tree.map(described, state) == jax.tree.map(described, case.state)


def known(sizes: list[Any]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in sizes]


def described(leaf: Any) -> tuple[Any, Any]:
    return leaf.shape, leaf.dtype


@members
def test_compiled_is_eager_and_neither_changes_its_arguments(member: Member) -> None:
    case = case_of(member)
    before = jax.tree.map(np.array, (case.params, case.state, case.inputs))
    eager = case.model.apply(case.params, case.state, case.inputs, train=True, key=KEY)
    assert_equal(case.apply(case.inputs, True, KEY), eager, 1e-5)
    assert_equal((case.params, case.state, case.inputs), before)


@members
def test_same_key_same_output(member: Member) -> None:
    case = case_of(member)
    first = case.apply(case.inputs, True, KEY)
    assert_equal(case.apply(case.inputs, True, jax.random.clone(KEY)), first)
    other = case.apply(case.inputs, True, jax.random.key(4))
    same = all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True))
    assert same is not case.draws


@members
def test_without_training_no_key_is_needed_or_used(member: Member) -> None:
    case = case_of(member)
    outputs, state = case.apply(case.inputs, False, None)
    assert_equal(case.apply(case.inputs, False, KEY), (outputs, state))
    assert_equal(state, case.state)


@members
def test_training_without_a_key_is_refused_where_one_is_needed(member: Member) -> None:
    case = case_of(member)
    if not case.draws:
        assert_equal(case.apply(case.inputs, True, None), case.apply(case.inputs, True, KEY))
    elif member.id != "pair-noise":  # a function of the user's own, which says what it says
        with pytest.raises(RandomKeyError, match=r"key=jax\.random\.key\(0\)"):
            case.model.apply(case.params, case.state, case.inputs, train=True)


@members
def test_rows_do_not_know_each_other_unless_the_layer_says_so(member: Member) -> None:
    case = case_of(member)
    others = inputs_of(member, case.model, 1)
    for x, other in zip(case.inputs, others, strict=True):
        other[0] = x[0]
        other[-1] = other[-1] if member.dtype == "int32" else np.nan
    for train in (False, True):
        if case.model.mixes_rows:
            continue
        outputs, changed = case.apply(case.inputs, train, KEY)[0], case.apply(others, train, KEY)[0]
        assert_equal(*(jax.tree.map(lambda y: y[0], tree) for tree in (changed, outputs)))


def test_the_layers_that_mix_rows_are_few() -> None:
    mixing = {type(member.make()).__name__ for member in LAYERS if case_of(member).model.mixes_rows}
    assert mixing == {"BatchNormalization", "FlaxModule", "NNXModule", "StaxPair", "Pair", "Op", "Model"}


@members
def test_a_row_is_the_same_in_a_batch_of_any_size(member: Member) -> None:
    case = case_of(member)
    if member.id != "op":  # whatever mixes rows does so while training alone
        outputs, _ = case.apply(case.inputs, False, None)
        fewer, _ = case.apply([x[:3] for x in case.inputs], False, None)
        assert_equal(fewer, jax.tree.map(lambda y: y[:3], outputs), 1e-5)


@members
def test_gradient_is_the_limit_of_differences(member: Member) -> None:
    """In float64 along a random direction: the error of central differences is about 1e-9 there."""
    with jax.enable_x64(True):
        model = member.draw(dtype="float64")
        params, state = model.init(jax.random.key(0))
        inputs = inputs_of(member, model, 0)
        random = np.random.default_rng(2)
        point = jax.tree.map(lambda p: np.asarray(p, "float64"), (params, inputs if member.dtype != "int32" else []))
        step = jax.tree.map(lambda p: random.normal(size=p.shape), point)

        def loss(at: Any) -> Any:
            outputs, _ = model.apply(at[0], state, at[1] or inputs, train=True, key=KEY)
            return sum(jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)) for y in jax.tree.leaves(outputs))

        @jax.jit
        def slopes(at: Any, step: Any) -> tuple[Any, Any]:
            terms = jax.tree.map(lambda g, s: jnp.sum(g * s), jax.grad(loss)(at), step)
            ahead, behind = (loss(jax.tree.map(lambda a, s, h=h: a + h * s, at, step)) for h in (1e-5, -1e-5))
            return sum(jax.tree.leaves(terms)), (ahead - behind) / 2e-5

        gradient, difference = slopes(point, step)
        assert gradient.dtype == "float64"
        np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-8)
        assert gradient != 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@members
def test_dtype_is_kept(member: Member, dtype: str) -> None:
    """Inputs and params of one dtype give outputs of it; a state keeps its own."""
    model = member.draw(dtype=dtype)
    case = case_of(member)
    params = jax.tree.map(lambda p: p.astype(dtype), case.params)
    for train in (False, True):
        run = functools.partial(model.apply, train=train, key=KEY)
        inputs = [jnp.asarray(x).astype(s.dtype) for x, s in zip(case.inputs, model.inputs, strict=True)]
        outputs, state = jax.eval_shape(run, params, case.state, inputs)
        assert {str(y.dtype) for y in jax.tree.leaves(outputs)} == {dtype}
        assert jax.tree.map(described, state) == jax.tree.map(described, case.state)


@members
def test_start_values_depend_on_key_and_path_alone(member: Member) -> None:
    case, model = case_of(member), member.draw()
    first = jg.Input((7,), name="first")
    outputs = {"a": jg.layers.Dense(3)(first), "b": model.outputs}
    params, state = jg.Model({"first": first, "rest": model.inputs}, outputs).init(jax.random.key(0))
    assert_equal(params.get("it", {}), case.params.get("it", {}))
    assert_equal(state.get("it", {}), case.state.get("it", {}))
    leaves = jax.tree.leaves(case.params)
    changed = [
        [not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(tree), leaves, strict=True)]
        for tree in (member.draw("that").init(jax.random.key(0))[0], model.init(jax.random.key(1))[0])
    ]
    assert changed[0] == changed[1]
    drawn = not isinstance(member.make(), (jg.layers.NNXModule, jg.layers.EquinoxModule))  # these carry their arrays
    assert all(moved == drawn for moved, leaf in zip(changed[0], leaves, strict=True) if leaf.ndim > 1 and leaf.any())


@members
def test_start_values_are_the_same_under_jit(member: Member) -> None:
    case = case_of(member)
    assert_equal(jax.jit(case.model.init)(jax.random.key(0)), (case.params, case.state), 1e-6)


@members
def test_layers_are_frozen(member: Member) -> None:
    layer = member.make()
    for field in dataclasses.fields(layer):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(layer, field.name, None)


@members
def test_repr_says_how_it_was_made(member: Member) -> None:
    layer = member.make()
    assert 0 < len(repr(layer)) < 200
    assert "\n" not in repr(layer)
    adapts = isinstance(layer, (jg.layers.FlaxModule, jg.layers.Lambda, jg.layers.Pair)) or not layer.written
    if type(layer).__name__ in vars(jg.layers) and not adapts:
        twin = eval(repr(layer), dict(vars(jg.layers)))
        assert type(twin) is type(layer)
        assert repr(twin) == repr(layer)
        assert vars(twin) == vars(layer) or any(
            isinstance(value, jg.Layer) for value in jax.tree.leaves([*vars(layer).values()])
        )


def test_every_layer_is_a_member() -> None:
    layers = {n for n, v in vars(jg.layers).items() if isinstance(v, type) and issubclass(v, jg.Layer)}
    assert layers <= {type(member.make()).__name__ for member in LAYERS}


@members
def test_the_dimensions_of_params_have_names(member: Member) -> None:
    """Those of layers of jgraph, but where their number depends on the layer's axes."""
    model = case_of(member).model
    layers = {node.path: node.layer for node in model.nodes}
    unnamed = {path for path, param in named_params(model).items() if "0" in param.dims and "lora_" not in path}
    for path in unnamed:
        layer = layers[path.rpartition("/")[0]]
        own = isinstance(layer, (Standard, Wrapping, LoRA))
        assert not own or isinstance(layer, (jg.layers.LayerNormalization, jg.layers.PReLU)), path
