"""Attention as in Keras: outputs and gradients from the same weights, masks that go on, penalties, and differences.

`scripts/compare/attention.py` has the product of all options; here are a few sets that hold all pairs of what matters.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from keras.src.backend import set_keras_mask

from scripts.compare.attention import KEY_MASK, QUERY_MASK, VALUE_MASK, allowed, numbers, some
from tests.references.keras_twin import assert_close, check_twin, make_twin

QUERY, VALUE, KEYS = numbers(3, 4, 6), numbers(3, 5, 6), numbers(3, 5, 6) + 0.5
CAUSAL, SCORES = {"use_causal_mask": True}, {"return_attention_scores": True}
INPUTS = QUERY, VALUE, KEYS


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Attention", {"use_scale": True}),
        ("Attention", {"use_scale": True, "score_mode": "concat"}),
        ("AdditiveAttention", {}),
    ],
)
def test_lists(name: str, config: dict[str, Any]) -> None:
    masks = [QUERY_MASK, VALUE_MASK, None]
    check_twin(name, config, [QUERY, VALUE], mask=masks[:2])
    plain = {**config, "use_scale": False}
    check_twin(name, plain, [QUERY, VALUE], gradients=False, **CAUSAL)
    check_twin(name, plain, [QUERY, VALUE[..., :2], KEYS], mask=masks, gradients=False, **CAUSAL, **SCORES)


@pytest.mark.parametrize(
    ("config", "masks", "options"),
    [
        ({"use_gate": True}, (QUERY_MASK, VALUE_MASK, KEY_MASK), {}),
        ({"output_shape": (2, 3), "value_dim": 4}, (None, VALUE_MASK, None), {**CAUSAL, **SCORES}),
        (
            {"sliding_window": 2, "output_shape": 7},
            (None, None, KEY_MASK),
            {"attention_mask": allowed(3, {}), **CAUSAL},
        ),
        ({"sliding_window": 2, "dropout": 0.3}, None, {"attention_mask": allowed(4, {"num_heads": 2}), **SCORES}),
    ],
    ids=["gate", "output-scores", "window", "dropout"],
)
def test_multi_head(config: dict[str, Any], masks: Any, options: dict[str, Any]) -> None:
    """Without biases: that of the keys has a gradient of 0, whose rounding has no size."""
    config = {"num_heads": 2, "key_dim": 3, "use_bias": False, **config}
    check_twin("MultiHeadAttention", config, QUERY, VALUE[..., :4], KEYS, mask=masks, **options)


@pytest.mark.parametrize(
    ("axes", "shapes", "options"),
    [
        (-2, ((2, 3, 4, 5), (2, 3, 2, 3)), {"attention_mask": some(2, 3, 2, 4, 2), **SCORES}),
        ((3, 1), ((2, 3, 2, 4, 5), (2, 2, 2, 3, 5)), {"attention_mask": some(2, 2, 4, 3, 3, 2)}),
    ],
    ids=["last", "two of three"],
)
def test_several_axes(axes: Any, shapes: tuple, options: dict[str, Any]) -> None:
    config = {"num_heads": 2, "key_dim": 3, "attention_axes": axes, "use_bias": False}
    check_twin("MultiHeadAttention", config, *(numbers(*s) for s in shapes), **options)


@pytest.mark.parametrize(
    ("config", "masks", "options"),
    [
        (
            {"num_query_heads": 4, "num_key_value_heads": 2, "use_gate": True, "sliding_window": 2},
            None,
            {"attention_mask": allowed(2, {}), **SCORES},
        ),
        ({"num_query_heads": 3, "num_key_value_heads": 1}, (QUERY_MASK, VALUE_MASK, None), CAUSAL),
    ],
    ids=["groups", "one"],
)
def test_group_query(config: dict[str, Any], masks: Any, options: dict[str, Any]) -> None:
    config = {"head_dim": 3, "use_bias": False, **config}
    check_twin("GroupQueryAttention", config, QUERY, VALUE, KEYS, mask=masks, **options)


HEADS = [
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
]


@pytest.mark.parametrize(("name", "config"), HEADS)
def test_biases_and_penalties(name: str, config: dict[str, Any]) -> None:
    """Outputs with biases, and the losses that Keras' projections add: of activities, kernels and biases."""
    config = {**config, "use_gate": True, "kernel_regularizer": "l2", "bias_regularizer": "l1"}
    twin = make_twin(name, {**config, "activity_regularizer": "l2"}, INPUTS)
    y, _ = jax.jit(lambda params: twin.apply(params, INPUTS, False, None))(twin.params)
    trained = jax.tree.leaves([twin.params[p.path.split("/")[-2]][p.name] for p in twin.theirs.trainable_variables])
    call = jax.jit(lambda trained: twin.theirs.stateless_call(trained, twin.seeds, *INPUTS, return_losses=True))
    theirs, _, losses = call(trained)
    assert_close(y, theirs, "outputs")
    ours = twin.ours.penalty(twin.params, INPUTS, y) + twin.ours.regularization(twin.params)
    assert_close(ours, jnp.sum(jnp.stack(losses)), "losses")
    assert len(losses) == 15


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
@pytest.mark.parametrize(
    "masks", [(QUERY_MASK, VALUE_MASK), (None, VALUE_MASK), (QUERY_MASK, None)], ids=["both", "value", "query"]
)
def test_masks_of_lists_go_on(name: str, masks: tuple) -> None:
    twin = make_twin(name, {}, ([QUERY, VALUE],))
    ours, theirs = twin.ours.pass_mask(masks, [QUERY, VALUE]), twin.theirs.compute_mask([QUERY, VALUE], list(masks))
    assert (ours is None) == (theirs is None)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize(("name", "config"), HEADS)
