"""Models with all that a drawing can hold, each with inputs that fit it: what edits and fingerprints are tried on."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jgraph as jg

L = jg.layers


class Count(jg.Layer):
    """Adds the number of its calls so far."""

    def init(self, key: Any, x: Any) -> Any:
        return {}, {"n": jnp.zeros(())}

    def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
        return x + state["n"], {"n": state["n"] + 1}


class Gate(jg.Layer):
    """`x * gate + shift`, where the two come by keyword and may be absent."""

    def init(self, key: Any, x: Any, **options: Any) -> Any:
        return {"gain": jnp.ones(x.shape[-1])}, {}

    def apply(
        self,
        params: Any,
        state: Any,
        x: Any,
        *,
        gate: Any = None,
        shift: Any = 0.0,
        train: bool = False,
        key: Any = None,
    ) -> Any:
        return x * params["gain"] * (1.0 if gate is None else gate) + shift, state


def noisy(width: int = 3, name: str | None = None, inner: Any = None) -> jg.Model:
    """A tower with random numbers, statistics and perhaps another model inside."""
    x = jg.Input((width,))
    h = L.Dense(3, activation="tanh")(x)
    return jg.Model(x, L.BatchNormalization()(L.Dropout(0.5)(h if inner is None else inner(h))), name=name)


def shared() -> jg.Model:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    dense, count = L.Dense(3, name="tower"), Count()
    h = [L.Dropout(0.5)(count(dense(x))) for x in (a, b)]
    return jg.Model({"a": a, "b": b}, {"sum": h[0] + h[1], "both": [h[0], L.concatenate(h)], "again": dense(h[0])})


def deep() -> jg.Model:
    """Three models deep, the outermost called twice and the innermost used outside too."""
    inner = noisy(name="inner")
    outer = noisy(name="outer", inner=noisy(inner=inner))
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    return jg.Model({"a": a, "b": b}, {"near": L.Dense(2)(outer(a) + outer(b)), "outside": inner(a)})


def stacks() -> jg.Model:
    """Stacks without an input, one in another, one called twice."""
    stack = jg.Sequential([L.Dense(3), jg.Sequential([L.Dropout(0.5), L.BatchNormalization()])])
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    return jg.Model({"a": a, "b": b}, [stack(a), stack(b), jg.Sequential([L.Dense(2)], name="end")(a - b)])


def recurrent() -> jg.Model:
    """Masks that come by themselves, by hand and across the border of a nested model; a layer with three outputs."""
    text, steps = jg.Input((4,), dtype="int32", name="text"), jg.Input((4, 3), name="steps")
    inner = jg.Input((4, 3))
    reader = jg.Model(inner, L.LSTM(3, return_sequences=True)(L.Dropout(0.5)(inner)), name="reader")
    embedded = L.Embedding(9, 3, mask_zero=True)(text)
    sequence, h, c = L.LSTM(3, return_sequences=True, return_state=True)(embedded)
    by_hand = L.GlobalAveragePooling1D()(L.Dense(3)(steps), mask=text > 1)
    read = reader(embedded)
    return jg.Model(
        {"text": text, "steps": steps},
        {"state": [h, c], "read": read, "unmasked": reader(steps), "by hand": by_hand, "sequence": sequence * 0.5},
    )


def keywords() -> jg.Model:
    """Keyword symbols, constants and an optional input."""
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b", optional=True)
    gated = Gate()(L.Dense(3)(a), gate=jg.op(jnp.tanh)(a), shift=np.float32(0.5))
    return jg.Model([a, b], (gated, Gate(name="maybe")(a, gate=b), jg.op(jnp.clip)(a[:, 1:], -0.5, max=0.5)))


def cut() -> jg.Model:
    """A model that begins and ends in the middle of another, inside of models nested in it."""
    whole = deep()
    start = whole.output_of("outer/model/inner/dense", call=0)
    end = whole.output_of("outer/model", call=0)
    return jg.Model({"middle": start, **whole.inputs}, {"end": end, "other": whole.outputs["outside"]})


def inside_out() -> jg.Model:
    """A tensor inside of a nested model is read from outside of it, and a layer is used on both sides."""
    dense = L.Dense(3, name="common")
    x, a = jg.Input((3,)), jg.Input((3,), name="a")
    inner = jg.Model(x, L.Dropout(0.5)(dense(x)), name="inner")
    first = jg.Model(a, inner(a))
    return jg.Model(first.inputs, first.outputs + dense(first.output_of("inner/common")))


MODELS: dict[str, Callable[[], jg.Model]] = {
    f.__name__: f for f in (shared, deep, stacks, recurrent, keywords, cut, inside_out)
}


def fed(model: jg.Model) -> Any:
    """Numbers for the inputs of a model."""
    random = np.random.default_rng(0)

    def rows(symbol: Any) -> np.ndarray:
        shape = (4, *symbol.shape[1:])
        whole = random.integers(0, 9, shape) * (random.random(shape) > 0.3)
        return whole.astype("int32") if symbol.dtype == jnp.int32 else random.normal(size=shape).astype("float32")

    return jax.tree.map(rows, model.inputs)


def program(model: jg.Model, key: jax.Array) -> str:
    """What XLA gets for outputs, state and gradients in training, and outputs outside of it: same text, same bits."""
    params, state = jax.eval_shape(model.init, key)

    def results(params: Any, state: Any, inputs: Any) -> Any:
        def loss(params: Any) -> Any:
            outputs, new = model.apply(params, state, inputs, train=True, key=key)
            return sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(outputs)), (outputs, new)

        return jax.value_and_grad(loss, has_aux=True)(params), model.apply(params, state, inputs)

    return jax.jit(results).lower(params, state, fed(model)).as_text()
