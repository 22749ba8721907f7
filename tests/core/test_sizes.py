"""Sizes with names: `Input(("4*h", "4*w", 3))` wherever a shape is asked for, from drawing to export."""

import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import export

import jgraph as jg
from jgraph.core.sizes import line, names_in, solve, unsolvable, value_of
from jgraph.errors import ShapeError

L = jg.layers
RANDOM = np.random.default_rng(0)


def rows(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype("float32")


def widened(x: jax.Array) -> jax.Array:
    """Each pixel four by four times."""
    return jnp.repeat(jnp.repeat(x, 4, 1), 4, 2)


def sharpen() -> jg.Model:
    """A small picture and one of four times its height and width, joined."""
    small, large = jg.Input(("h", "w", 2), name="small"), jg.Input(("4*h", "4*w", 2), name="large")
    joined = L.concatenate([jg.op(widened)(small), large])
    return jg.Model([small, large], L.Conv2D(2, 3, padding="same", name="conv")(joined), name="sharpen")


FITTING = [rows(2, 2, 3, 2), rows(2, 8, 12, 2)]
WRONG = [rows(2, 2, 3, 2), rows(2, 8, 13, 2)]
SAID = r"axis 2: expected size 12 \(for 4\*w with w = 3\), got size 13"


def test_sizes_are_found_where_they_can_be_and_compared_elsewhere() -> None:
    pairs = [("a", "h + w", 7), ("b", "2*h + 1", 5), ("c", "h*w", 10), ("d", "floordiv(w, 2)", 2), ("e", "h^2", 4)]
    assert solve(pairs) == {"h": 2, "w": 5}
    with pytest.raises(ShapeError, match=r"c: expected size 10 \(for h\*w with h = 2, w = 5\), got size 11"):
        solve([*pairs[:2], ("c", "h*w", 11)])
    with pytest.raises(ShapeError, match=r"b: expected size 5 .*got size 6"):
        solve([("b", "2*h + 1", 6)])
    with pytest.raises(ShapeError, match="sizes of at least 0, got size 5, which makes h = 7, w = -2"):
        solve([("a", "h", 7), ("b", "h + w", 5)])


def test_a_size_that_no_other_decides_is_named() -> None:
    assert list(unsolvable(["h", "h*w", 3])) == []
    assert list(unsolvable(["h*w"])) == ["h*w"]
    assert list(unsolvable(["h + w", "h - w"])) == ["h + w", "h - w"]
    assert list(unsolvable(["floordiv(h, 2)"])) == ["floordiv(h, 2)"]
    assert line("3 - 2*h", "h", {}) == (-2, 3)
    assert names_in("max(h - 2, 0)") == {"h"}
    assert value_of("max(h - 2, 0) - mod(w, 4)", {"h": 9, "w": 6}) == 5


def test_expressions_are_checked_by_apply_predict_and_jit() -> None:
    model = sharpen()
    params, state = model.init(jax.random.key(0))
    outputs = jax.jit(model.apply)(params, state, FITTING)[0]
    assert outputs.shape == (2, 8, 12, 2)
    np.testing.assert_allclose(model.predict(params, state, FITTING, batch_size=1), outputs, atol=1e-5)
    for use in (model.apply, model.predict, jax.jit(model.apply)):
        with pytest.raises(ShapeError, match=SAID):
            use(params, state, WRONG)


def test_a_fit_takes_batches_of_other_sizes_that_agree() -> None:
    trainer = jg.Trainer(sharpen(), optimizer=optax.sgd(0.01), loss="mse")
    wide = [rows(2, 1, 4, 2), rows(2, 4, 16, 2)]
    batches = [(FITTING, rows(2, 8, 12, 2)), (wide, rows(2, 4, 16, 2))]
    assert len(trainer.fit(batches, epochs=1, progress=False).history["loss"]) == 1
    with pytest.raises(ShapeError, match=SAID):
        trainer.fit((WRONG, rows(2, 8, 13, 2)), epochs=1, progress=False)


@pytest.mark.parametrize(
    ("small", "large", "shape"),
    [
        ((5, 3, 2), (20, 12, 2), "batch, 20, 12, 2"),
        (("p", "q", 2), ("4*p", "4*q", 2), "batch, 4*p, 4*q, 2"),
        (("w", "h", 2), ("4*w", "4*h", 2), "batch, 4*w, 4*h, 2"),  # the caller's names, the other way round
        (("2*p+1", "q-1", 2), ("8*p+4", "4*q-4", 2), "batch, 8*p + 4, 4*q - 4, 2"),
    ],
    ids=["numbers", "names", "swapped names", "expressions"],
)
def test_a_nested_call_takes_sizes_that_agree(small: tuple, large: tuple, shape: str) -> None:
    model = sharpen()
    inputs = [jg.Input(small), jg.Input(large)]
    outer = jg.Model(inputs, model(inputs))
    assert f"[{shape}]" in repr(outer.outputs)
    params, _ = outer.init(jax.random.key(0))
    fits = [rows(2, 5, 3, 2), rows(2, 20, 12, 2)]
    expected, _ = model.apply(params["sharpen"], {}, fits)
    np.testing.assert_array_equal(outer.apply(params, {}, fits)[0], expected)


def test_export_with_symbolic_sizes_runs_on_any_that_agree() -> None:
    model = sharpen()
    params, state = model.init(jax.random.key(0))
    n, u, v = export.symbolic_shape("n, u, v")
    specs = [jax.ShapeDtypeStruct((n, u, v, 2), "float32"), jax.ShapeDtypeStruct((n, 4 * u, 4 * v, 2), "float32")]
    exported = export.export(jax.jit(lambda inputs: model.apply(params, state, inputs)[0]))(specs)
    np.testing.assert_allclose(exported.call(FITTING), model.apply(params, state, FITTING)[0], atol=1e-5)
    specs[1] = jax.ShapeDtypeStruct((n, 4 * u, 3 * v, 2), "float32")
    with pytest.raises(ShapeError, match=r"expected size 4\*v \(for 4\*w with w = v\), got size 3\*v"):
        export.export(jax.jit(lambda inputs: model.apply(params, state, inputs)[0]))(specs)


def test_copies_and_files_keep_the_expressions(tmp_path: Path) -> None:
    model = sharpen()
    params, state = model.init(jax.random.key(0))
    copies = [pickle.loads(pickle.dumps(model)), jg.Model.from_json(model.to_json(), allow=[widened])]
    jg.save(tmp_path / "model", model, params, state)
    copies.append(jg.load(tmp_path / "model", allow=[widened])[0])
    for copy in copies:
        assert copy.fingerprint == model.fingerprint
        with pytest.raises(ShapeError, match=SAID):
            copy.apply(params, state, WRONG)


def test_a_free_axis_may_stand_anywhere() -> None:
    picture = jg.Input((None, 4, None, 3), name="picture")
    x = jg.op(jnp.sum)(picture, axis=(1, 3))
    model = jg.Model(picture, L.Dense(2)(x))
    params, _ = model.init(jax.random.key(0))
    for sizes in ((1, 5), (7, 2)):
        assert model.apply(params, {}, rows(3, sizes[0], 4, sizes[1], 3))[0].shape == (3, 4, 2)


def test_integers_of_numpy_are_sizes() -> None:
    size: Any = np.int64(3)
    assert jg.Input((size,)).shape[1] == 3
    assert type(jg.Input((size,)).shape[1]) is int
