"""Pure in practice: what JAX does to functions, done to `init`, `apply` and `step`, against what is known without it.

An ensemble is held against its members alone, a gradient against finite differences in float64, a program that is
scanned, exported or computed again against the plain one.
"""

import contextlib
import functools
import io
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import ad_checkpoint, export

import jgraph as jg
from jgraph.core.spec import known
from jgraph.core.symbol import Symbol
from jgraph.errors import JGraphError, ShapeError
from tests.laws.members import LAYERS

TOLERANCE = 1e-6  # float32; a mapped or scanned program may sum in another order
MEMBERS, STEPS, ROWS = 3, 4, 8


def network() -> jg.Model:
    """Of what makes purity hard: dropout, batch statistics, and a layer that is used twice."""
    x, shared = jg.Input((4,), name="x"), jg.layers.Dense(4, activation="tanh")
    h = jg.layers.BatchNormalization()(shared(shared(x)))
    return jg.Model(x, jg.layers.Dense(1, name="y")(jg.layers.Dropout(0.5)(h)))


def small(dtype: str = "float32") -> jg.Model:
    x = jg.Input((3,), dtype, name="x")
    return jg.Model(x, jg.layers.Dense(1, name="y")(jg.layers.Dense(4, activation="tanh", name="h")(x)))


def rows_of(model: jg.Model, rows: int = ROWS, seed: int = 0) -> Any:
    """Inputs of a model: normal numbers, or indices below 4; free axes have 5 places."""
    random = np.random.default_rng(seed)

    def draw(symbol: Symbol) -> np.ndarray:
        shape = (rows, *(size if isinstance(size, int) else 5 for size in symbol.shape[1:]))
        integral = jnp.issubdtype(symbol.dtype, jnp.integer)
        return (random.integers(0, 4, shape) if integral else random.normal(size=shape)).astype(symbol.dtype)

    return jax.tree.map(draw, model.inputs)


def batches_of(model: jg.Model, steps: int = STEPS) -> Any:
    """A batch for each step, stacked: targets are what a straight line cannot reach."""
    inputs = np.stack([rows_of(model, seed=seed) for seed in range(steps)])
    return inputs, np.sum(inputs**2, axis=-1, keepdims=True)


def member(tree: Any, place: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[place], tree)


def assert_close(got: Any, want: Any, tolerance: float = TOLERANCE) -> None:
    """Checks two trees leaf by leaf; keys by their bits."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# An ensemble


def test_a_member_of_an_ensemble_is_what_it_is_alone() -> None:
    model = network()
    starts, draws = (jax.random.split(jax.random.key(seed), MEMBERS) for seed in (0, 1))
    inputs = rows_of(model)

    def trained(params: Any, state: Any, key: Any) -> Any:
        return model.apply(params, state, inputs, train=True, key=key)

    params, state = jax.jit(jax.vmap(model.init))(starts)
    together = jax.jit(jax.vmap(trained))(params, state, draws)
    for place in range(MEMBERS):
        alone = model.init(starts[place])
        assert_close(member((params, state), place), alone)
        assert_close(member(together, place), trained(*alone, draws[place]))
    outputs, moved = together
    assert len(np.unique(outputs[:, 0])) == MEMBERS
    assert not np.allclose(*(moved["batch_normalization"]["moving_mean"][place] for place in (0, 1)))


def test_an_ensemble_trains_as_its_members_would() -> None:
    """In float64, as Adam takes steps of one size along gradients that are little but rounding too."""
    with jax.enable_x64(True):
        trainer = jg.Trainer(network(), optax.adam(1e-2), loss="mse", metrics="mae")
        keys, rates = jax.random.split(jax.random.key(0), MEMBERS), jnp.array([0.5, 1.0, 2.0], "float32")
        batches = batches_of(trainer.model)

        def started(key: Any) -> Any:
            return trainer.init(key, *jax.tree.map(lambda a: a.astype(jnp.float64), trainer.model.init(key)))

        together = jax.jit(jax.vmap(started))(keys).replace(lr_scale=rates)
        step = jax.vmap(trainer.step, in_axes=(0, None))
        logs: Any = {}
        for place in range(STEPS):
            together, logs = step(together, member(batches, place))
        for place in range(MEMBERS):
            alone, log = started(keys[place]).replace(lr_scale=rates[place]), {}
            for batch in range(STEPS):
                alone, log = trainer.step(alone, member(batches, batch))
            assert_close(member(together, place), alone)
            assert_close(member(logs, place), log)
        assert len(set(logs["loss"].tolist())) == MEMBERS


def test_keys_that_nobody_mapped_over_are_refused() -> None:
    keys = jax.random.split(jax.random.key(0), MEMBERS)
    for function in (small().init, jg.Trainer(small(), optax.sgd(0.1), loss="mse").init):
        with pytest.raises(JGraphError, match="a single key"):
            function(keys)


# Gradients through training


def held_out_loss(trainer: jg.Trainer, train_state: Any) -> Any:
    """What is left after the steps, on rows that were not trained on."""
    train_state, _ = jax.lax.scan(trainer.step, train_state, batches_of(trainer.model))
    inputs = rows_of(trainer.model, seed=9)
    outputs, _ = trainer.model.apply(train_state.params, train_state.model_state, inputs)
    return jnp.mean((outputs - np.sum(inputs**2, axis=-1, keepdims=True)) ** 2)


def begin(trainer: jg.Trainer, size: Any = 1.0) -> Any:
    """A train state in float64 whose first kernel is so many times that of `init`, which makes float32."""
    params, state = jax.tree.map(lambda a: a.astype(jnp.float64), trainer.model.init(jax.random.key(0)))
    first = {**params["h"], "kernel": size * params["h"]["kernel"]}
    return trainer.init(jax.random.key(0), {**params, "h": first}, state)


def of_train_state() -> Callable[..., Any]:
    """By what stands in a train state: start values, and the scale of the learning rate."""
    trainer = jg.Trainer(small("float64"), optax.adam(0.05), loss="mse")
    return lambda size, scale: held_out_loss(trainer, begin(trainer, size).replace(lr_scale=scale))


def of_optimizer() -> Callable[..., Any]:
    """By a number in an optimizer that is made inside of what is differentiated, and its trainer with it."""
    model = small("float64")

    def held_out(rate: Any) -> Any:
        trainer = jg.Trainer(model, optax.sgd(0.05 * rate, momentum=0.9), loss="mse")
        return held_out_loss(trainer, begin(trainer))

    return held_out


def of_trainer() -> Callable[..., Any]:
    """By a trainer's own arguments: a schedule, a loss weight, a number in a loss."""
    model = small("float64")

    def held_out(rate: Any, weight: Any, power: Any) -> Any:
        trainer = jg.Trainer(
            model,
            optax.sgd,
            loss=lambda y, o: jnp.mean(jnp.abs(y - o) ** (1 + power), axis=-1),
            loss_weights=weight,
            learning_rate=optax.linear_schedule(0.1 * rate, 0.01, STEPS),
        )
        return held_out_loss(trainer, begin(trainer))

    return held_out


