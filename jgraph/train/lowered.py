"""The step compiled ahead of time, from specs alone: what it costs, and the program itself, for one kind of batch."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.sizes import names_in, value_of
from jgraph.draw.amounts import amount
from jgraph.draw.specs import show
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError, DataError, DTypeError, KeyMismatchError, ShapeError
from jgraph.train.batches import Batch, Binding
from jgraph.train.objective import Target
from jgraph.train.plan import check_batch_size
from jgraph.train.programs import Programs
from jgraph.train.state import TrainState, check_train_state
from jgraph.tree import leaves_with_names
from jgraph.typing import Array, PyTree, Spec

GIVE_A_BATCH = "Give lower a batch of arrays, or of jax.ShapeDtypeStruct, with the batch axis."


@dataclasses.dataclass(frozen=True, eq=False)
class Lowered:
    """A step that is compiled for batches of one kind, as `trainer.lower` returns it; `print` shows what it costs.

    `step` is `trainer.step`, to the same bits, and never compiles. `batch` has the specs of (inputs, targets, weights)
    that it is for. `flops` and `bytes` are XLA's count of the operations of one step, and of what it reads and writes;
    XLA counts the body of a loop, as of an LSTM over time, once, so where `loops` is not 0 both are too low.
    `peak_memory` is all that must be there at once: `arguments`, `outputs` and `temporaries`, in bytes. In `fit`, which
    donates the train state, the outputs take the place of the arguments; so they do with `lower(..., donate=True)`.

    >>> import jax, jax.numpy as jnp, jgraph as jg, optax
    >>> model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3)])
    >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    >>> lowered = trainer.lower(batch_size=8)
    >>> lowered.flops > 2 * 8 * 4 * 3, lowered.peak_memory > 0, "HloModule" in lowered.text
    (True, True, True)
    >>> train_state, logs = lowered.step(trainer.init(jax.random.key(0)), (jnp.ones((8, 4)), jnp.ones((8, 3))))
    """

    compiled: Any
    binding: Binding
    train_state: TrainState
    batch: Batch

    # The program

    def step(self, train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Array]]:
        """One step on a batch (inputs, targets[, weights]), as `trainer.step`: the next train state and the logs.

        Raises:
            ShapeError, DTypeError, KeyMismatchError: the batch is not of the shapes and dtypes of this program; the
            input or target is named. DataError, ArgumentError: it is no batch, or the train state is not the trainer's.
        """
        bound = self.binding.bind(batch, "Lowered.step")[0]
        for name, given, spec in zip(self.binding.names, _leaves(bound), _leaves(self.batch), strict=True):
            _check_like(f"Lowered.step, {name}", given, spec)
        self._check_train_state(train_state)
        layout = self.binding.layout
        return self.compiled(layout.kept(train_state), layout.rows(self.binding.cast(bound)))

    def _check_train_state(self, given: TrainState) -> None:
        if _outline(given) == self._outline:
            return
        own = self.train_state
        check_train_state("Lowered.step", given, own)
        for (name, leaf), (_, spec) in zip(leaves_with_names(given), leaves_with_names(own), strict=True):
            if _kind(leaf) != _kind(spec):
                raise DTypeError(
                    f"Lowered.step, train_state, leaf {name!r}",
                    expected=show(spec),
                    got=show(leaf),
                    cure="Give the train state of this trainer; trainer.step compiles for any.",
                )

    @functools.cached_property
    def _outline(self) -> Any:
        return _outline(self.train_state)

    # What it costs

    @functools.cached_property
    def _costs(self) -> dict[str, float]:
        return self.compiled.cost_analysis() or {}

    @functools.cached_property
    def _memory(self) -> Any:
        return self.compiled.memory_analysis()

    @property
    def flops(self) -> float:
        """The floating-point operations of a step, as XLA counts them; NaN where the platform does not."""
        return float(self._costs.get("flops", math.nan))

    @property
    def bytes(self) -> float:
        """The bytes that the operations of a step read and write, as XLA counts them; NaN where it does not."""
        return float(self._costs.get("bytes accessed", math.nan))

    @functools.cached_property
    def loops(self) -> int:
        """The loops of the program, whose bodies `flops` and `bytes` count once."""
        return self.text.count(" while(")

    @property
    def arguments(self) -> int:
        """The bytes of the train state and the batch."""
        return self._memory.argument_size_in_bytes

    @property
    def outputs(self) -> int:
        """The bytes of the next train state and the logs, without what they share with the arguments."""
        return self._memory.output_size_in_bytes - self._memory.alias_size_in_bytes

    @property
    def temporaries(self) -> int:
        """The most bytes that the step needs for what is in between, such as activations."""
        return self._memory.temp_size_in_bytes

    @property
    def peak_memory(self) -> int:
        """The bytes that a step needs at once: arguments, outputs and temporaries."""
        return self.arguments + self.outputs + self.temporaries

    @functools.cached_property
    def text(self) -> str:
        """The compiled program, in XLA's own language (HLO)."""
        return self.compiled.as_text()

    def __repr__(self) -> str:
        rows = next(leaf.shape[0] for leaf in _leaves(self.batch) if leaf is not None)
        return f"Lowered(batch of {rows}, {amount(self.flops, 'flop')}, {amount(self.peak_memory, 'B')})"

    def __str__(self) -> str:
        memory = ("peak memory", "arguments", "outputs", "temporaries")
        sizes = (self.peak_memory, self.arguments, self.outputs, self.temporaries)
        rows = [["operations", amount(self.flops, "flop")], ["read and written", amount(self.bytes, "B")]]
        rows += [[name, amount(size, "B")] for name, size in zip(memory, sizes, strict=True)]
        named = zip(self.binding.names, _leaves(self.batch), strict=True)
        rows += [[name, show(spec)] for name, spec in named if spec is not None]
        notes = [f"{self.loops} loops, whose bodies are counted once"] if self.loops else []
        return table("One step, compiled", ["", "one step"], rows, notes, numbers=["one step"])


