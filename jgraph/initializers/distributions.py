"""Start values from distributions whose spread is given."""

import dataclasses

from jgraph.errors import ArgumentError
from jgraph.initializers.checks import check_axes, check_finite
from jgraph.ops import draws
from jgraph.typing import Array, Key


@dataclasses.dataclass(frozen=True)
class RandomNormal:
    """The normal distribution. As `keras.initializers.RandomNormal`.

    Raises:
        ArgumentError: `mean` is not a finite number, or `stddev` not one of at least 0.

    >>> import jax, jgraph as jg
    >>> jg.initializers.RandomNormal(stddev=0.01)(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """

    mean: float = 0.0
    stddev: float = 0.05

    def __post_init__(self) -> None:
        check_finite(type(self).__name__, mean=self.mean, stddev=self.stddev)
        if self.stddev < 0:
            raise ArgumentError(
                f"{type(self).__name__}, stddev",
                expected="at least 0",
                got=repr(self.stddev),
                cure="Write stddev=0.05.",
            )

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values."""
        return draws.normal(key, shape, self.stddev, self.mean)


@dataclasses.dataclass(frozen=True)
class TruncatedNormal(RandomNormal):
    """The normal distribution, what is beyond two `stddev` drawn again. As `keras.initializers.TruncatedNormal`.

    `stddev` is that of the distribution before it is cut; afterwards it is 0.88 of it.

    Raises:
        ArgumentError: `mean` is not a finite number, or `stddev` not one of at least 0.

    >>> import jax, jgraph as jg
    >>> bool(abs(jg.initializers.TruncatedNormal(stddev=1.0)(jax.random.key(0), (100,))).max() <= 2)
    True
    """

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values."""
        return draws.truncated_normal(key, shape, self.stddev, self.mean)


@dataclasses.dataclass(frozen=True)
class RandomUniform:
    """The uniform distribution on `[minval, maxval)`. As `keras.initializers.RandomUniform`.

    Raises:
        ArgumentError: a bound is not a finite number, or the lower one above the upper one.

    >>> import jax, jgraph as jg
    >>> bool(jg.initializers.RandomUniform(1.0, 2.0)(jax.random.key(0), (100,)).min() >= 1)
    True
    """

    minval: float = -0.05
    maxval: float = 0.05

    def __post_init__(self) -> None:
        check_finite("RandomUniform", minval=self.minval, maxval=self.maxval)
        if self.minval > self.maxval:
            raise ArgumentError(
                "RandomUniform", expected="minval of at most maxval", got=repr(self), cure="Exchange the two."
            )

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values."""
        return draws.uniform(key, shape, (self.maxval - self.minval) / 2, (self.maxval + self.minval) / 2)


@dataclasses.dataclass(frozen=True)
class Orthogonal:
    """`gain` times an orthogonal matrix, any one as likely (Saxe et al. 2014). As `keras.initializers.Orthogonal`.

    The rows or the columns, whichever are fewer, are at right angles; of more than two axes all but the last are one.

    Raises:
        ArgumentError: `gain` is not a finite number.
        ShapeError: a shape of fewer than two axes.

    >>> import jax, jgraph as jg
    >>> q = jg.initializers.Orthogonal()(jax.random.key(0), (3, 3))
    >>> (q @ q.T).round(3).trace()
    Array(3., dtype=float32)
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_finite("Orthogonal", gain=self.gain)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values."""
        check_axes("Orthogonal", shape, "at least two axes", len(shape) >= 2)
        return draws.orthogonal(key, shape, self.gain)
