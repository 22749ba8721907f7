"""Inputs that may be absent: `Input(optional=True)` given `None` wherever arrays are given."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ResumeError, ShapeError, SymbolError

L = jg.layers
KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def rows(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype("float32")


class Mixed(jg.Layer):
    """Weighs the first input, adds and multiplies by the others where they are there."""

    mixes_rows = False

    def init(self, key: Any, x: Any, more: Any, *, scale: Any = None) -> Any:
        assert scale is None or scale.shape[1:] == x.shape[1:]
        return {"gain": np.full(x.shape[-1], 2.0, "float32")}, {}

    def apply(
        self, params: Any, state: Any, x: Any, more: Any, *, scale: Any = None, train: bool = False, key: Any = None
    ) -> Any:
        y = x * params["gain"]
        y = y if more is None else y + more
        return y if scale is None else y * scale, state


def mixed() -> jg.Model:
    """`x` is always there, `more` and `scale` may be absent."""
    x = jg.Input((3,), name="x")
    more, scale = (jg.Input((3,), name=name, optional=True) for name in ("more", "scale"))
    return jg.Model({"x": x, "more": more, "scale": scale}, Mixed(name="mixed")(x, more, scale=scale), name="mixing")


def given(count: int = 6, *there: str) -> dict[str, Any]:
    return {"x": rows(count, 3), **{name: rows(count, 3) if name in there else None for name in ("more", "scale")}}


def expected(inputs: dict[str, Any], gain: Any = 2.0) -> np.ndarray:
    y = inputs["x"] * gain + (0 if inputs["more"] is None else inputs["more"])
    return y if inputs["scale"] is None else y * inputs["scale"]


@pytest.mark.parametrize("there", [(), ("more",), ("scale",), ("more", "scale")], ids=str)
def test_what_is_absent_is_none_in_apply_predict_and_jit(there: tuple[str, ...]) -> None:
    model = mixed()
    params, state = model.init(KEY)
    inputs = given(5, *there)
    for outputs in (
        model.apply(params, state, inputs)[0],
        jax.jit(model.apply)(params, state, inputs)[0],
        model.predict(params, state, inputs, batch_size=2),
    ):
        np.testing.assert_allclose(outputs, expected(inputs), rtol=1e-6)


def test_only_an_optional_input_may_be_absent() -> None:
    model = mixed()
    params, state = model.init(KEY)
    inputs = {**given(2, "more"), "x": None}
    for use in (model.apply, model.predict):
        with pytest.raises(SymbolError, match=r"input 'x'.*got None.*optional=True"):
            use(params, state, inputs)


@pytest.mark.parametrize("there", [(), ("more", "scale")], ids=["absent", "there"])
def test_training_with_and_without(there: tuple[str, ...]) -> None:
    trainer = jg.Trainer(mixed(), optimizer=optax.sgd(0.05), loss="mse")
    inputs, targets = given(12, *there), rows(12, 3)
    run = trainer.fit((inputs, targets), epochs=1, batch_size=5, validation_split=0.25, progress=False)
    gain = np.asarray(run.train_state.params["mixed"]["gain"])
    outputs = expected(inputs, gain)
    np.testing.assert_allclose(trainer.predict(run.train_state, inputs, batch_size=5), outputs, rtol=1e-5)
    loss = trainer.evaluate(run.train_state, (inputs, targets), batch_size=5)["loss"]
    np.testing.assert_allclose(loss, np.mean((outputs - targets) ** 2), rtol=1e-5)
    part = np.mean((outputs[9:] - targets[9:]) ** 2)
    np.testing.assert_allclose(run.history["val_loss"], [part], rtol=1e-5)
    _, logs = trainer.step(run.train_state, (inputs, targets))
    np.testing.assert_allclose(logs["loss"], loss, rtol=1e-5)


def test_batches_may_differ_in_what_is_there_and_weights_stand_beside() -> None:
    trainer = jg.Trainer(mixed(), optimizer=optax.sgd(0.05), loss="mse")
    batches = [(given(4), rows(4, 3), np.ones(4)), (given(4, "more"), rows(4, 3), np.ones(4))]
    first, second = (trainer.fit(batches, epochs=2, progress=False) for _ in range(2))
    assert first.history == second.history


def test_a_resumed_run_knows_what_was_absent(tmp_path: Path) -> None:
    trainer = jg.Trainer(mixed(), optimizer=optax.adam(0.05), loss="mse")
    inputs, targets = given(8), rows(8, 3)
    options: Any = {"batch_size": 3, "progress": False, "callbacks": [jg.callbacks.Checkpoint(tmp_path)]}
    trainer.fit((inputs, targets), epochs=1, **options)
    resumed = trainer.fit((inputs, targets), epochs=2, resume=tmp_path, **options)
    whole = trainer.fit((inputs, targets), epochs=2, batch_size=3, progress=False)
    jax.tree.map(np.testing.assert_array_equal, resumed.train_state.params, whole.train_state.params)
    with pytest.raises(ResumeError, match="data"):
        trainer.fit(({**inputs, "more": rows(8, 3)}, targets), epochs=3, resume=tmp_path, **options)


def test_a_saved_model_takes_none_again(tmp_path: Path) -> None:
    model, inputs = mixed(), given(2, "scale")
    params, state = model.init(KEY)
    jg.save(tmp_path / "model", model, params, state)
    loaded, params, state = jg.load(tmp_path / "model", allow=[Mixed])
    np.testing.assert_allclose(loaded.apply(params, state, inputs)[0], expected(inputs), rtol=1e-6)


def test_a_nested_model_is_called_on_none_on_an_optional_and_on_any_symbol() -> None:
    model = mixed()
    x, more = jg.Input((3,), name="x"), jg.Input((3,), name="more", optional=True)
    outer = jg.Model(
        [x, more],
        [
            model({"x": x, "more": None, "scale": None}),
            model({"x": x, "more": more, "scale": None}),
            model({"x": x, "more": x, "scale": more}),
        ],
    )
    params, state = outer.init(KEY)
    a, b = rows(2, 3), rows(2, 3)
    for absent in (False, True):
        outputs, _ = outer.apply(params, state, [a, None if absent else b])
        want = [2 * a, 2 * a, 3 * a] if absent else [2 * a, 2 * a + b, 3 * a * b]
        for got, value in zip(outputs, want, strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-6)
    assert outer.input_of("mixing", call=0)["more"] is None


class Beside(jg.Layer):
    """A sequence with a mask, and one without that may be absent."""

    def apply(
        self, params: Any, state: Any, x: Any, more: Any, *, mask: Any = None, train: bool = False, key: Any = None
    ) -> Any:
        own, other = mask
        assert own is not None
        assert other is None
        return x if more is None else x + more, state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        return mask[0]


def test_masks_keep_their_places_beside_what_is_absent() -> None:
    words, more = jg.Input((4,), dtype="int32", name="words"), jg.Input((4, 2), name="more", optional=True)
    x = Beside()(L.Embedding(5, 2, mask_zero=True, name="table")(words), more)
    inner = jg.Model([words, more], L.GlobalAveragePooling1D()(x), name="inner")
    w, m = jg.Input((4,), dtype="int32"), jg.Input((4, 2), optional=True)
    outer = jg.Model([w, m], inner([w, m]))
    params, _ = outer.init(KEY)
    table = params["inner"]["table"]["embeddings"]
    for extra in (None, rows(1, 4, 2)):
        outputs, _ = outer.apply(params, {}, [np.array([[1, 2, 0, 0]]), extra])
        counted = table[np.array([1, 2])] + (0 if extra is None else extra[0, :2])
        np.testing.assert_allclose(outputs[0], counted.mean(0), rtol=1e-5)


def test_a_layer_must_do_without_each_of_several_optional_inputs() -> None:
    x, a, b = jg.Input((3,)), jg.Input((3,), optional=True), jg.Input((3,), optional=True)
    both = jg.op(lambda x, a, b: x if a is None and b is None else x + a + b)
    with pytest.raises(ShapeError, match="on an optional input that is absent"):
        both(x, a, b)
