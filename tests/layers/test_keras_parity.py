"""Every layer that Keras has too: the same outputs, gradients and state from the same weights, over its options."""

import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import check_twin, make_twin


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def product(**options: Any) -> list[dict[str, Any]]:
    """Every combination of the options."""
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


def label(value: Any) -> str | None:
    """A test's name from a configuration; the inputs' names are of no interest."""
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)


@pytest.mark.parametrize("config", product(activation=[None, "relu", "softmax"], use_bias=[True, False]), ids=label)
def test_dense(config: dict[str, Any]) -> None:
    check_twin("Dense", {"units": 6, **config}, normal(3, 4))


def test_dense_of_sequences() -> None:
    check_twin("Dense", {"units": 6}, normal(3, 5, 4))


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("config", product(center=[True, False], scale=[True, False]), ids=label)
def test_batch_normalization(config: dict[str, Any], train: bool) -> None:
    check_twin("BatchNormalization", config, 2 * normal(7, 4) + 1, train=train)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("config", [{}, {"axis": 1}, {"axis": -2, "momentum": 0.5, "epsilon": 0.1}], ids=label)
def test_batch_normalization_of_images(config: dict[str, Any], train: bool) -> None:
    check_twin("BatchNormalization", config, 2 * normal(3, 4, 5, 2) + 1, train=train)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("mask", [MASK, np.zeros_like(MASK)], ids=["some", "all"])
def test_batch_normalization_with_a_mask(mask: np.ndarray, train: bool) -> None:
    check_twin("BatchNormalization", {}, 2 * normal(3, 5, 4) + 1, train=train, mask=mask)


@pytest.mark.parametrize("config", product(mask_zero=[False, True]), ids=label)
@pytest.mark.parametrize("shape", [(3,), (3, 5), (2, 3, 4)], ids=str)
def test_embedding(config: dict[str, Any], shape: tuple[int, ...]) -> None:
    tokens = np.random.default_rng(0).integers(0, 7, shape).astype("int32")
    check_twin("Embedding", {"input_dim": 7, "output_dim": 4, **config}, tokens)


@pytest.mark.parametrize("name", ["Add", "Concatenate"])
def test_shapes_and_merges(name: str) -> None:
    one, two = normal(2, 6, 4), normal(2, 6, 4) + 1
    if name == "Add":
        check_twin(name, {}, [one, two, one])
        check_twin(name, {}, [one, normal(2, 1, 4)])
    else:
        for axis in (-1, 1, 2, -2):
            check_twin(name, {"axis": axis}, [one, two, one])


@pytest.mark.parametrize("name", ["Subtract", "Multiply", "Average", "Maximum", "Minimum"])
def test_merges(name: str) -> None:
    one, two, low = normal(2, 6, 4), normal(2, 6, 4)[::-1], normal(2, 1, 4)
    check_twin(name, {}, [one, low] if name == "Subtract" else [one, two, low])


@pytest.mark.parametrize(
    ("axes", "shapes"),
    [
        (1, [(2, 4), (2, 4)]),
        ((1, 2), [(2, 5, 3), (2, 4, 5)]),
        (-1, [(2, 5, 3), (2, 4, 3)]),
        ((2, -1), [(2, 5, 3), (2, 3)]),
        ((-1, 1), [(2, 5, 3), (2, 3, 4, 2)]),
    ],
    ids=str,
)
def test_dot(axes: Any, shapes: list[tuple[int, ...]]) -> None:
    xs = [normal(*shapes[0]), normal(*shapes[1]) + 1]
    check_twin("Dot", {"axes": axes}, xs, gradients=False)
    check_twin("Dot", {"axes": axes, "normalize": True}, xs, gradients=axes in (1, (1, 2)))


@pytest.mark.parametrize("name", ["Identity", "Masking"])
def test_layers_that_change_little(name: str) -> None:
    x = normal(3, 5, 4)
    x[MASK] = -1.0
    for config in [{}] if name == "Identity" else [{}, {"mask_value": -1.0}]:
        check_twin(name, config, x)