@pytest.mark.parametrize(("make", "count"), [(of_train_state, 2), (of_optimizer, 1), (of_trainer, 3)])
def test_gradients_through_training_are_finite_differences(make: Callable[[], Any], count: int) -> None:
    """In float64, at 1 for every argument: central differences err by the square of the distance, here 5e-9.

    The sums of a step are float32 in any case. They weigh the slope by a loss weight only, which errs by 2e-8.
    """
    with jax.enable_x64(True):
        held_out, at, distance = jax.jit(make()), np.ones(count), 2.0**-15
        slopes = jax.jit(jax.grad(held_out, argnums=tuple(range(count))))(*at)
        for slope, towards in zip(slopes, np.eye(count) * distance, strict=True):
            measured = (held_out(*(at + towards)) - held_out(*(at - towards))) / (2 * distance)
            assert slope.dtype == jnp.float64
            assert abs(float(measured)) > 0.1
            np.testing.assert_allclose(slope, measured, rtol=1e-7)


# Steps as one program


def test_steps_scanned_are_steps_taken_and_traced_once() -> None:
    traces = []

    class Watch(jg.Layer):
        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            traces.append(train)
            return x, state

    model = network()
    trainer = jg.Trainer(jg.Model(model.inputs, Watch()(model.outputs)), optax.adam(1e-2), loss="mse")
    start, batches = trainer.init(jax.random.key(0)), batches_of(model)
    traces.clear()
    scanned, logs = jax.lax.scan(trainer.step, start, batches)
    assert traces == [True]
    taken, losses = start, []
    for place in range(STEPS):
        taken, log = trainer.step(taken, member(batches, place))
        losses.append(log["loss"])
    assert_close(scanned, taken)
    np.testing.assert_allclose(logs["loss"], losses, rtol=TOLERANCE)
    assert int(scanned.step) == STEPS
    assert traces == [True]


# Less memory


