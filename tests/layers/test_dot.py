"""Products along an axis: what the two other axes are, and vectors of length zero."""

import jax
import jax.numpy as jnp
import numpy as np

import jgraph as jg


def test_values() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 3, 4)), random.normal(size=(2, 4, 5))
    got, _ = jg.layers.Dot((2, 1)).apply({}, {}, [jnp.asarray(x, "float32"), jnp.asarray(y, "float32")])
    np.testing.assert_allclose(got, np.einsum("bij,bjk->bik", x, y), rtol=1e-5)
    rows = [jnp.asarray(x[:, 0], "float32"), jnp.asarray(y[:, :, 0], "float32")]
    cosine, _ = jg.layers.Dot(1, normalize=True).apply({}, {}, rows)
    lengths = np.linalg.norm(x[:, 0], axis=1) * np.linalg.norm(y[:, :, 0], axis=1)
    np.testing.assert_allclose(cosine, (np.sum(x[:, 0] * y[:, :, 0], axis=1) / lengths)[:, None], rtol=1e-5)


def test_the_cosine_of_nothing_is_zero_and_has_a_gradient() -> None:
    """Keras' gradient is NaN there: padding of zeros would spoil every weight."""

    def cosine(x: jax.Array) -> jax.Array:
        return jg.layers.Dot(1, normalize=True).apply({}, {}, [x, jnp.ones((1, 3))])[0].sum()

    value, gradient = jax.value_and_grad(cosine)(jnp.zeros((1, 3)))
    assert value == 0
    assert np.isfinite(gradient).all()


def test_the_function_draws_the_layer_and_ends_masks() -> None:
    x = jg.layers.Masking()(jg.Input((3, 2)))
    y = jg.layers.dot([x, x], axes=2, name="products")
    assert (y.shape[1:], y.mask, y.call.layer.name) == ((3, 3), None, "products")
