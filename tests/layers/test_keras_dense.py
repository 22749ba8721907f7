"""Dense layers, embeddings and masking as in Keras: outputs and gradients over options in which each pair meets.

`scripts/compare/dense.py` has the full product.
"""

from typing import Any

import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import check_twin, make_twin

MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({}, (3, 4)),
        ({"activation": "relu", "use_bias": False}, (3, 4)),
        ({"activation": "softmax"}, (3, 5, 4)),
        ({"activation": "tanh", "use_bias": False}, (2, 3, 1, 4)),
    ],
    ids=str,
)
def test_dense(config: dict[str, Any], shape: tuple[int, ...]) -> None:
    check_twin("Dense", {"units": 6, **config}, normal(*shape))


@pytest.mark.parametrize(
    ("equation", "output_shape", "shape", "bias_axes", "activation"),
    [
        ("ab,b->a", (), (3, 5), None, "tanh"),
        ("ab,bc->ac", 4, (3, 5), "c", "softmax"),
        ("abc,cd->abd", (None, 4), (3, 2, 5), "d", None),
        ("abc,cde->abed", (2, 4, 3), (3, 2, 5), "bd", "tanh"),
        ("abc,bd->adc", (4, None), (3, 2, 5), "d", None),
        ("BFNH,NHD->BFD", (None, 4), (3, 2, 3, 5), "D", "softmax"),
        ("...b,bc->...c", 4, (3, 5), "c", "tanh"),
        ("...b,bc->...c", 4, (3, 2, 2, 5), None, "softmax"),
        ("...c,cde->...de", (3, 4), (3, 2, 5), "d", None),
        ("...ab,bc->...ac", (2, 4), (3, 2, 5), "ac", None),
        ("bc...,cd->bd...", 4, (3, 5), "d", None),
        ("bc...,cde->bde...", (3, 4), (3, 5, 2), "de", "tanh"),
    ],
)
def test_einsum_dense(
    equation: str, output_shape: Any, shape: tuple[int, ...], bias_axes: str | None, activation: str | None
) -> None:
    config = {"equation": equation, "output_shape": output_shape, "bias_axes": bias_axes, "activation": activation}
    check_twin("EinsumDense", config, normal(*shape))


@pytest.mark.parametrize(
    ("shape", "dtype", "mask_zero"),
    [((3,), "int32", False), ((3, 5), "uint8", True), ((2, 3, 4), "int16", False)],
    ids=str,
)
def test_embedding(shape: tuple[int, ...], dtype: str, mask_zero: bool) -> None:
    tokens = np.random.default_rng(0).integers(0, 7, shape).astype(dtype)
    check_twin("Embedding", {"input_dim": 7, "output_dim": 4, "mask_zero": mask_zero}, tokens)


@pytest.mark.parametrize("mask_value", [0.0, -1.0])
def test_masking(mask_value: float) -> None:
    x = normal(3, 5, 4)
    x[MASK] = mask_value
    check_twin("Masking", {"mask_value": mask_value}, x)


@pytest.mark.parametrize(
    ("name", "config", "x"),
    [
        ("Dense", {"units": 3, "kernel_regularizer": "l2", "bias_regularizer": "l1"}, normal(3, 4)),
        (
            "EinsumDense",
            {
                "equation": "ab,bc->ac",
                "output_shape": 3,
                "bias_axes": "c",
                "kernel_regularizer": "orthogonal_regularizer",
                "bias_regularizer": "l2",
            },
            normal(3, 4),
        ),
        ("Embedding", {"input_dim": 5, "output_dim": 2, "embeddings_regularizer": "l1"}, np.array([[1, 2]], "int32")),
    ],
    ids=["dense", "einsum_dense", "embedding"],
)
def test_regularizers_are_counted(name: str, config: dict[str, Any], x: Any) -> None:
    twin = make_twin(name, config, (x,))
    for v in twin.theirs.trainable_variables:
        v.assign(twin.params[v.name])
    np.testing.assert_allclose(twin.ours.regularization(twin.params), sum(twin.theirs.losses), rtol=1e-6)


def test_masks_that_go_on() -> None:
    """A Dense layer's goes on, an EinsumDense's ends, an Embedding makes one."""
    x, tokens = normal(3, 5, 4), np.array([[1, 2, 0], [0, 3, 0]], "int32")
    dense = make_twin("Dense", {"units": 3}, (x,))
    assert dense.theirs.compute_mask(x, MASK) is dense.ours.pass_mask(MASK, x) is MASK
    letters = make_twin("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 3}, (x,))
    assert not letters.theirs.supports_masking
    assert letters.ours.pass_mask(MASK, x) is None
    for mask_zero in (False, True):
        twin = make_twin("Embedding", {"input_dim": 4, "output_dim": 2, "mask_zero": mask_zero}, (tokens,))
        ours, theirs = twin.ours.pass_mask(None, tokens), twin.theirs.compute_mask(tokens)
        assert (ours is None) == (theirs is None) == (not mask_zero)
        if mask_zero:
            np.testing.assert_array_equal(ours, theirs)


class TestDifferences:
    """Where jgraph means something else than Keras, and why."""

    def test_masking_of_a_masked_input_keeps_both_masks(self) -> None:
        """Keras forgets the mask that came, so that padding would count again."""
        x = normal(3, 5, 4)
        x[:, 0] = 0
        twin = make_twin("Masking", {}, (x,))
        made = np.asarray(twin.theirs.compute_mask(x, MASK))
        np.testing.assert_array_equal(twin.ours.pass_mask(None, x), made)
        np.testing.assert_array_equal(twin.ours.pass_mask(MASK, x), made & MASK)

    def test_embedding_of_an_index_out_of_range_is_nan(self) -> None:
        """Keras on JAX reads from the end for -1; a wrong vocabulary should not pass for a right one."""
        twin = make_twin("Embedding", {"input_dim": 3, "output_dim": 2}, (np.array([[0]], "int32"),))
        tokens = np.array([[-1, 0, 3, -4]], "int32")
        missing = np.isnan(twin.apply(twin.params, (tokens,), False, None)[0]).all(-1)
        np.testing.assert_array_equal(missing, [[True, False, True, True]])

    def test_einsum_dense_takes_sizes_from_the_input(self) -> None:
        """Keras cannot make the kernel where `output_shape` leaves a size open that the kernel has."""
        config = {"equation": "abc,bcd->abd", "output_shape": (None, 4)}
        with pytest.raises(ValueError, match="None"):
            make_twin("EinsumDense", config, (normal(3, 2, 5),))
        assert jg.layers.EinsumDense(**config)(jg.Input((2, 5))).shape[1:] == (2, 4)
