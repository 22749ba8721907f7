"""Layers that disturb their input while training, and one that penalises it.

What each makes of `x` while training, with `rate` the part that is dropped; otherwise each is the identity:

    Dropout              0 or x / (1 - rate), for each element
    SpatialDropout1D     the same for a whole feature of a row, over all steps; 2D: over an image, 3D: a volume
    AlphaDropout         the value that SELU saturates at, or x; then stretched to mean 0 and variance 1
    GaussianDropout      x * noise, of mean 1 and the variance that dropout has
    GaussianNoise        x + noise, of mean 0

Draws come from the key that is given to `apply`, and so from the key of the step and the path in the model.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jgraph.core.layer import Layer
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DTypeError, RandomKeyError, ShapeError
from jgraph.layers.activation import Identity
from jgraph.layers.checks import check_positive, check_rank
from jgraph.layers.standard import Standard
from jgraph.regularizers import L1L2
from jgraph.typing import Array, Key, Params, Spec, State


class Disturbance(Standard):
    """The base of layers that are the identity but while training: `y = disturbed(x, key)`; passes a mask on."""

    mixes_rows = False
    logits = "as inputs"
    amount: ClassVar[str] = "rate"
    """The field of which 0 disturbs nothing, and draws nothing."""

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise DTypeError(repr(self), expected="floating-point numbers", got=show(x), cure="Embed or cast it first.")
        return {}, {}

    def disturbed(self, x: Array, key: Key) -> Array:
        """What training sees of `x`; a layer of this kind overrides it."""
        del key
        return x

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Disturbs while training."""
        del params
        disturbs = train and getattr(self, self.amount) > 0
        return (self.disturbed(x, need_key(self, key)) if disturbs else x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class Dropout(Disturbance):
    """`y = where(keep, x / (1 - rate), 0)` while training, with `keep` true with probability `1 - rate`; else `x`.

    `rate` is the fraction dropped. `noise_shape`, of the input's rank, has 1 where one draw serves a whole axis and
    `None` where the size is the input's. Passes a mask on. As `keras.layers.Dropout` (Srivastava et al. 2014), which
    takes a rate of 1 too, of which nothing is left.

    Raises:
        ArgumentError: `rate` is not in [0, 1), or `noise_shape` not a tuple of positive integers and `None`.
        ShapeError: `noise_shape` does not fit the input.
        DTypeError: the input is not of a floating-point dtype.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.Dropout(0.5)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    rate: float
    noise_shape: tuple | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        where = type(self).__name__
        if self.noise_shape is not None and not isinstance(self.noise_shape, (tuple, list)):
            raise ArgumentError(
                f"{where}, noise_shape",
                expected="a tuple of None and positive integers",
                got=repr(self.noise_shape),
                cure="Write (None, 1, None) to drop whole steps.",
            )
        check_positive(where, noise_shape=[1 if n is None else n for n in self.noise_shape or (None,)])

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        noise = self.noise_shape or (None,) * len(x.shape)
        if len(noise) != len(x.shape) or any(n not in (None, 1, d) for n, d in zip(noise, x.shape, strict=True)):
            raise ShapeError(
                repr(self),
                expected="as many axes as noise_shape has, each of its size where that is not 1 or None",
                got=show(x),
                cure="Write None where the size is the input's, and 1 where one draw serves the axis.",
            )
        return super().init(key, x)

    def disturbed(self, x: Array, key: Key) -> Array:
        """Drops and scales."""
        return drop(x, self.rate, self._draws(x), key)

    def _draws(self, x: Array) -> list[int]:
        """The shape of what is drawn."""
        return [size if n is None else n for n, size in zip(self.noise_shape or (None,) * x.ndim, x.shape, strict=True)]


class AlphaDropout(Dropout):
    """`y = a * where(keep, x, s) + b` while training, which keeps a mean of 0 and a variance of 1; else `x`.

    For activations of `selu`, which it sets to `s = -1.758`, what they saturate at; `a` and `b` bring mean and variance
    back. `keep` is true with probability `1 - rate`, drawn in the shape `noise_shape` as by `Dropout`. Passes a mask
    on. As `keras.layers.AlphaDropout` (Klambauer et al. 2017).

    Raises:
        ArgumentError: `rate` is not in [0, 1), or `noise_shape` not a tuple of positive integers and `None`.
        ShapeError: `noise_shape` does not fit the input.
        DTypeError: the input is not of a floating-point dtype.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.AlphaDropout(0.1)(jg.layers.Dense(8, activation="selu")(jg.Input((4,))))
    <Symbol float32[batch, 8]>
    """

    def disturbed(self, x: Array, key: Key) -> Array:
        """Saturates, and scales back."""
        low = -1.0507009873554805 * 1.6732632423543772  # SELU's scale and alpha
        a = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        keep = jax.random.bernoulli(key, 1 - self.rate, self._draws(x))
        return a * jnp.where(keep, x, low) - a * low * self.rate


class SpatialDropout(Disturbance):
    """The base of `SpatialDropout1D`, `2D` and `3D`: a feature of a row is dropped at all of its places, or at none."""

    rate: float

    spatial: ClassVar[tuple[str, ...]] = ()
    """The names of the axes between the batch and the features."""

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the input; there is nothing to keep."""
        check_rank(self, x, 2 + len(self.spatial), f"[{', '.join(('batch', *self.spatial, 'channels'))}]")
        return super().init(key, x)

    def disturbed(self, x: Array, key: Key) -> Array:
        """Drops whole features, and scales."""
        return drop(x, self.rate, (x.shape[0], *(1,) * len(self.spatial), x.shape[-1]), key)


class SpatialDropout1D(SpatialDropout):
    """While training, features of [batch, steps, channels] are 0 at all steps or `x / (1 - rate)` at all; else `x`.

    For sequences whose neighbouring steps are alike, as after a convolution. `rate` is the fraction of a row's features
    that is dropped. Passes a mask on. As `keras.layers.SpatialDropout1D` (Tompson et al. 2015).

    Raises:
        ArgumentError: `rate` is not in [0, 1).
        ShapeError: the input is not of rank 3.
        DTypeError: the input is not of a floating-point dtype.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.SpatialDropout1D(0.2)(jg.Input((None, 8)))
    <Symbol float32[batch, None, 8]>
    """

    spatial = ("steps",)


class SpatialDropout2D(SpatialDropout):
    """While training, channels of [batch, height, width, channels] are 0 or `x / (1 - rate)` as a whole; else `x`.

    `rate` is the fraction of a row's channels that is dropped. Passes a mask on. As `keras.layers.SpatialDropout2D`
    (Tompson et al. 2015).

    Raises:
        ArgumentError: `rate` is not in [0, 1).
        ShapeError: the input is not of rank 4.
        DTypeError: the input is not of a floating-point dtype.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.SpatialDropout2D(0.2)(jg.Input((16, 16, 8)))
    <Symbol float32[batch, 16, 16, 8]>
    """

    spatial = ("height", "width")


class SpatialDropout3D(SpatialDropout):
    """While training, channels of [batch, depth, height, width, channels] are 0 or `x / (1 - rate)` as a whole.

    `rate` is the fraction of a row's channels that is dropped. Passes a mask on. As `keras.layers.SpatialDropout3D`
    (Tompson et al. 2015).

    Raises:
        ArgumentError: `rate` is not in [0, 1).
        ShapeError: the input is not of rank 5.
        DTypeError: the input is not of a floating-point dtype.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.SpatialDropout3D(0.2)(jg.Input((4, 16, 16, 8)))
    <Symbol float32[batch, 4, 16, 16, 8]>
    """

    spatial = ("depth", "height", "width")


class GaussianDropout(Disturbance):
    """`y = x * (1 + sqrt(rate / (1 - rate)) * normal)` while training; else `x`.

    Noise with the mean and variance that `Dropout(rate)` has. Passes a mask on. As `keras.layers.GaussianDropout`
    (Srivastava et al. 2014, section 10), which takes a rate of 1 too, and gives infinities.

    Raises:
        ArgumentError: `rate` is not in [0, 1).
        DTypeError: the input is not of a floating-point dtype.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.GaussianDropout(0.2)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    rate: float

    def disturbed(self, x: Array, key: Key) -> Array:
        """Multiplies with noise around one."""
        return x * (1 + math.sqrt(self.rate / (1 - self.rate)) * jax.random.normal(key, x.shape, x.dtype))


class GaussianNoise(Disturbance):
    """`y = x + stddev * normal` while training; else `x`; passes a mask on.

    As `keras.layers.GaussianNoise`, which refuses a `stddev` above 1; here it is in the units of the input, whatever
    those are.

    Raises:
        ArgumentError: `stddev` is not a finite number of at least 0.
        DTypeError: the input is not of a floating-point dtype.
        RandomKeyError: applied with `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.GaussianNoise(0.1)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    stddev: float

    amount = "stddev"

    def disturbed(self, x: Array, key: Key) -> Array:
        """Adds noise around zero."""
        return x + self.stddev * jax.random.normal(key, x.shape, x.dtype)


class ActivityRegularization(Identity):
    """`y = x`, for which the training loss has `l1 * sum(abs(x)) + l2 * sum(x ** 2)`, of an average row, at each call.

    `l1` and `l2` are factors of at least 0. Masks stay with their tensors; what is masked counts in the sums. As
    `keras.layers.ActivityRegularization`.

    Raises:
        ArgumentError: a factor is not a finite number of at least 0.

    >>> import jgraph as jg
    >>> jg.layers.ActivityRegularization(l2=1e-4)(jg.Input((4,)))
    <Symbol float32[batch, 4]>
    """

    l1: float = 0.0
    l2: float = 0.0

    @property
    def activity_regularizer(self) -> L1L2 | None:
        """What `Standard` takes the penalty from."""
        return L1L2(self.l1, self.l2) if self.l1 or self.l2 else None


def drop(x: Array, rate: float, shape: Any, key: Key) -> Array:
    """`x` scaled by `1 / (1 - rate)`, and zero where a draw of `shape` says so."""
    keep = jax.random.bernoulli(key, 1.0 - rate, shape)
    return jnp.where(keep, x / (1.0 - rate), jnp.zeros((), x.dtype))


def need_key(layer: Layer, key: Key | None) -> Key:
    """The key of a layer that draws random numbers.

    Raises:
        RandomKeyError: there is none.
    """
    if key is None:
        raise RandomKeyError(
            repr(layer),
            expected="a key, as it draws random numbers while training",
            got="apply(..., train=True) without one",
            cure="Write model.apply(params, state, inputs, train=True, key=jax.random.key(0)).",
        )
    return key
