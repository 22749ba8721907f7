"""A family of layers: one layer over a grid of options, and for each what it computes and what others compute."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax

DIRECTIONS = "forward", "gradient"
"""`forward` gives `y`; `gradient` gives `y` and, for a fixed random c, the gradient of `sum(y * c)` to params and x."""

T = TypeVar("T")

Peer = Callable[[Any, Callable[..., Any], Any], tuple[list[Any], Callable[[Any], Any]]]
"""`(torch, tensor, params) -> (weights, function)`; `tensor` makes a leaf of an array, on PyTorch's device."""


@dataclasses.dataclass(frozen=True)
class Work:
    """One layer on inputs of one shape, and the same by others, who take the layer's own params."""

    layer: Any
    shape: tuple[int, ...]
    plain: Callable[[Any, Any], Any]
    """`(params, x) -> y` as one writes it with `jax.lax`, `jax.numpy` or Flax."""
    peer: Peer | None = None
    flops: float = 0.0
    """What products and sums of products take, forward; with the gradient it is three times as much. The rest of the
    arithmetic is left out: where there is nothing else, memory is the roof."""
    high: int | None = None
    """Inputs are integers below this, and else normal numbers."""
    channels_first: bool = False
    """PyTorch takes and gives channels on the second axis."""
    again: bool = False
    """The layer is called with the input twice: attention to itself."""
    sparse: bool = False
    """Only as many numbers of the params are read as there are outputs."""
    random: bool = False
    """The layer draws, so that its values are not compared."""


@dataclasses.dataclass(frozen=True)
class Family:
    """`work(**options)` for every choice from `grid` that `sensible` lets pass."""

    name: str
    grid: dict[str, tuple[Any, ...]]
    work: Callable[..., Work]
    sensible: Callable[[dict[str, Any]], bool] = lambda options: True
    slow: Callable[[dict[str, Any], str], bool] = lambda options, direction: False
    """Whether XLA:CPU is known to be slow there, so that the best of all peers is what has to be reached."""
    recurrent: bool = False

    def cases(self) -> list["Case"]:
        """All choices, the last option changing fastest."""
        products = (dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values()))
        return [Case(self.name, options) for options in products if self.sensible(options)]


@dataclasses.dataclass(frozen=True)
class Case:
    """One point of a family's grid.

    >>> str(Case("dense", {"batch": 16, "units": 32}))
    'dense batch=16 units=32'
    """

    family: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return " ".join([self.family, *(f"{name}={value}" for name, value in self.options.items())])


def key_of(x: Any) -> Any:
    """A key that depends on an input, so that nothing is drawn while a program is compiled."""
    return jax.random.key(jax.lax.bitcast_convert_type(x.reshape(-1)[0], "uint32"))


def spread(items: Sequence[T], seed: int) -> Iterator[T]:
    """All items, in an order whose every beginning is spread evenly over the sequence.

    Steps of the golden section of the length, made coprime to it, from a start that the seed chooses.

    >>> list(spread(range(10), 0))
    [5, 2, 9, 6, 3, 0, 7, 4, 1, 8]
    """
    count = len(items)
    step = next((s for s in range(round(count * 0.618), 2 * count) if math.gcd(s, count) == 1), 1)
    return (items[(count // 2 + seed * 7919 + i * step) % count] for i in range(count))


def in_turn(sequences: Sequence[Iterator[T]]) -> Iterator[T]:
    """The first of each, the second of each, and so on, as long as any has more.

    >>> list(in_turn([iter("abc"), iter("x")]))
    ['a', 'x', 'b', 'c']
    """
    left = [*sequences]
    while left:
        for sequence in [*left]:
            try:
                yield next(sequence)
            except StopIteration:
                left.remove(sequence)
