"""Sums and concatenations, and what becomes of the masks of several inputs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg

RANDOM = np.random.default_rng(0)
A, B, C = (jnp.asarray(RANDOM.normal(size=(3, 4, 2)), "float32") for _ in range(3))


def test_values() -> None:
    np.testing.assert_array_equal(jg.layers.Add().apply({}, {}, [A, B, C])[0], (A + B) + C)
    np.testing.assert_allclose(jg.layers.Add().apply({}, {}, [A, B[:, :1]])[0], A + B[:, :1])
    for axis in (1, 2, -1, -2):
        y, state = jg.layers.Concatenate(axis).apply({}, {}, [A, B, C])
        np.testing.assert_array_equal(y, np.concatenate([A, B, C], axis))
        assert state == {}


def test_functions_draw_the_layers() -> None:
    x, y = jg.Input((2,), name="x"), jg.Input((2,), name="y")
    model = jg.Model([x, y], [jg.layers.add([x, y], name="sum"), jg.layers.concatenate([x, y], axis=1)])
    assert list(model.layers) == ["x", "y", "sum", "concatenate"]
    outputs, _ = model.apply({}, {}, [A[:, 0], B[:, 0]])
    np.testing.assert_array_equal(outputs[0], A[:, 0] + B[:, 0])
    np.testing.assert_array_equal(outputs[1], np.concatenate([A[:, 0], B[:, 0]], 1))


def masked_model(merge: Any, both: bool) -> jg.Model:
    """The mask of a merge of two embedded texts, the second of which is masked only if asked for."""
    texts = [jg.Input((3,), "int32", name=name) for name in ("first", "second")]
    first, second = (jg.layers.Embedding(5, 2, mask_zero=z)(t) for z, t in zip((True, both), texts, strict=True))
    return jg.Model(texts, merge([first, second]).mask)


FIRST, SECOND = np.array([[1, 0, 0], [0, 2, 3]], "int32"), np.array([[1, 2, 0], [0, 0, 3]], "int32")
UNION = [[True, True, False], [False, True, True]]
JOINED = [[True, False, False, True, True, False], [False, True, True, False, False, True]]


@pytest.mark.parametrize(
    ("merge", "both", "want"),
    [
        (jg.layers.Add(), True, UNION),
        (jg.layers.Concatenate(), True, UNION),
        (jg.layers.Concatenate(), False, [[True] * 3] * 2),
        (jg.layers.Concatenate(1), True, JOINED),
        (jg.layers.Concatenate(1), False, [[True, False, False, *[True] * 3], [False, True, True, *[True] * 3]]),
    ],
    ids=str,
)
def test_masks(merge: jg.Layer, both: bool, want: Any) -> None:
    model = masked_model(merge, both)
    params, state = model.init(jax.random.key(0))
    np.testing.assert_array_equal(model.apply(params, state, [FIRST, SECOND])[0], want)


def test_a_sum_with_an_unmasked_input_has_no_mask() -> None:
    x = jg.Input((3,), "int32", name="x")
    masked, whole = (jg.layers.Embedding(5, 2, mask_zero=zero)(x) for zero in (True, False))
    assert jg.layers.Add()([masked, whole]).mask is None
    assert jg.layers.Add()([whole, whole]).mask is None
    assert jg.layers.Concatenate()([whole, whole]).mask is None


def test_a_list_of_one_is_itself_with_its_mask() -> None:
    """Keras takes such lists, as code that gathers branches makes them."""
    x = jg.Input((3,), "int32", name="x")
    branch = jg.layers.Embedding(5, 2, mask_zero=True)(x)
    model = jg.Model(
        x, [branch, jg.layers.add([branch]), jg.layers.concatenate([branch]), jg.layers.add([branch]).mask]
    )
    params, state = model.init(jax.random.key(0))
    whole, added, joined, mask = model.apply(params, state, FIRST)[0]
    np.testing.assert_array_equal(added, whole)
    np.testing.assert_array_equal(joined, whole)
    np.testing.assert_array_equal(mask, np.asarray(FIRST) != 0)


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("Add", A + B),
        ("Subtract", A - B),
        ("Average", (A + B) / 2),
        ("Multiply", A * B),
        ("Maximum", np.maximum(A, B)),
        ("Minimum", np.minimum(A, B)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_and_masked_steps(name: str, want: Any) -> None:
    """A sum, difference or mean counts every value; a product or extreme leaves out what only one input masks."""
    merge = getattr(jg.layers, name)()
    np.testing.assert_allclose(merge.apply({}, {}, [A, B])[0], want, rtol=1e-6)
    first = np.array([[1, 1, 0, 0]] * 3, bool)
    second = np.array([[1, 0, 1, 0]] * 3, bool)
    y = np.asarray(merge.apply({}, {}, [A, B], mask=(first, second))[0])
    leaves_out = name in ("Multiply", "Maximum", "Minimum")
    one, other = (A, B) if leaves_out else (want, want)
    rest = np.zeros((3, 2)) if leaves_out else want[:, 3]
    expected = np.stack([want[:, 0], one[:, 1], other[:, 2], rest], axis=1)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_array_equal(merge.pass_mask((first, second), [A, B]), first | second)
    beside = np.asarray(merge.apply({}, {}, [A, B], mask=(first, None))[0])
    np.testing.assert_allclose(beside, np.where(first[..., None] | (not leaves_out), want, B), rtol=1e-6)


def test_masks_of_fewer_axes_are_those_of_whole_steps() -> None:
    steps, parts = jnp.asarray([[True, False]]), jnp.asarray([[[False] * 3, [True, False, False]]])
    union = jg.layers.Add().pass_mask((steps, parts), [jnp.ones((1, 2, 3, 1))] * 2)
    np.testing.assert_array_equal(union, [[[True] * 3, [True, False, False]]])


@pytest.mark.parametrize("name", ["Add", "Maximum", "Multiply"])
def test_tensors_of_fewer_axes_stand_for_every_step(name: str) -> None:
    """[batch, n] with [batch, time, n] is [batch, 1, n], with its mask; never lined up with the batch axis."""
    merge, rows = getattr(jg.layers, name)(), A[:, 0]
    np.testing.assert_array_equal(merge.apply({}, {}, [rows, B])[0], merge.apply({}, {}, [rows[:, None], B])[0])
    steps, whole = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool), np.array([True, False, False])
    masks, wide = (jnp.asarray(whole), jnp.asarray(steps)), (jnp.asarray(whole)[:, None], jnp.asarray(steps))
    shorter, longer = ([rows, B], [rows[:, None], B])
    np.testing.assert_array_equal(
        merge.apply({}, {}, shorter, mask=masks)[0], merge.apply({}, {}, longer, mask=wide)[0]
    )
    np.testing.assert_array_equal(merge.pass_mask(masks, shorter), steps | whole[:, None])


def test_ranks_and_free_axes_are_drawn() -> None:
    steps, row, one = jg.Input((None, 2), name="steps"), jg.Input((2,), name="row"), jg.Input((), name="one")
    model = jg.Model([steps, row, one], jg.layers.Average()([row, steps, one]))
    y, _ = model.apply({}, {}, [A, B[:, 0], C[:, 0, 0]])
    np.testing.assert_allclose(y, (A + B[:, :1] + C[:, :1, :1]) / 3, rtol=1e-6)