def test_masks_of_queries_go_on(name: str, config: dict[str, Any]) -> None:
    twin = make_twin(name, config, (QUERY, VALUE))
    query = jnp.asarray(QUERY)
    set_keras_mask(query, QUERY_MASK)
    assert twin.theirs.supports_masking
    assert twin.theirs.compute_mask(query, QUERY_MASK) is QUERY_MASK
    assert twin.ours.pass_mask((QUERY_MASK, VALUE_MASK), QUERY, VALUE) is QUERY_MASK
    assert twin.ours.pass_mask((None, VALUE_MASK, KEY_MASK), QUERY, VALUE, KEYS) is None


class TestDifferences:
    """Where jgraph means something else than Keras, and why."""

    @pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
    def test_lists_that_see_nothing(self, name: str) -> None:
        """Keras averages the values that are masked."""
        mask = [None, np.vstack([VALUE_MASK[:2], np.zeros((1, 5), bool)])]
        twin = make_twin(name, {}, ([QUERY, VALUE],))
        ours, theirs = (np.asarray(f(twin.params, ([QUERY, VALUE],), False, mask)[0]) for f in twin.functions())
        np.testing.assert_allclose(ours[:2], theirs[:2], rtol=1e-4, atol=1e-5)
        assert not ours[2].any()
        assert theirs[2].any()

    def test_heads_that_see_nothing(self) -> None:
        """Keras averages what is masked, unless weights are asked for: then it gives 0, as jgraph always does."""
        seen = np.array([[True, False, False, False, True]] * 2 + [[False] * 5] * 2)
        twin = make_twin("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "use_bias": False}, (QUERY, VALUE))
        results = []
        for function in twin.functions():
            results += [function(twin.params, (QUERY, VALUE), False, None, attention_mask=seen)[0]]
            results += [function(twin.params, (QUERY, VALUE), False, None, attention_mask=seen, **SCORES)[0][0]]
        ours, ours_too, theirs, theirs_too = map(np.asarray, results)
        np.testing.assert_allclose(ours, theirs_too, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours_too, theirs_too, rtol=1e-4, atol=1e-5)
        assert not ours[:, 2:].any()
        assert theirs[:, 2:].any()

    def test_another_width_of_values(self) -> None:
        """Keras fails where no weights are asked for; the outputs are those that it gives with them."""
        twin = make_twin("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "value_dim": 2}, (QUERY, VALUE))
        ours = twin.apply(twin.params, (QUERY, VALUE), False, None)[0]
        assert_close(ours, twin.stateless_call(twin.params, (QUERY, VALUE), False, None, **SCORES)[0][0], "outputs")
        with pytest.raises((TypeError, ValueError), match="shape"):
            twin.stateless_call(twin.params, (QUERY, VALUE), False, None)
