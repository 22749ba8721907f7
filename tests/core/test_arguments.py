"""What layers are called on: several symbols, keyword symbols, and constants in any tree of arguments."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from jgraph.core.symbol import Symbol

KEY = jax.random.key(0)
A, B = (np.arange(6, dtype="float32").reshape(2, 3) + shift for shift in (0, 10))
OPTIONS = {"mode": "add", "none": None, "part": slice(1, None), "deep": (1, [2.5, "x", None]), "array": np.ones(3, "f")}


class Blend(jg.Layer):
    """Reads a symbol, what stands beside it, symbols deep in a keyword tree, and constants of all kinds."""

    mixes_rows = False

    def init(self, key: Any, x: Any, beside: Any = None, *, parts: Any = None) -> Any:
        assert isinstance(x, jax.ShapeDtypeStruct)
        return {"kernel": jnp.ones((x.shape[-1], 1 if parts is None else parts["all"][0].shape[-1]))}, {}

    def apply(
        self,
        params: Any,
        state: Any,
        x: Any,
        beside: Any = None,
        *,
        parts: Any = None,
        options: Any = None,
        train: bool = False,
        key: Any = None,
    ) -> Any:
        y = x @ params["kernel"]
        y = y if parts is None else y + parts["all"][0] * parts["all"][1]
        if options is not None:
            assert options["mode"] == "add"
            assert options["none"] is None
            assert options["deep"] == (1, [2.5, "x", None])
            y = y + options["array"][options["part"]].sum()
        return {"y": y, "pair": [y if beside is None else y + beside, 2 * y]}, state


def drawn(a: Any, b: Any) -> Any:
    return Blend(name="blend")(a, None, parts={"all": [b, 3.0]}, options=OPTIONS)


def value() -> np.ndarray:
    return A.sum(-1, keepdims=True) + 3 * B + 2


def test_constants_and_symbols_in_any_tree_reach_init_and_apply() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    model = jg.Model({"a": a, "b": b}, drawn(a, b))
    params, state = model.init(KEY)
    assert params["blend"]["kernel"].shape == (3, 3)
    x, y = jg.Input((3,)), jg.Input((3,))
    nested = jg.Model([x, y], model({"a": x, "b": y}), name="outer")
    copies = [
        (model, params, {"a": A, "b": B}),
        (pickle.loads(pickle.dumps(model)), params, {"a": A, "b": B}),
        (jg.Model.from_json(model.to_json(), allow=[Blend]), params, {"a": A, "b": B}),
        (nested, {"model": params}, [A, B]),
        (jg.Model.from_json(nested.to_json(), allow=[Blend]), {"model": params}, [A, B]),
    ]
    for copy, own, inputs in copies:
        outputs = jax.jit(copy.apply)(own, state, inputs)[0]
        for got, want in zip(jax.tree.leaves(outputs), (value(), 2 * value(), value()), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6)
    assert model.fingerprint == copies[1][0].fingerprint == copies[2][0].fingerprint


def test_what_a_call_reads_is_given_back_in_its_own_form() -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    model = jg.Model({"a": a, "b": b}, drawn(a, b))
    (x, none), words = model.input_of("blend")
    assert x is model.inputs["a"]
    assert none is None
    assert words["parts"]["all"][0] is model.inputs["b"]
    assert words["parts"]["all"][1] == 3.0
    assert words["options"]["part"] == slice(1, None)


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (jnp.split, lambda a, b: ((a, 3), {"axis": 1}), [A[:, :1], A[:, 1:2], A[:, 2:]]),
        (jnp.concatenate, lambda a, b: (([a, b],), {"axis": -1}), np.concatenate([A, B], -1)),
        (jnp.einsum, lambda a, b: (("bi,bj->bij", a, b), {}), np.einsum("bi,bj->bij", A, B)),
        (jax.lax.top_k, lambda a, b: ((a, 2), {}), None),
        (jnp.where, lambda a, b: ((a > 2, b, 0.5), {}), np.where(A > 2, B, 0.5)),
        (jnp.astype, lambda a, b: ((a, "int32"), {}), A.astype("int32")),
        (jnp.clip, lambda a, b: ((a,), {"min": 1.0, "max": b}), np.clip(A, 1.0, B)),
    ],
    ids=["split", "concatenate", "einsum", "top_k", "where", "astype", "clip"],
)
def test_any_function_takes_and_gives_any_tree(function: Any, arguments: Any, expected: Any) -> None:
    a, b = jg.Input((3,), name="a"), jg.Input((3,), name="b")
    args, options = arguments(a, b)
    model = jg.Model({"a": a, "b": b}, jg.op(function)(*args, **options))
    assert all(isinstance(leaf, Symbol) for leaf in jax.tree.leaves(model.outputs))
    want = function(*arguments(jnp.asarray(A), jnp.asarray(B))[0], **arguments(jnp.asarray(A), jnp.asarray(B))[1])
    for copy in (model, jg.Model.from_json(model.to_json())):
        outputs, _ = copy.apply({}, {}, {"a": A, "b": B})
        assert jax.tree.structure(outputs) == jax.tree.structure(want)
        jax.tree.map(np.testing.assert_array_equal, outputs, want)
    if expected is not None:
        jax.tree.map(lambda got, e: np.testing.assert_allclose(got, e, rtol=1e-6), want, expected)


def test_a_lambda_is_drawn_and_applied_and_refused_only_by_a_file() -> None:
    a = jg.Input((3,))
    model = jg.Model(a, jg.op(lambda v: v + 1)(a))
    np.testing.assert_array_equal(model.apply({}, {}, A)[0], A + 1)
    with pytest.raises(jg.errors.SaveError, match=r"Write it with def"):
        model.to_json()


class Masks(jg.Layer):
    """Counts the steps that count, of what its mask is given for."""

    def apply(self, params: Any, state: Any, x: Any, beside: Any = None, *, mask: Any = None, **options: Any) -> Any:
        given = mask if isinstance(mask, tuple) else (mask,)
        return sum((jnp.sum(m, axis=1) for m in given if m is not None), jnp.zeros(x.shape[0], int)), state


def test_the_only_symbol_may_be_a_keyword() -> None:
    x = jg.Input((3,), name="x")
    outputs = {
        "dense": jg.layers.Dense(2)(x=x),
        "sum": jg.op(jnp.sum)(a=x, axis=-1),
        "beside": jg.op(jnp.add)(np.ones(3, "f"), x),
    }
    model = jg.Model(x, outputs)
    params, state = model.init(KEY)
    found = model.apply(params, state, A)[0]
    np.testing.assert_allclose(found["dense"], A @ params["dense"]["kernel"], rtol=1e-6)
    np.testing.assert_allclose(found["sum"], A.sum(-1))
    words = jg.Input((4,), "int32", name="words")
    masked = jg.layers.Embedding(9, 2, mask_zero=True)(words)
    counted = jg.Model(words, [Masks()(masked), Masks()(x=masked)])
    rows = np.array([[1, 0, 2, 0], [0, 0, 0, 3]])
    assert [c.tolist() for c in counted.apply(*counted.init(KEY), rows)[0]] == [[2, 1]] * 2


def test_an_absent_input_keeps_its_place_among_the_masks() -> None:
    one, other = jg.Input((4, 2)), jg.Input((4, 2), optional=True)
    inner = jg.Model([one, other], Masks(name="count")(one, other), name="inner")
    words = jg.Input((4,), "int32", name="words")
    masked = jg.layers.Embedding(9, 2, mask_zero=True)(words)
    model = jg.Model(words, inner([masked, None]))
    node = next(n for n in model.nodes if n.path == "inner/count")
    assert not node.by_hand
    again = pickle.loads(pickle.dumps(model))
    rows = np.array([[1, 0, 2, 0], [0, 0, 0, 3]])
    drawings: list[Any] = [model, again, jg.Model.from_json(model.to_json(), allow=[Masks])]
    for drawn in drawings:
        assert drawn.apply(*drawn.init(KEY), rows)[0].tolist() == [2, 1]


def test_constants_are_ones_own() -> None:
    x, weights, index = jg.Input((3,), name="x"), np.ones(3, "f"), np.array([0, 1])
    model = jg.Model(x, (x * weights)[:, index])
    before = model.apply({}, {}, A)[0], model.fingerprint
    weights *= 5
    index[:] = 2
    assert (model.apply({}, {}, A)[0] == before[0]).all()
    assert jg.Model.from_json(model.to_json()).fingerprint == before[1]
