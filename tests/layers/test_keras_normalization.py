"""Normalisation as in Keras: outputs, state and gradients over sets of options in which each pair meets.

`scripts/compare/normalization.py` has the full product.
"""

from typing import Any

import keras
import numpy as np
import pytest

import jgraph as jg
from tests.references.keras_twin import check_twin, make_twin

MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)
STEPS, IMAGE = (3, 5, 4), (2, 3, 4, 6)


def normal(*shape: int) -> Any:
    return (2 * np.random.default_rng(sum(shape)).normal(size=shape) + 1).astype("float32")


def label(value: Any) -> str | None:
    """A test's name from a configuration."""
    return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("config", "shape", "train"),
    [
        ({}, (7, 4), True),
        ({"center": False}, (7, 4), False),
        ({"scale": False, "axis": 1}, STEPS, True),
        ({"center": False, "scale": False, "axis": -2, "momentum": 0.5, "epsilon": 0.1}, IMAGE, True),
        ({"axis": 1}, IMAGE, False),
    ],
    ids=str,
)
def test_batch_normalization(config: dict[str, Any], shape: tuple[int, ...], train: bool) -> None:
    check_twin("BatchNormalization", config, normal(*shape), train=train)


@pytest.mark.parametrize(
    ("config", "mask", "train"),
    [
        ({}, MASK, True),
        ({"axis": 1, "scale": False}, MASK, True),
        ({}, np.zeros_like(MASK), True),
        ({}, MASK, False),
        ({"renorm": True, "renorm_clipping": {"rmax": 1.2, "dmax": 0.3}, "renorm_momentum": 0.6}, MASK, True),
    ],
    ids=["some", "other axis", "none", "after training", "renorm"],
)
def test_batch_normalization_with_a_mask(config: dict[str, Any], mask: np.ndarray, train: bool) -> None:
    check_twin("BatchNormalization", config, normal(*STEPS), train=train, mask=mask)


@pytest.mark.parametrize(
    "config", [{"renorm_clipping": {"rmin": 0.9, "rmax": 1.1}, "scale": False}, {"center": False}], ids=label
)
def test_batch_renormalization(config: dict[str, Any]) -> None:
    check_twin("BatchNormalization", {"renorm": True, **config}, normal(7, 4), train=True)


@pytest.mark.parametrize(
    ("name", "config", "shape"),
    [
        ("LayerNormalization", {}, (7, 4)),
        ("LayerNormalization", {"axis": [2, 1], "center": False}, STEPS),
        ("LayerNormalization", {"axis": (1, -1), "epsilon": 0.2}, IMAGE),
        ("LayerNormalization", {"axis": 1, "scale": False}, IMAGE),
        ("GroupNormalization", {"groups": 3}, IMAGE),
        ("GroupNormalization", {"groups": -1, "axis": 2, "center": False}, IMAGE),
        ("GroupNormalization", {"groups": 2, "axis": -2, "scale": False, "epsilon": 0.1}, IMAGE),
        ("GroupNormalization", {"groups": 4}, (7, 4)),
        ("RMSNormalization", {}, STEPS),
        ("RMSNormalization", {"axis": [-1, -2], "epsilon": 0.1}, IMAGE),
        ("UnitNormalization", {}, (7, 4)),
        ("UnitNormalization", {"axis": (3, 1)}, IMAGE),
    ],
    ids=str,
)
def test_within_rows(name: str, config: dict[str, Any], shape: tuple[int, ...]) -> None:
    check_twin(name, config, normal(*shape))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Normalization", {"mean": 2.0, "variance": 3.0}),
        ("Normalization", {"axis": (3, 1), "mean": normal(3, 1), "variance": normal(3, 1) ** 2, "invert": True}),
        ("Normalization", {"axis": None, "mean": 2.0, "variance": 0.0}),
        ("Normalization", {"axis": (1, 2), "mean": normal(4), "variance": normal(4) ** 2}),
        ("Rescaling", {"scale": 0.5}),
        ("Rescaling", {"scale": normal(4, 6), "offset": normal(6)}),
    ],
    ids=["one", "two axes back", "all", "broadcast", "rescaling", "rescaling arrays"],
)
def test_by_given_numbers(name: str, config: dict[str, Any]) -> None:
    check_twin(name, config, normal(*IMAGE))


@pytest.mark.parametrize("name", ["BatchNormalization", "LayerNormalization", "GroupNormalization"])
def test_regularizers_are_counted(name: str) -> None:
    x = normal(3, 4)
    groups = {"groups": 2} if name.startswith("Group") else {}
    twin = make_twin(name, {"beta_regularizer": "l1", "gamma_regularizer": "l2", **groups}, (x,))
    for v in twin.theirs.trainable_variables:
        v.assign(twin.params[v.name])
    np.testing.assert_allclose(twin.ours.regularization(twin.params), sum(twin.theirs.losses), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("BatchNormalization", {}),
        ("LayerNormalization", {}),
        ("GroupNormalization", {"groups": 2}),
        ("UnitNormalization", {}),
        ("Normalization", {"mean": 1.0, "variance": 1.0}),
        ("Rescaling", {"scale": 2.0}),
    ],
    ids=str,
)
def test_masks_go_on(name: str, config: dict[str, Any]) -> None:
    theirs = getattr(keras.layers, name)(**config)
    assert theirs.supports_masking
    assert theirs.compute_mask(None, MASK) is getattr(jg.layers, name)(**config).pass_mask(MASK, None) is MASK


class TestDifferences:
    """Where jgraph means something else than Keras, and why."""

    def test_a_mask_goes_through_rms_normalization(self) -> None:
        """Keras' layer says that it knows no masks, and destroys them, though every step stays where it is."""
        assert not keras.layers.RMSNormalization().supports_masking
        assert jg.layers.RMSNormalization().pass_mask(MASK, None) is MASK

    def test_the_scale_of_rms_normalization_lies_along_its_axis(self) -> None:
        """Keras lines it up with the last axes, which fails, or scales others where the sizes happen to agree."""
        twin = make_twin("RMSNormalization", {"axis": 1}, (normal(2, 3, 3),))
        x, params = np.ones((1, 3, 3), "float32"), {"scale": np.array([1.0, 2.0, 3.0], "float32")}
        ours, theirs = (np.asarray(f(params, (x,), False, None)[0])[0] for f in twin.functions())
        np.testing.assert_allclose(ours[:, 0], [1, 2, 3], rtol=1e-5)
        np.testing.assert_allclose(theirs[0], [1, 2, 3], rtol=1e-5)

    def test_a_masked_feature_of_size_one_is_normalised(self) -> None:
        """Keras squeezes its only axis away, and fails."""
        x = normal(3, 5, 1)
        twin = make_twin("BatchNormalization", {}, (x,))
        with pytest.raises(Exception, match=r"out of range|index"):
            twin.stateless_call(twin.params, (x,), True, MASK)
        y, _ = twin.apply({"gamma": np.ones(1), "beta": np.zeros(1)}, (x,), True, MASK)
        np.testing.assert_allclose(np.asarray(y)[MASK].mean(), 0, atol=1e-6)
