"""Start values that are not drawn."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jgraph.errors import ArgumentError, ShapeError, check_flag, check_one_of
from jgraph.initializers.checks import check_axes, check_finite
from jgraph.ops import draws
from jgraph.typing import Array, Key


@dataclasses.dataclass(frozen=True)
class Zeros:
    """Zero everywhere. As `keras.initializers.Zeros`.

    >>> import jax, jgraph as jg
    >>> jg.initializers.Zeros()(jax.random.key(0), (2,))
    Array([0., 0.], dtype=float32)
    """

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values; the key is not used."""
        return draws.constant(shape, 0.0)


@dataclasses.dataclass(frozen=True)
class Ones:
    """One everywhere. As `keras.initializers.Ones`.

    >>> import jax, jgraph as jg
    >>> jg.initializers.Ones()(jax.random.key(0), (2,))
    Array([1., 1.], dtype=float32)
    """

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values; the key is not used."""
        return draws.constant(shape, 1.0)


@dataclasses.dataclass(frozen=True)
class Constant:
    """The same number everywhere. As `keras.initializers.Constant`.

    Raises:
        ArgumentError: `value` is not a finite number.

    >>> import jax, jgraph as jg
    >>> jg.initializers.Constant(0.1)(jax.random.key(0), (2,))
    Array([0.1, 0.1], dtype=float32)
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        check_finite("Constant", value=self.value)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values; the key is not used."""
        return draws.constant(shape, self.value)


@dataclasses.dataclass(frozen=True)
class Identity:
    """`gain` on the diagonal of a matrix, 0 elsewhere. As `keras.initializers.Identity`.

    Raises:
        ArgumentError: `gain` is not a finite number.
        ShapeError: the shape is no matrix's.

    >>> import jax, jgraph as jg
    >>> jg.initializers.Identity(2.0)(jax.random.key(0), (2, 2))
    Array([[2., 0.],
           [0., 2.]], dtype=float32)
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_finite("Identity", gain=self.gain)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values; the key is not used."""
        check_axes("Identity", shape, "two axes", len(shape) == 2)
        return jax.device_put(self.gain * np.eye(*shape, dtype=np.float32))


@dataclasses.dataclass(frozen=True)
class STFT:
    """A kernel [steps, 1, bins] by which a convolution is a short-time Fourier transform. As `keras.initializers.STFT`.

    `cos(-2 pi t f / n) * window[t] / scaling`, or sin with `side="imag"`, with n = 2 (bins - 1). `window` is a name of
    `scipy.signal.windows`, the numbers themselves, or `None`; `scaling` divides by its norm (`density`), by its sum
    (`spectrum`) or by nothing. A window that is `periodic` is one of steps + 1 numbers without its last.

    Raises:
        ArgumentError: a name is not known, or the window is no sequence of numbers.
        ShapeError: the shape is not [steps, 1, bins], or the window of another length.

    >>> import jax, jgraph as jg
    >>> jg.initializers.STFT("real", None)(jax.random.key(0), (4, 1, 3))[:, 0, 2].round(3)
    Array([ 1., -1.,  1., -1.], dtype=float32)
    """

    side: str = "real"
    window: str | tuple[float, ...] | None = "hann"
    scaling: str | None = "density"
    periodic: bool = False

    def __post_init__(self) -> None:
        check_one_of("STFT", "side", self.side, ("real", "imag"))
        check_one_of("STFT", "scaling", self.scaling, ("density", "spectrum", None))
        check_flag("STFT", periodic=self.periodic)
        if self.window is not None:
            window_of(self.window, 1 if isinstance(self.window, str) else np.size(self.window), self.periodic)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The start values; the key is not used."""
        check_axes("STFT", shape, "the axes [steps, 1, bins], at least two bins", len(shape) == 3 and shape[2] > 1)
        steps, _, bins = shape
        angles = -2 * np.pi * np.arange(steps)[:, None, None] * np.arange(bins) / (2 * (bins - 1))
        waves = np.cos(angles) if self.side == "real" else np.sin(angles)
        if self.window is not None:
            window = window_of(self.window, steps, self.periodic)
            norms = {"density": np.sqrt(np.sum(window**2)), "spectrum": np.sum(np.abs(window)), None: 1.0}
            waves = waves * window[:, None, None] / norms[self.scaling]
        return jax.device_put(np.broadcast_to(waves, shape).astype(np.float32))


def window_of(window: str | Sequence[float], steps: int, periodic: bool) -> np.ndarray:
    """The numbers of a window.

    Raises:
        ArgumentError: there is none of that name. ShapeError: it has another length.
    """
    from scipy.signal import get_window

    try:
        numbers: Any = get_window(window, steps, periodic) if isinstance(window, str) else np.asarray(window, float)
    except (ValueError, TypeError):
        numbers = np.full(steps, np.nan)
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise ArgumentError(
            "STFT, window",
            expected="a window of scipy.signal.windows, numbers, or None",
            got=repr(window),
            cure="Write window='hann'.",
        )
    if numbers.shape != (steps,):
        raise ShapeError(
            "STFT, window", expected=f"{steps} numbers", got=f"shape {numbers.shape}", cure="Give one for each step."
        )
    return numbers
