"""How a step sees its batch: whole, or in parts whose gradients add up to those of the whole."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jgraph.errors import DataError
from jgraph.train.convolutions import convolves
from jgraph.train.objective import Judged, Objective, mean_of
from jgraph.tree import together
from jgraph.typing import Array, Key, Params, PyTree, State


class Seen(NamedTuple):
    """What a batch, or a part of it, says of some params.

    `losses` are the terms of each output's mean over the batch, `counts` the weights that they are divided by.
    """

    losses: tuple[Array, ...]
    counts: tuple[Array, ...]
    penalty: Array
    sums: Array
    model_state: State


Derive = Callable[[Callable[[Params], Seen], Params], tuple[Seen, PyTree]]
"""From a function and params: what the function gives, and what it made of gradients, which adds up over parts."""


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """All that a loss depends on beside the params that are trained."""

    objective: Objective
    frozen: Params
    model_state: State
    batch: tuple
    real: Array | None
    key: Key

    def judged(self, trained: Params) -> Judged:
        """Runs the model on the batch."""
        params = together(trained, self.frozen)
        return self.objective.evaluate(params, self.model_state, self.batch, self.real, train=True, key=self.key)


class Gradients(Protocol):
    """A way of running a batch forward and backward."""

    def __call__(self, view: View, derive: Derive, trained: Params) -> tuple[Seen, PyTree]:
        """What the whole batch gives, and what `derive` made of it."""
        ...

    def check(self, where: str, sizes: Sequence[int]) -> None:
        """Checks that batches of these sizes can be run so."""
        ...


@dataclasses.dataclass(frozen=True)
class Whole:
    """All rows at once."""

    def __call__(self, view: View, derive: Derive, trained: Params) -> tuple[Seen, PyTree]:
        """What the batch gives."""

        def see(trained: Params) -> Seen:
            judged = view.judged(trained)
            counts = tuple(loss[1] for loss in judged.losses)
            losses = tuple(mean_of(loss) for loss in judged.losses)
            return Seen(losses, counts, judged.penalty, judged.sums, judged.model_state)

        return derive(see, trained)

    def check(self, where: str, sizes: Sequence[int]) -> None:
        """All can."""


@dataclasses.dataclass(frozen=True)
class Accumulated:
    """The rows in `parts`, one after the other, so that only the activations of one part are there at once.

    Losses, gradients and sums are those of the whole batch, to rounding: each part is divided by the weights of all,
    which a first pass over masks and weights finds (of it XLA keeps only what they depend on). What depends on a
    batch as a whole is taken over each part: the statistics of batch normalisation, whose averages move once a part;
    and penalties of activations, of which the mean counts. A part draws its randomness from its own key.

    Rows that the parts do not share evenly are filled up with rows without weight, where that changes nothing
    (`fills`).

    XLA:CPU computes convolutions far slower in a loop. So there the parts of a model with convolutions stand one behind
    the other in the program: they take no longer, and no less memory.
    """

    parts: int
    fills: bool = True

    def __call__(self, view: View, derive: Derive, trained: Params) -> tuple[Seen, PyTree]:
        """What all parts give together.

        Raises:
            DataError: the parts cannot share the rows evenly, and rows depend on each other.
        """
        merge, parts = view.objective.merge, self.cut(view)

        def count(carry: tuple[Array, ...], part: tuple) -> tuple[tuple[Array, ...], None]:
            judged = _of(view, view.model_state, part).judged(trained)
            return tuple(c + loss[1] for c, loss in zip(carry, judged.losses, strict=True)), None

        def see(state: State, part: tuple, trained: Params) -> Seen:
            judged = _of(view, state, part).judged(trained)
            losses = tuple(mean_of((loss[0], n)) for loss, n in zip(judged.losses, counts, strict=True))
            return Seen(losses, counts, judged.penalty / self.parts, judged.sums, judged.model_state)

        def add(carry: tuple[Seen, PyTree], part: tuple) -> tuple[tuple[Seen, PyTree], None]:
            (before, total), state = carry, carry[0].model_state
            seen, pulled = derive(lambda trained: see(state, part, trained), trained)
            losses = tuple(a + b for a, b in zip(before.losses, seen.losses, strict=True))
            sums = merge(before.sums, seen.sums)
            added = Seen(losses, counts, before.penalty + seen.penalty, sums, seen.model_state)
            return (added, jax.tree.map(jnp.add, total, pulled)), None

        zero = jnp.zeros((), jnp.float32)
        counts = jax.lax.scan(count, (zero,) * len(view.objective.losses), parts)[0]
        first = jax.tree.map(lambda part: part[0], parts)
        shapes = jax.eval_shape(lambda: derive(lambda trained: see(view.model_state, first, trained), trained)[1])
        nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, _wide(s.dtype)), shapes)
        start = Seen((zero,) * len(counts), counts, zero, view.objective.init(), view.model_state)
        unrolled = self.unrolls(_of(view, view.model_state, first), trained)
        (seen, pulled), _ = jax.lax.scan(add, (start, nothing), parts, unroll=unrolled)
        sums = seen.sums.at[-2:].set(jnp.stack([seen.penalty, jnp.ones((), jnp.float32)]))
        return seen._replace(sums=sums), jax.tree.map(lambda s, g: g.astype(s.dtype), shapes, pulled)

    def check(self, where: str, sizes: Sequence[int]) -> None:
        """Checks that the parts can share batches of these sizes.

        Raises:
            DataError: they cannot do so evenly, and rows depend on each other.
        """
        for size in sizes:
            if size % self.parts and not self.fills:
                expected = f"batches that {self.parts} parts share evenly (accumulate={self.parts})"
                raise DataError(
                    where,
                    expected=f"{expected}, as rows depend on each other",
                    got=f"one of {size} rows",
                    cure="Choose another batch size or number of parts, or leave out the rows that are too many.",
                )

    def unrolls(self, part: View, trained: Params) -> bool:
        """Whether the parts stand one behind the other in the program, instead of in a loop."""
        return jax.default_backend() == "cpu" and convolves(part.judged, trained)

    def cut(self, view: View) -> tuple[tuple, Array | None, Array]:
        """Batch, real rows and keys, each with an axis for the parts in front."""
        rows = len(jax.tree.leaves(view.batch)[0])
        missing = -rows % self.parts
        self.check("a step", [rows])
        real = view.real if view.real is not None or not missing else jnp.ones(rows, jnp.float32)

        def shared(array: Array, fill: Any) -> Array:
            if missing:
                array = jnp.concatenate([array, jnp.broadcast_to(fill, (missing, *array.shape[1:]))])
            return array.reshape(self.parts, -1, *array.shape[1:])

        keys = jax.vmap(jax.random.fold_in, (None, 0))(view.key, jnp.arange(self.parts))
        batch = jax.tree.map(lambda array: shared(array, array[-1:]), view.batch)
        return batch, None if real is None else shared(real, jnp.zeros((), real.dtype)), keys


def _of(view: View, state: State, part: tuple) -> View:
    batch, real, key = part
    return dataclasses.replace(view, model_state=state, batch=batch, real=real, key=key)


def _wide(dtype: Any) -> Any:
    """The dtype in which gradients are added up: at least float32."""
    return jnp.promote_types(dtype, jnp.float32)