class TestMasks:
    """What goes on of a mask: Keras' `compute_mask`."""

    x = normal(3, 5, 4)
    other = np.roll(MASK, 1, axis=0)

    @pytest.mark.parametrize(
        ("name", "config"),
        [
            ("Dense", {"units": 3}),
            ("BatchNormalization", {}),
            ("Flatten", {}),
            ("Reshape", {"target_shape": (20,)}),
            ("Conv1D", {"filters": 2, "kernel_size": 2}),
            ("MaxPooling1D", {}),
            ("AveragePooling1D", {"pool_size": 2}),
            ("Identity", {}),
            ("GlobalMaxPooling1D", {}),
            ("GlobalAveragePooling1D", {}),
        ],
        ids=label,
    )
    def test_one_input(self, name: str, config: dict[str, Any]) -> None:
        twin = make_twin(name, config, (self.x,))
        theirs = twin.theirs.compute_mask(self.x, MASK) if twin.theirs.supports_masking else None
        theirs = theirs[0] if isinstance(theirs, list) else theirs
        assert (twin.ours.pass_mask(MASK, self.x) is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_array_equal(twin.ours.pass_mask(MASK, self.x), theirs)

    @pytest.mark.parametrize(
        "masks", [(MASK, other), (MASK, None), (None, MASK), (None, None)], ids=["2", "1-", "-1", "0"]
    )
    @pytest.mark.parametrize(
        ("name", "config"),
        [
            *((name, {}) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")),
            *(("Concatenate", {"axis": a}) for a in (-1, 1, -2)),
            ("Dot", {"axes": 2}),
        ],
        ids=label,
    )
    def test_merges(self, name: str, config: dict[str, Any], masks: tuple) -> None:
        xs = [self.x, self.x]
        twin = make_twin(name, config, (xs,))
        ours, theirs = twin.ours.pass_mask(masks, xs), twin.theirs.compute_mask(xs, list(masks))
        ours = ours if any(m is not None for m in masks) else None  # a drawn layer gets None, and no tuple of them
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_array_equal(ours, theirs)

    def test_concatenate_of_vectors(self) -> None:
        xs, masks = [self.x[:, 0], self.x[:, 1]], (MASK[:, 0], None)
        twin = make_twin("Concatenate", {}, (xs,))
        np.testing.assert_array_equal(twin.ours.pass_mask(masks, xs), twin.theirs.compute_mask(xs, list(masks)))

    def test_embedding(self) -> None:
        tokens = np.array([[1, 2, 0], [0, 3, 0]], "int32")
        for mask_zero in (False, True):
            twin = make_twin("Embedding", {"input_dim": 4, "output_dim": 2, "mask_zero": mask_zero}, (tokens,))
            ours, theirs = twin.ours.pass_mask(None, tokens), twin.theirs.compute_mask(tokens)
            assert (ours is None) == (theirs is None) == (not mask_zero)
            if mask_zero:
                np.testing.assert_array_equal(ours, theirs)


class TestDifferences:
    """Where jgraph means something else than Keras, and why."""

    def test_mean_of_no_steps_is_zero(self) -> None:
        """Keras divides by zero: one empty text would make the whole loss NaN."""
        x = normal(3, 5, 4)
        y, _ = jg.layers.GlobalAveragePooling1D().apply({}, {}, x, mask=jnp.zeros((3, 5), bool))
        np.testing.assert_array_equal(y, np.zeros((3, 4)))

    def test_maximum_of_no_steps_is_zero_and_of_some_leaves_the_masked_ones_out(self) -> None:
        """Keras warns that it destroys the mask, and takes the largest of what stands in the padding too."""
        x, mask = normal(3, 5, 4), jnp.asarray(np.vstack([MASK[:2], np.zeros((1, 5), bool)]))
        y = np.asarray(jg.layers.GlobalMaxPooling1D().apply({}, {}, x, mask=mask)[0])
        np.testing.assert_array_equal(y, [x[0, MASK[0]].max(0), x[1, MASK[1]].max(0), np.zeros(4)])

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
