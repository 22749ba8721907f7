"""The product of two tensors along an axis."""

from collections.abc import Sequence
from typing import Any

import jax

from jgraph.errors import ArgumentError
from jgraph.layers.checks import check_axis
from jgraph.layers.merging import check_list
from jgraph.layers.normalization import unit
from jgraph.layers.standard import Standard
from jgraph.typing import Array, Key, Params, Spec, State


class Dot(Standard):
    """The products of two tensors summed along one axis of each: the other axes of the first, then of the second.

    `axes` is one axis of both, or one of each; with `normalize` what is summed along is scaled to length 1 before, so
    that the result is the cosine. Two inputs [batch, n] give [batch, 1]. Ends masks. As `keras.layers.Dot`.

    Raises:
        ArgumentError: `axes` is not an axis or two, or the batch axis.
        ShapeError: no list of two inputs, or axes of different sizes.

    >>> import jgraph as jg
    >>> jg.layers.Dot(axes=(1, 2))([jg.Input((5, 2)), jg.Input((3, 5))])
    <Symbol float32[batch, 2, 3]>
    """

    axes: int | tuple[int, int]
    normalize: bool = False

    mixes_rows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        pair = self.axes if isinstance(self.axes, (tuple, list)) else (self.axes, self.axes)
        if len(pair) != 2:
            raise ArgumentError(
                "Dot, axes", expected="an axis, or one for each input", got=repr(self.axes), cure="Write axes=(2, 1)."
            )
        for axis in pair:
            check_axis("Dot", axis, "axes")

    def init(self, key: Key, xs: Sequence[Spec]) -> tuple[Params, State]:
        """Checks the inputs; there is nothing to keep."""
        shapes = [x.shape for x in xs] if isinstance(xs, (list, tuple)) else []
        fits = len(shapes) == 2 and all(-len(s) < a < len(s) for s, a in zip(shapes, self._pair(), strict=True))
        sizes = {str(s[a]) for s, a in zip(shapes, self._pair(), strict=True)} if fits else set()
        check_list(self, xs, f"2 tensors with one size along the axes {self.axes}", len(sizes) == 1)
        return {}, {}

    def apply(
        self, params: Params, state: State, xs: Sequence[Array], *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Scales where asked to, multiplies and sums."""
        del params, train, key
        first, second = (a % x.ndim for a, x in zip(self._pair(), xs, strict=True))
        left, right = (unit(x, a, 1e-7) if self.normalize else x for x, a in zip(xs, (first, second), strict=True))
        y = jax.lax.dot_general(left, right, (((first,), (second,)), ((0,), (0,))))
        return y[:, None] if y.ndim == 1 else y, state

    def _pair(self) -> tuple[int, int]:
        return (self.axes, self.axes) if isinstance(self.axes, int) else (self.axes[0], self.axes[1])


def dot(
    inputs: Sequence[Any],
    axes: int | tuple[int, int] = -1,
    *,
    normalize: bool = False,
    name: str | None = None,
) -> Any:
    """The products of two symbols summed along an axis: `Dot(axes, normalize, name=name)(inputs)`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> jg.layers.dot([x, x], normalize=True)
    <Symbol float32[batch, 1]>
    """
    return Dot(axes, normalize, name=name)(inputs)
