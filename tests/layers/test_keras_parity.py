"""Every layer that Keras has too: the same outputs, gradients and state from the same weights, over its options."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import check_twin, make_twin


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def label(value: Any) -> str | None:
    """A test's name from a configuration; the inputs' names are of no interest."""
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)


def test_identity() -> None:
    check_twin("Identity", {}, normal(3, 5, 4))


class TestMasks:
    """What goes on of a mask: Keras' `compute_mask`."""

    x = normal(3, 5, 4)

    @pytest.mark.parametrize(
        ("name", "config"),
        [
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