def residuals(function: Callable[[Any], Any], params: Any) -> list[int]:
    """The sizes of what JAX keeps of `function` for its gradient, arguments and constants left out."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        ad_checkpoint.print_saved_residuals(function, params)
    lines = [line for line in printed.getvalue().splitlines() if "argument" not in line and "constant" not in line]
    shapes = [re.match(r"\w+\[([\d,]*)\]", line) for line in lines]
    return [int(np.prod([int(size) for size in shape[1].split(",") if size])) for shape in shapes if shape]


def test_what_is_computed_again_is_the_same_and_need_not_be_kept() -> None:
    model = network()
    params, state = model.init(jax.random.key(0))
    inputs, key = rows_of(model), jax.random.key(1)

    def loss(params: Any, apply: Any) -> tuple[Any, Any]:
        outputs, moved = apply(params, state, inputs)
        return jnp.mean(outputs**2), moved

    kept = functools.partial(model.apply, train=True, key=key)
    plain = jax.jit(jax.value_and_grad(functools.partial(loss, apply=kept), has_aux=True))(params)
    again = jax.jit(jax.value_and_grad(functools.partial(loss, apply=jax.checkpoint(kept)), has_aux=True))(params)
    assert_close(again, plain)
    most = residuals(lambda p: loss(p, kept)[0], params)
    least = residuals(lambda p: loss(p, jax.checkpoint(kept))[0], params)
    assert sum(least) <= ROWS  # the outputs
    assert sum(most) > 4 * ROWS * 4  # at least what the four layers gave


# A program that leaves


def zoo() -> jg.Model:
    """Every layer, each in a model of its own, side by side."""
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for one in LAYERS:
        model = one.draw()
        inputs[one.id] = jax.tree.map(lambda s: jg.Input(known(s.spec)[1:], s.dtype), model.inputs)
        outputs[one.id] = model(inputs[one.id])
    return jg.Model(inputs, outputs)


def exported(model: jg.Model, params: Any, state: Any, inputs: Any) -> bytearray:
    """`apply` for any number of rows, as bytes."""
    (rows,) = export.symbolic_shape("rows")
    free = jax.tree.map(lambda a: jax.ShapeDtypeStruct((rows, *a.shape[1:]), a.dtype), inputs)
    return export.export(jax.jit(model.apply))(params, state, free).serialize()


def test_every_layer_is_exported_with_a_free_batch() -> None:
    model, random = zoo(), np.random.default_rng(0)
    spec = model.params_spec, model.state_spec
    params, state = jax.tree.map(lambda s: random.uniform(0.5, 1.0, s.shape).astype(s.dtype), spec)
    inputs = rows_of(model, 3)
    back = export.deserialize(exported(model, params, state, inputs))
    assert_close(back.call(params, state, inputs), jax.jit(model.apply)(params, state, inputs))


def test_an_exported_model_takes_any_number_of_rows_and_no_other_feature() -> None:
    model = network()
    params, state = model.init(jax.random.key(0))
    data = exported(model, params, state, rows_of(model))
    back = export.deserialize(data)
    for rows in (1, 7):
        inputs = rows_of(model, rows)
        assert_close(back.call(params, state, inputs), jax.jit(model.apply)(params, state, inputs))
    with pytest.raises(ValueError, match=r"Shape mismatch for args\[2\]\.shape\[1\]"):
        back.call(params, state, np.ones((2, 5), np.float32))
    with pytest.raises(ShapeError, match=r"input 'x', axis 1: expected size 4"):
        exported(model, params, state, np.ones((2, 5), np.float32))


# Plain functions of plain trees


def test_the_other_transformations_agree_with_each_other() -> None:
    model = small()
    params, state = model.init(jax.random.key(0))
    inputs = rows_of(model)

    def row(x: Any) -> Any:
        return model.apply(params, state, x[None])[0][0]

    want = model.apply(params, state, inputs)[0]
    assert_close(jax.jit(model.apply)(params, state, inputs)[0], want)
    assert_close(jax.vmap(row)(inputs), want)
    slopes = jax.jit(jax.vmap(jax.jacrev(row)))(inputs)
    hidden = np.tanh(inputs @ params["h"]["kernel"] + params["h"]["bias"])
    by_hand = (1 - hidden**2)[:, None, :] * params["h"]["kernel"]
    assert_close(slopes, jnp.asarray((by_hand @ params["y"]["kernel"]).swapaxes(1, 2)))
    assert_close(jax.jit(jax.vmap(jax.jacfwd(row)))(inputs), slopes)
    outputs = jax.jit(lambda x: model.apply(params, state, x)[0])
    moved = jax.jvp(outputs, (inputs,), (np.ones_like(inputs),))
    assert_close(moved, (want, slopes.sum(-1)))


def test_specs_are_found_without_computing() -> None:
    model = network()
    specs = jax.eval_shape(model.init, jax.random.key(0))
    made = model.init(jax.random.key(0))
    assert jax.tree.map(lambda s: (s.shape, s.dtype), specs) == jax.tree.map(lambda a: (a.shape, a.dtype), made)
    assert specs == (model.params_spec, model.state_spec)
    outputs, _ = jax.eval_shape(model.apply, *specs, jax.ShapeDtypeStruct((10**9, 4), jnp.float32))
    assert outputs.shape == (10**9, 1)


def test_parameters_are_plain_trees() -> None:
    params, _ = small().init(jax.random.key(0))
    assert {type(part) for part in (params, *params.values())} == {dict}
    squares = [np.sum(np.square(leaf)) for layer in params.values() for leaf in layer.values()]
    np.testing.assert_allclose(optax.tree.norm(params), np.sqrt(sum(squares)), rtol=TOLERANCE)
    halved = jax.tree.map(lambda a: a / 2, params)
    assert_close(optax.tree.add(halved, halved), params)
    assert jax.tree_util.keystr(jax.tree_util.tree_flatten_with_path(params)[0][0][0]) == "['h']['bias']"
