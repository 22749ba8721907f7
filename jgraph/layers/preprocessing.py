"""Fixed changes of scale at the beginning of a model: by statistics of the data, or by numbers of one's own."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jgraph.data.checks import check_finite
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, DataError, ShapeError
from jgraph.layers.checks import check_axes, check_widths
from jgraph.layers.normalization import narrow, places, widen
from jgraph.layers.standard import Standard
from jgraph.typing import Array, Key, Params, Spec, State

Numbers = float | tuple[Any, ...]
"""A number, or nested tuples of numbers."""


class Normalization(Standard):
    """`y = (x - mean) / max(sqrt(variance), 1e-7)`, per entry of `axis`, of the same shape; `invert` goes back.

    `axis` is one axis or several, which keep a mean and a variance for each entry; with `None` there is one for all
    numbers. `adapt` takes them from data, and gives a layer that holds them; or they are given, as numbers, arrays or
    nested tuples that broadcast to the kept axes (in their order in x), and are held as nested tuples of floats. They
    are part of the layer, and neither params nor state. A layer without them cannot be drawn (Keras' does nothing).
    Outputs keep a floating dtype; whole numbers become float32. A mask is passed on. As `keras.layers.Normalization`.

    Raises:
        ArgumentError: mean and variance are not both given, of one shape, of as many axes as are kept at most, finite,
        the variance at least 0; `axis` is the batch axis; or the layer is drawn without them.
        ShapeError: an axis is free or missing, or mean and variance are not of its size.

    >>> import jgraph as jg, numpy as np
    >>> layer = jg.layers.Normalization().adapt(np.array([[0.0, 7.0], [2.0, 9.0], [0.0, 7.0], [2.0, 9.0]]))
    >>> layer
    Normalization(mean=(1.0, 8.0), variance=(1.0, 1.0))
    >>> layer(jg.Input((2,)))
    <Symbol float32[batch, 2]>
    """

    axis: int | Sequence[int] | None = -1
    mean: Any = None
    variance: Any = None
    invert: bool = False

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axis is not None:
            check_axes("Normalization", self.axis)
        missing = [name for name in ("mean", "variance") if getattr(self, name) is None]
        if len(missing) == 2:
            return
        if missing:
            raise ArgumentError(
                f"Normalization, {missing[0]}",
                expected="mean and variance, or neither",
                got="None for one of them",
                cure="Let the layer take them from data: layer.adapt(data).",
            )
        kept = 0 if self.axis is None else 1 if isinstance(self.axis, int) else len(self.axis)
        for name in ("mean", "variance"):
            object.__setattr__(self, name, as_numbers(f"Normalization, {name}", getattr(self, name)))
        shape, other = (np.shape(v) for v in (self.mean, self.variance))
        if shape != other or len(shape) > kept or np.min(self.variance) < 0:
            raise ArgumentError(
                "Normalization, variance",
                expected=f"mean and variance of one shape with at most {kept} axes, as many as are kept; no variance "
                "below 0",
                got=f"shapes {shape} and {other}",
                cure="Let the layer take them from data: layer.adapt(data).",
            )

    def adapt(self, data: Any) -> "Normalization":
        """A layer that has its mean and (biased) variance from data; this one stays as it is.

        `data` is an array of rows, or a list, generator or other iterable of batches: arrays, or tuples that begin with
        the inputs. It is read once, and summed in float64.

        Raises:
            DataError: there are no rows, or numbers that are not finite.
            ShapeError: axes are missing, or differ between batches.
        """
        mean, variance = statistics(self, data)
        return dataclasses.replace(self, mean=mean, variance=variance)

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks that the statistics are there and fit; there is nothing to keep."""
        check_adapted(self, x)
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Subtracts and divides, or the other way round."""
        del params, train, key
        wide, axes = widen(x), kept_axes(self, x.ndim)
        kept, shape = [x.shape[a] for a in axes], [n if a in axes else 1 for a, n in enumerate(x.shape)]
        deviation = np.maximum(np.sqrt(self.variance), 1e-7)  # Keras' epsilon
        mean, deviation = (
            jnp.asarray(np.broadcast_to(v, kept).reshape(shape), wide.dtype) for v in (self.mean, deviation)
        )
        return narrow(wide * deviation + mean if self.invert else (wide - mean) / deviation, x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


class Rescaling(Standard):
    """`y = x * scale + offset`, of the same shape.

    Both are numbers, or arrays or nested tuples that broadcast along the last axes, as one for each channel; they are
    held as nested tuples of floats. Outputs keep a floating dtype; whole numbers, as of images, become float32. A mask
    is passed on. As `keras.layers.Rescaling`.

    Raises:
        ArgumentError: `scale` or `offset` is not of finite numbers.
        ShapeError: they do not broadcast to the input's last axes.

    >>> import jgraph as jg
    >>> jg.layers.Rescaling(1 / 127.5, offset=-1.0)(jg.Input((28, 28, 3), dtype="uint8"))
    <Symbol float32[batch, 28, 28, 3]>
    """

    scale: Any
    offset: Any = 0.0

    mixes_rows = False
    logits = "as inputs"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("scale", "offset"):
            object.__setattr__(self, name, as_numbers(f"Rescaling, {name}", getattr(self, name)))

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Checks the shapes; there is nothing to keep."""
        for name in ("scale", "offset"):
            shape = np.shape(getattr(self, name))
            last = x.shape[1:][len(x.shape) - 1 - len(shape) :]
            if len(shape) >= len(x.shape) or any(n not in (1, size) for n, size in zip(shape, last, strict=True)):
                raise ShapeError(
                    f"{self!r}, {name}",
                    expected="a number, or numbers that broadcast along the input's last axes",
                    got=f"shape {shape} for {show(x)}",
                    cure="Give one number, or one for each channel.",
                )
        return {}, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Multiplies and adds."""
        del params, train, key
        wide = widen(x)
        scale, offset = (jnp.asarray(v, wide.dtype) for v in (self.scale, self.offset))
        return narrow(wide * scale + offset, x), state

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """Rows and steps stay where they are."""
        return mask


def as_numbers(where: str, value: Any) -> Numbers:
    """A number or an array as a float or nested tuples of floats, which layers can hold and files can say.

    Raises:
        ArgumentError: it holds something else, or what is not finite.

    >>> import numpy as np
    >>> as_numbers("scale", np.ones((2, 1)))
    ((1.0,), (1.0,))
    """
    try:
        array = np.asarray(value)
        array = array.astype(np.float64) if array.dtype.kind in "iuf" else None
    except (TypeError, ValueError, OverflowError):
        array = None
    if value is None or array is None or not array.size or not np.isfinite(array).all():
        raise ArgumentError(
            where,
            expected="finite numbers: one, or an array",
            got=repr(value),
            cure="Give numbers, or arrays of them.",
        )

    def nested(part: Any) -> Any:
        return tuple(map(nested, part)) if isinstance(part, list) else part

    return nested(array.tolist())


def kept_axes(layer: Normalization, rank: int) -> tuple[int, ...]:
    """The axes with statistics of their own, in the order of the input's."""
    return () if layer.axis is None else tuple(sorted(places(layer.axis, rank)))


def check_adapted(layer: Normalization, x: Spec) -> None:
    """Checks that a layer has statistics, and that they broadcast to the axes of an input that it keeps.

    Raises:
        ArgumentError: it has none.
        ShapeError: an axis is free or missing, or they do not.
    """
    if layer.mean is None:
        raise ArgumentError(
            "Normalization",
            expected="a layer with mean and variance",
            got="one without",
            cure="Draw with layer.adapt(data), which has those of the data.",
        )
    if layer.axis is not None:
        check_widths(layer, x, layer.axis)
    kept, shape = [x.shape[a] for a in kept_axes(layer, len(x.shape))], np.shape(layer.mean)
    if any(n not in (1, size) for n, size in zip(shape, kept[len(kept) - len(shape) :], strict=True)):
        raise ShapeError(
            "Normalization",
            expected=f"mean and variance that broadcast to the axes that are kept, {tuple(kept)}",
            got=f"shape {shape} for {show(x)}",
            cure="Adapt the layer to data of that shape.",
        )


def statistics(layer: Normalization, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance in float64 over all axes but those that are kept, batch after batch (Chan et al. 1979).

    Raises:
        DataError: there are no rows, or numbers that are not finite.
        ShapeError: axes are missing, or differ between batches.
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    first: tuple[int, ...] | None = None
    for number, batch in enumerate(batches_of(data)):
        where = f"Normalization.adapt, batch {number}"
        kept = kept_sizes(layer, batch, where)
        if first not in (None, (batch.ndim, *kept)):
            raise ShapeError(
                where,
                expected=f"rank {first[0]} and the kept sizes {first[1:]}, as in the first batch",
                got=show(batch),
                cure="Give batches that differ in the number of rows alone.",
            )
        first = (batch.ndim, *kept)
        check_finite(where, batch)
        axes = tuple(a for a in range(batch.ndim) if a not in kept_axes(layer, batch.ndim))
        rows = batch.astype(np.float64)
        size = int(np.prod([rows.shape[a] for a in axes]))
        if not size:
            continue
        own, total = rows.mean(axes), count + size
        shift = own - mean
        mean = mean + shift * (size / total)
        squares = squares + rows.var(axes) * size + shift**2 * (count * size / total)
        count = total
    if not count:
        raise DataError("Normalization.adapt", expected="rows", got="none", cure="Give at least one row of data.")
    return mean, squares / count


def kept_sizes(layer: Normalization, batch: np.ndarray, where: str) -> tuple[int, ...]:
    """The sizes of the axes that are kept.

    Raises:
        ShapeError: one is missing, or the batch axis.
    """
    axes = () if layer.axis is None else (layer.axis,) if isinstance(layer.axis, int) else tuple(layer.axis)
    found = {a % batch.ndim for a in axes if -batch.ndim < a < batch.ndim}
    if len(found) < len(axes) or not batch.ndim:
        raise ShapeError(
            where,
            expected=f"the axes {axes}, each once and beside the batch axis",
            got=show(batch),
            cure="Name axes that the rows have, or axis=None for one mean of all.",
        )
    return tuple(batch.shape[a] for a in sorted(found))


def batches_of(data: Any) -> Iterator[np.ndarray]:
    """The inputs of each batch; an array of rows is one batch.

    Raises:
        DataError: it is neither an array nor an iterable of batches.
    """
    batches: Iterable[Any] = [data] if hasattr(data, "shape") else data
    if isinstance(batches, (tuple, dict, str)) or not isinstance(batches, Iterable):
        raise DataError(
            "Normalization.adapt",
            expected="an array of rows, or an iterable of batches",
            got=f"a {type(data).__name__}",
            cure="Give the inputs alone; batches as a list or a generator.",
        )
    for number, batch in enumerate(batches):
        inputs = batch[0] if isinstance(batch, tuple) and batch else batch
        if not hasattr(inputs, "shape"):
            raise DataError(
                f"Normalization.adapt, batch {number}",
                expected="an array",
                got=f"a {type(inputs).__name__}",
                cure="Give the rows as one array, or a list of arrays.",
            )
        yield np.asarray(inputs)
