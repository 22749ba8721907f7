"""Start values whose spread follows from the number of inputs and outputs of a unit.

A kernel has the axes `(*window, in, out)`: `fan_in = window * in`, `fan_out = window * out`.
"""

import dataclasses
import math
from collections.abc import Sequence

from jgraph.errors import ArgumentError, check_one_of
from jgraph.initializers.checks import check_finite
from jgraph.ops import draws
from jgraph.typing import Array, Key

# The standard deviation of a standard normal cut at two; Keras divides by it so that the variance comes out right.
_TRUNCATED_STDDEV = 0.87962566103423978

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("truncated_normal", "normal", "untruncated_normal", "uniform")
"""Keras' words; `normal` is cut too."""


class Scaled:
    """Variance scaling: variance `scale / n`, with n the fan that `mode` says."""

    scale: float
    mode: str
    distribution: str
    input_axes: tuple[int, ...] | None
    output_axes: tuple[int, ...] | None

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values."""
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, n))
        if self.distribution == "uniform":
            return draws.uniform(key, shape, math.sqrt(3.0) * stddev)
        if self.distribution == "untruncated_normal":
            return draws.normal(key, shape, stddev)
        return draws.truncated_normal(key, shape, stddev / _TRUNCATED_STDDEV)


@dataclasses.dataclass(frozen=True)
class VarianceScaling(Scaled):
    """A distribution of mean 0 and variance `scale / n`. As `keras.initializers.VarianceScaling`.

    n is `fan_in`, `fan_out` or, with `fan_avg`, their mean. `normal` is cut at two standard deviations, as
    `truncated_normal` is; `untruncated_normal` is not. `input_axes` and `output_axes`, given together, say which axes
    of the shape make the fans where it is no kernel's.

    Raises:
        ArgumentError: `scale` is not a positive number, or a name is not known.

    >>> import jax, jgraph as jg
    >>> jg.initializers.VarianceScaling(2.0, "fan_out")(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    input_axes: tuple[int, ...] | None = None
    output_axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_finite("VarianceScaling", scale=self.scale)
        check_one_of("VarianceScaling", "mode", self.mode, MODES)
        check_one_of("VarianceScaling", "distribution", self.distribution, DISTRIBUTIONS)
        check_fan_axes(self)
        if not self.scale > 0:
            raise ArgumentError(
                "VarianceScaling, scale", expected="a positive number", got=repr(self.scale), cure="Write scale=1.0."
            )


@dataclasses.dataclass(frozen=True)
class _Named(Scaled):
    """Variance scaling that has a name of its own; `input_axes` and `output_axes` as in `VarianceScaling`."""

    input_axes: tuple[int, ...] | None = None
    output_axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_fan_axes(self)


@dataclasses.dataclass(frozen=True)
class GlorotUniform(_Named):
    """Uniform on `+-sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010). As `keras.initializers.GlorotUniform`.

    >>> import jax, jgraph as jg
    >>> bool(abs(jg.initializers.GlorotUniform()(jax.random.key(0), (2, 4))).max() <= 1)
    True
    """

    scale, mode, distribution = 1.0, "fan_avg", "uniform"


@dataclasses.dataclass(frozen=True)
class GlorotNormal(_Named):
    """Truncated normal of variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010). As Keras' `GlorotNormal`.

    >>> import jax, jgraph as jg
    >>> jg.initializers.GlorotNormal()(jax.random.key(0), (2, 4)).shape
    (2, 4)
    """

    scale, mode, distribution = 1.0, "fan_avg", "truncated_normal"


@dataclasses.dataclass(frozen=True)
class HeUniform(_Named):
    """Uniform on `+-sqrt(6 / fan_in)` (He et al. 2015). As `keras.initializers.HeUniform`.

    >>> import jax, jgraph as jg
    >>> bool(abs(jg.initializers.HeUniform()(jax.random.key(0), (6, 4))).max() <= 1)
    True
    """

    scale, mode, distribution = 2.0, "fan_in", "uniform"


@dataclasses.dataclass(frozen=True)
class HeNormal(_Named):
    """Truncated normal of variance `2 / fan_in` (He et al. 2015). As `keras.initializers.HeNormal`.

    >>> import jax, jgraph as jg
    >>> jg.initializers.HeNormal()(jax.random.key(0), (3, 3, 2, 4)).shape
    (3, 3, 2, 4)
    """

    scale, mode, distribution = 2.0, "fan_in", "truncated_normal"


@dataclasses.dataclass(frozen=True)
class LecunUniform(_Named):
    """Uniform on `+-sqrt(3 / fan_in)` (LeCun et al. 1998). As `keras.initializers.LecunUniform`.

    >>> import jax, jgraph as jg
    >>> bool(abs(jg.initializers.LecunUniform()(jax.random.key(0), (3, 4))).max() <= 1)
    True
    """

    scale, mode, distribution = 1.0, "fan_in", "uniform"


@dataclasses.dataclass(frozen=True)
class LecunNormal(_Named):
    """Truncated normal of variance `1 / fan_in` (LeCun et al. 1998). As `keras.initializers.LecunNormal`.

    >>> import jax, jgraph as jg
    >>> jg.initializers.LecunNormal()(jax.random.key(0), (2, 4)).shape
    (2, 4)
    """

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


def check_fan_axes(initializer: Scaled) -> None:
    """Checks that the axes of the fans are integers, and given together or not at all.

    Raises:
        ArgumentError: they are not.
    """
    for name, other in (("input_axes", "output_axes"), ("output_axes", "input_axes")):
        axes = getattr(initializer, name)
        listed = isinstance(axes, tuple | list) and all(isinstance(a, int) and not isinstance(a, bool) for a in axes)
        if axes is None and getattr(initializer, other) is None:
            continue
        if not listed:
            raise ArgumentError(
                f"{type(initializer).__name__}, {name}",
                expected=f"a tuple of axes beside {other}, or None for both",
                got=repr(axes),
                cure="Write input_axes=(0,), output_axes=(1,).",
            )


def fans(
    shape: tuple[int, ...], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """The numbers of inputs and outputs of a unit (Keras' `compute_fans`): kernels are `(*window, in, out)`.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window
