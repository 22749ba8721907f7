"""Symbols, the values of a drawing, and the calls of layers that they come from.

A symbol knows its call and a call knows the symbols it was given: that is all a drawing is. Nothing is kept anywhere
else, so a drawing that is let go is gone.
"""

import dataclasses
from typing import Any, NoReturn

import jax
import jax.numpy as jnp

from jgraph.core.infer import Inference
from jgraph.core.treatment import PLAIN, Treatment
from jgraph.draw.specs import show
from jgraph.errors import SymbolError
from jgraph.ops.indexing import getitem
from jgraph.typing import PyTree, Shape, Spec

NUMBERS = (bool, int, float, complex)


@dataclasses.dataclass(frozen=True, eq=False)
class Within:
    """Where a call of a nested model's drawing belongs: the token of the call that closes it, and the node's place."""

    token: object
    place: int


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One drawn call of a layer.

    `mask` is what the layer is given as its mask: a symbol, a tuple with one entry per input, or `None`; `by_hand`
    says that the user set it. `scope` is the nested model that drew this call while it was itself being called, and
    `path` the name that a model has already given it. `token` is the call's identity: the renamed copy of a call that
    a model hands out shares it. `within` says which call of a nested model this call is a part of; the call that closes
    a nested model has in `given` the symbols that the model was called on.
    """

    layer: Any
    args: tuple
    kwargs: dict[str, Any]
    mask: Any
    by_hand: bool
    inference: Inference
    scope: Any = None
    path: str | None = None
    token: object = dataclasses.field(default_factory=object)
    treatment: Treatment = PLAIN
    within: Within | None = None
    given: PyTree = None

    def symbols(self) -> tuple["Symbol", ...]:
        """The outputs' leaves, each with its mask."""
        incoming = jax.tree.leaves(self.mask)
        made = len(self.inference.outputs)
        symbols = []
        for index, (spec, fate) in enumerate(zip(self.inference.outputs, self.inference.masks, strict=True)):
            computed = None if fate is None or isinstance(fate, int) else Symbol(self, made + index, fate)
            symbols.append(Symbol(self, index, spec, incoming[fate] if isinstance(fate, int) else computed))
        return tuple(symbols)

    def inputs(self) -> list["Symbol"]:
        """The symbols that a nested model was called on and their masks; of other calls none."""
        return [s for s in jax.tree.leaves(self.given) if isinstance(s, Symbol)]

    def sources(self) -> list["Symbol"]:
        """The symbols that this call reads, in order: arguments from left to right, then keywords, then masks."""
        return [s for s in jax.tree.leaves((self.args, self.kwargs, self.mask)) if isinstance(s, Symbol)]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Symbol:
    """An array that is not there yet: `shape` (with the batch axis), `dtype`, and perhaps a `mask` symbol.

    Symbols do arithmetic, comparisons and slicing with symbols and constants; `==` is identity, as a symbol must be
    usable as a key. Everything else of JAX is lifted by `jg.op`.

    >>> import jgraph as jg
    >>> x = jg.Input((4,))
    >>> (2 * x + 1)[:, :3]
    <Symbol float32[batch, 3]>
    """

    call: Call
    index: int
    spec: Spec
    mask: "Symbol | None" = None

    @property
    def shape(self) -> Shape:
        """Sizes with the batch axis; free ones are symbolic dimensions."""
        return self.spec.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the array to come."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes, the batch axis included."""
        return len(self.spec.shape)

    @property
    def optional(self) -> bool:
        """Whether `None` may come in place of an array: true of inputs drawn so."""
        return getattr(self.call.layer, "optional", False) is True

    def __repr__(self) -> str:
        return f"<Symbol {show(self.spec)}{' masked' if self.mask is not None else ''}>"

    def _lift(self, function: Any, *args: Any) -> "Symbol":
        for operand in args:
            if not isinstance(operand, NUMBERS) and not hasattr(operand, "shape"):
                raise SymbolError(
                    f"{self!r}, {getattr(function, '__name__', function)}",
                    expected="a symbol, an array or a number beside it",
                    got=repr(operand)[:80],
                    cure="Write numpy.array([...]) for a list of numbers, and jg.op(jnp.stack) for one of symbols.",
                )
        return self.call.layer.operation(function)(*args)

    def __add__(self, other: Any) -> "Symbol":
        return self._lift(jnp.add, self, other)

    def __radd__(self, other: Any) -> "Symbol":
        return self._lift(jnp.add, other, self)

    def __sub__(self, other: Any) -> "Symbol":
        return self._lift(jnp.subtract, self, other)

    def __rsub__(self, other: Any) -> "Symbol":
        return self._lift(jnp.subtract, other, self)

    def __mul__(self, other: Any) -> "Symbol":
        return self._lift(jnp.multiply, self, other)

    def __rmul__(self, other: Any) -> "Symbol":
        return self._lift(jnp.multiply, other, self)

    def __truediv__(self, other: Any) -> "Symbol":
        return self._lift(jnp.true_divide, self, other)

    def __rtruediv__(self, other: Any) -> "Symbol":
        return self._lift(jnp.true_divide, other, self)

    def __floordiv__(self, other: Any) -> "Symbol":
        return self._lift(jnp.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> "Symbol":
        return self._lift(jnp.floor_divide, other, self)

    def __mod__(self, other: Any) -> "Symbol":
        return self._lift(jnp.remainder, self, other)

    def __rmod__(self, other: Any) -> "Symbol":
        return self._lift(jnp.remainder, other, self)

    def __pow__(self, other: Any) -> "Symbol":
        return self._lift(jnp.power, self, other)

    def __rpow__(self, other: Any) -> "Symbol":
        return self._lift(jnp.power, other, self)

    def __matmul__(self, other: Any) -> "Symbol":
        return self._lift(jnp.matmul, self, other)

    def __rmatmul__(self, other: Any) -> "Symbol":
        return self._lift(jnp.matmul, other, self)

    def __and__(self, other: Any) -> "Symbol":
        return self._lift(jnp.bitwise_and, self, other)

    def __rand__(self, other: Any) -> "Symbol":
        return self._lift(jnp.bitwise_and, other, self)

    def __or__(self, other: Any) -> "Symbol":
        return self._lift(jnp.bitwise_or, self, other)

    def __ror__(self, other: Any) -> "Symbol":
        return self._lift(jnp.bitwise_or, other, self)

    def __xor__(self, other: Any) -> "Symbol":
        return self._lift(jnp.bitwise_xor, self, other)

    def __rxor__(self, other: Any) -> "Symbol":
        return self._lift(jnp.bitwise_xor, other, self)

    def __invert__(self) -> "Symbol":
        return self._lift(jnp.bitwise_not, self)

    def __neg__(self) -> "Symbol":
        return self._lift(jnp.negative, self)

    def __abs__(self) -> "Symbol":
        return self._lift(jnp.abs, self)

    def __lt__(self, other: Any) -> "Symbol":
        return self._lift(jnp.less, self, other)

    def __le__(self, other: Any) -> "Symbol":
        return self._lift(jnp.less_equal, self, other)

    def __gt__(self, other: Any) -> "Symbol":
        return self._lift(jnp.greater, self, other)

    def __ge__(self, other: Any) -> "Symbol":
        return self._lift(jnp.greater_equal, self, other)

    def __getitem__(self, index: Any) -> "Symbol":
        parts = index if isinstance(index, tuple) else (index,)
        ends = [end for part in parts if isinstance(part, slice) for end in (part.start, part.stop, part.step)]
        if any(isinstance(end, Symbol) for end in ends):
            self._refuse("sliced from or to a symbol", "Sizes are fixed: use jg.op(jax.lax.dynamic_slice_in_dim).")
        return self.call.layer.operation(getitem)(self, index)

    __array_ufunc__ = None  # lets `numpy_array * symbol` reach __rmul__; JAX's arrays do so by themselves

    def _refuse(self, use: str, cure: str) -> NoReturn:
        raise SymbolError(repr(self), expected="an array", got=f"a symbol, {use}", cure=cure)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        del dtype, copy
        self._refuse("given to a function of arrays", "Lift the function: jg.op(jnp.sin)(x).")

    def __float__(self) -> NoReturn:
        self._refuse("made a number", "Values are known only in apply: lift what computes with them by jg.op.")

    def __int__(self) -> NoReturn:
        self.__float__()

    def __bool__(self) -> NoReturn:
        self._refuse(
            "used as a condition",
            "Values are known only in apply: write jg.op(jnp.where)(a > b, a, b), (0 < x) & (x < 1).",
        )

    def __iter__(self) -> NoReturn:
        self._refuse("iterated over", "Slice it: x[:, 0], x[:, 1], ...")

    def __len__(self) -> NoReturn:
        self._refuse("asked for its length", "Read x.shape; the batch axis is not known yet.")

    def __reduce__(self) -> NoReturn:
        self._refuse("pickled or copied alone", "Make a jg.Model of the drawing: models can be pickled and copied.")