def lower(
    programs: Programs,
    binding: Binding,
    train_state: TrainState,
    batch: Any,
    batch_size: int | None,
    donate: bool = False,
) -> Lowered:
    """Compiles the step for a train state of specs and a batch of arrays or specs, or for `batch_size` rows.

    With `donate` it takes over the memory of the train state, as the programs of `fit` do.

    Raises:
        ArgumentError: neither is given, or both. ShapeError, DataError: a size does not follow from the model alone.
        As `trainer.step`, for the batch.
    """
    if (batch is None) == (batch_size is None):
        raise ArgumentError(
            "lower",
            expected="a batch (inputs, targets[, weights]), or batch_size",
            got="neither" if batch is None else "both",
            cure="Write trainer.lower((inputs, targets)), or trainer.lower(batch_size=64).",
        )
    if batch is None:
        check_batch_size("lower", batch_size)
        bound = _drawn(binding, int(batch_size or 0))
    else:
        bound = binding.bind(batch, "lower")[0]
    specs: Any = jax.tree.map(_spec, bound)
    program = jax.jit(programs.step.logged, donate_argnums=0) if donate else programs.logged
    layout = binding.layout
    layout.check_batch("lower, batch_size", next(leaf.shape[0] for leaf in _leaves(specs) if leaf is not None))
    batched = layout.specs_of_rows(jax.eval_shape(binding.cast, specs))
    compiled = program.lower(layout.specs(train_state), batched).compile()
    return Lowered(compiled, binding, train_state, specs)


def _drawn(binding: Binding, rows: int) -> Batch:
    """The batch that follows from the drawing: inputs and outputs with so many rows, without weights."""
    graph, targets = binding.model.graph, binding.objective.targets
    symbols = [graph.symbol(ref) for ref in jax.tree.leaves(graph.inputs)]
    names = binding.names[: len(symbols)]
    inputs = tuple(_sized(n, s.spec, rows) for n, s in zip(names, symbols, strict=True))
    return inputs, tuple(_target(target, rows) for target in targets), (None,) * len(targets)


def _target(target: Target, rows: int) -> Spec | None:
    """The spec of an output's targets: labels for its last axis, or of its own shape."""
    kinds, name = {judge.targets for judge in target.judges}, f"target {target.name!r}"
    if not kinds:
        return None
    if kinds == {"free"}:
        got = f"{target.judges[0].name}, which takes targets of any shape"
        raise DataError(f"lower, {name}", expected="a loss that says what targets it takes", got=got, cure=GIVE_A_BATCH)
    spec = _sized(name, target.spec, rows)
    floating = jnp.issubdtype(spec.dtype, jnp.floating)
    same = jax.ShapeDtypeStruct(spec.shape, jnp.float32 if floating else spec.dtype)
    return jax.ShapeDtypeStruct(spec.shape[:-1], jnp.int32) if "labels" in kinds else same


def _sized(name: str, spec: Spec, rows: int) -> Spec:
    """A drawn spec for so many rows."""
    if any(names_in(size) - {"batch"} for size in spec.shape if not isinstance(size, int)):
        raise ShapeError(f"lower, {name}", expected="a shape without free axes", got=show(spec), cure=GIVE_A_BATCH)
    return jax.ShapeDtypeStruct(tuple(value_of(size, {"batch": rows}) for size in spec.shape), spec.dtype)


def _check_like(where: str, given: Any, spec: Spec | None) -> None:
    """Checks one array of a batch.

    Raises:
        KeyMismatchError, ShapeError, DTypeError: it is not like the spec.
    """
    cure = "Lower a step for such batches too, or use trainer.step, which compiles for any."
    if given is None and spec is None:
        return
    if given is None or spec is None:
        expected, got = ("none" if one is None else show(one) for one in (spec, given))
        raise KeyMismatchError(where, expected=expected, got=got, cure=cure)
    if _kind(given) != _kind(spec):
        kind = ShapeError if tuple(given.shape) != spec.shape else DTypeError
        raise kind(where, expected=show(spec), got=show(_spec(given)), cure=cure)


def _leaves(batch: Batch) -> list[Any]:
    return jax.tree.leaves(batch, is_leaf=lambda leaf: leaf is None)


def _spec(array: Any) -> Spec:
    """Shape and dtype of an array, as JAX would take it: without 64 bits where it has none."""
    return jax.ShapeDtypeStruct(*_kind(array))


def _kind(array: Any) -> tuple[tuple, Any]:
    return np.shape(array) if not hasattr(array, "shape") else tuple(array.shape), _dtype(array)


def _dtype(array: Any) -> Any:
    dtype = array.dtype
    return dtype if jnp.issubdtype(dtype, jax.dtypes.extended) else jax.dtypes.canonicalize_dtype(dtype)


def _outline(tree: PyTree) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else type(leaf) for leaf in leaves]
