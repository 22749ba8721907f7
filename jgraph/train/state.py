"""What training remembers: the state of the step, and the run around it."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from jgraph.data.place import Place
from jgraph.draw.panels import best_epoch
from jgraph.draw.run_picture import RunPicture
from jgraph.errors import ArgumentError, check_known
from jgraph.tree import match, overlaid
from jgraph.typing import Array, Key, Params, PyTree, State


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class TrainState:
    """Everything that a training step reads and gives back, as one pytree.

    `step` counts the updates; `key` is the seed of the randomness of all steps (a step's own key is folded from it and
    `step`); `lr_scale` multiplies the optimizer's updates. `balance` is the memory of what balances several losses,
    `loss_scale` that of a loss scale, and `ema` the averages of the trained params over the steps, in at least float32
    (`Trainer(..., ema=0.999)`); most trainers have none of them, and then there is nothing in them.

    >>> import jax, jgraph as jg, optax
    >>> model = jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)])
    >>> train_state = jg.Trainer(model, optax.sgd(0.1), loss="mse").init(jax.random.key(0))
    >>> train_state.params["dense"]["bias"], int(train_state.step)
    (Array([0.], dtype=float32), 0)
    """

    step: Array
    params: Params
    model_state: State
    opt_state: PyTree
    key: Key
    lr_scale: Array
    balance: PyTree = ()
    loss_scale: PyTree = ()
    ema: PyTree = ()

    def averaged(self) -> Self:
        """The train state with the averages over the steps as its params: to evaluate, predict and save.

        Params that are not trained stay as they are, and so does the model's state: the moving statistics of a batch
        normalisation are averages already, of what the params themselves gave. Nothing is swapped: this train state
        is what it was, and both can be trained on.

        Raises:
            ArgumentError: its trainer keeps no averages.

        >>> import jax, jgraph as jg, numpy as np, optax
        >>> model = jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)])
        >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse", ema=0.9)
        >>> data = np.ones((4, 2)), np.ones(4)
        >>> run = trainer.fit(data, epochs=3, progress=False)
        >>> sorted(trainer.evaluate(run.train_state.averaged(), data))
        ['loss']
        """
        if not jax.tree.leaves(self.ema):
            cure = "Write jg.Trainer(..., ema=0.999), and train with it."
            raise ArgumentError("TrainState.averaged", expected="averages in `ema`", got="none", cure=cure)
        params = overlaid(self.params, self.ema)
        return self.replace(params=jax.tree.map(lambda own, new: jnp.asarray(new, own.dtype), self.params, params))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed.

        >>> import jgraph as jg, optax, jax
        >>> model = jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)])
        >>> train_state = jg.Trainer(model, optax.sgd(0.1), loss="mse").init(jax.random.key(0))
        >>> int(train_state.replace(step=train_state.step + 5).step)
        5
        """
        check_known("TrainState.replace", [f.name for f in dataclasses.fields(self)], changes, {})
        return dataclasses.replace(self, **changes)


def check_trainer(where: str, given: Any) -> None:
    """Checks that something is a trainer, which is made on a higher floor.

    Raises:
        ArgumentError: it is not.
    """
    if isinstance(given, type) or not hasattr(given, "step_function"):
        cure = "Make one: jg.Trainer(model, optax.adam(1e-3), loss='mse')."
        raise ArgumentError(f"{where}, trainer", expected="a jg.Trainer", got=repr(given)[:80], cure=cure)


def check_kind(where: str, given: Any) -> None:
    """Checks that something is a train state.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(given, TrainState):
        got = "a Run" if isinstance(given, Run) else type(given).__name__
        cure = "Give run.train_state, or trainer.init(key)."
        raise ArgumentError(f"{where}, train_state", expected="a TrainState", got=got, cure=cure)


def check_train_state(where: str, given: Any, template: TrainState) -> None:
    """Checks that a train state belongs to a trainer, of whose kind the template is.

    Raises:
        ArgumentError: it is no train state.
        KeyMismatchError, ShapeError: it has other leaves; the first one is named.
    """
    check_kind(where, given)
    cure = "Give the train state of a trainer of this model and optimizer."
    for name in ("params", "model_state", "opt_state", "balance", "loss_scale"):
        match(getattr(given, name), getattr(template, name), f"{where}, train_state.{name}", cure)
    cure = "Give one of a trainer with the same `ema`, or take the averages of trainer.init(key, params=...)."
    match(given.ema, template.ema, f"{where}, train_state.ema", cure)


@jax.jit
def _copies(arrays: list[Array]) -> list[Array]:
    """One program for all leaves, as a dispatch for each is slow."""
    return [jnp.copy(array) for array in arrays]


def fresh_copy(tree: PyTree) -> PyTree:
    """The same values in buffers of their own, which may be donated."""
    leaves, structure = jax.tree.flatten(tree)
    copies = iter(_copies([leaf for leaf in leaves if hasattr(leaf, "dtype")]))
    return jax.tree.unflatten(structure, [next(copies) if hasattr(leaf, "dtype") else leaf for leaf in leaves])


class Position(NamedTuple):
    """Where training goes on: the epoch, counted from 0, and the step within it."""

    epoch: int = 0
    step: int = 0


KINDS: dict[str, type] = {"memories history timings batches": dict, "position": Position, "events frozen": tuple}
"""What the parts of a run are."""


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """The one value of training: what `fit` returns, and what it can go on from.

    `history` maps a log's name to one number an epoch and holds only what is reproducible; `timings` (seconds, steps
    per second) and `events` (what was decided and said) are outside of it. `stopped` is the reason, if training ended
    before its last epoch. `memories` are those of the callbacks, by name; `sums` those of an unfinished epoch. The
    order of the data is drawn from `seed`; `batches` is how the epochs are cut (`batch_size`, `shuffle`, `rows`,
    `steps_per_epoch`, `drop_last`), which may change between two epochs only; `place` is where an iterable of batches
    stands behind the last one that a step took. `frozen` are the patterns of paths that callbacks have frozen
    (`Freeze`); a run goes on with them.

    An error that leaves `fit` has such a run; its `train_state` is `None` where that went down with a program that
    failed on the device.

    >>> import jgraph as jg, numpy as np, optax
    >>> model = jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)])
    >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    >>> run = trainer.fit((np.ones((4, 2)), np.ones(4)), epochs=3, progress=False)
    >>> len(run.history["loss"]), run.position
    (3, Position(epoch=3, step=0))
    """

    train_state: TrainState
    memories: dict[str, PyTree] = dataclasses.field(default_factory=dict)
    position: Position = dataclasses.field(default_factory=Position)
    sums: PyTree = None
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    stopped: str | None = None
    timings: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    events: tuple[str, ...] = ()
    seed: int = 0
    batches: dict[str, Any] = dataclasses.field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    place: Place | None = None

    def __post_init__(self) -> None:
        if self.train_state is not None:
            check_kind("Run", self.train_state)
        if isinstance(self.history, dict) and not all(isinstance(values, list) for values in self.history.values()):
            cure = "Write history={'loss': [0.5, 0.25]}."
            raise ArgumentError("Run, history", expected="lists by log", got=repr(self.history)[:80], cure=cure)
        for names, kind in KINDS.items():
            for name in names.split():
                if not isinstance(getattr(self, name), kind):
                    raise ArgumentError(
                        f"Run, {name}",
                        expected=f"a {kind.__name__}",
                        got=repr(getattr(self, name))[:80],
                        cure="Take a run that `fit` gave, and change it by dataclasses.replace.",
                    )

    def after_epoch(self, train_state: TrainState, logs: dict[str, float], timings: dict[str, float]) -> "Run":
        """The run with one more epoch in its history; a log that is new or missing has NaN where it has no number."""
        check_kind("after_epoch", train_state)
        for name, row in (("logs", logs), ("timings", timings)):
            if not isinstance(row, dict):
                cure = f"Write {name}={{'loss': 0.5}}, for example."
                raise ArgumentError(f"after_epoch, {name}", expected="a dict by log", got=repr(row)[:80], cure=cure)
        epochs = self.position.epoch
        return dataclasses.replace(
            self,
            train_state=train_state,
            position=Position(epochs + 1, 0),
            sums=None,
            place=self.place if self.place is not None and self.place.of == "data" else None,
            history=_append(self.history, logs),
            timings=_append(self.timings, timings),
        )

    def left(self) -> "Run":
        """The run as it leaves `fit`: a plain value, that holds no batch."""
        return self if self.place is None else dataclasses.replace(self, place=self.place.hashed())

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        logs: Sequence[str] | None = None,
        *,
        monitor: str = "val_loss",
        mode: str = "auto",
        title: str = "",
    ) -> RunPicture:
        """Draws the history as a picture, which a notebook shows; with a path it is written as PNG, SVG or PDF.

        It shows every loss and metric, or those of `logs` with their validation, the learning rate, the best epoch by
        `monitor`, where and why training stopped, and where the learning rate was changed, a state restored or layers
        frozen. `mode` is `min`, `max` or `auto`, which is `min` for a loss. Without validation, `val_loss` is `loss`.

        Raises:
            ArgumentError: another suffix or mode, no such log, no epoch yet, or matplotlib is not installed.
            MonitorError: the history has no such log, or it is not known whether more of it is better.
            WriteError: the file cannot be written.

        >>> import jgraph as jg, numpy as np, optax, pathlib, tempfile
        >>> model = jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)])
        >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
        >>> run = trainer.fit((np.ones((4, 2)), np.ones(4)), epochs=3, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     picture = run.plot(pathlib.Path(folder) / "curves.svg")
        ...     [file.name for file in pathlib.Path(folder).iterdir()]
        ['curves.svg']
        """
        if not isinstance(title, str):
            raise ArgumentError("Run.plot, title", expected="a text", got=repr(title), cure="Write title='A run'.")
        best = best_epoch(self.history, monitor, mode) if self.history else None  # drawing refuses no history
        picture = RunPicture(self.history, best, self.stopped, title, logs, self.events)
        if path is not None:
            picture.save(path)
        return picture

    def __repr__(self) -> str:
        step = "its train state is lost" if self.train_state is None else f"step {int(self.train_state.step)}"
        last = [f"{name}={values[-1]:.4g}" for name, values in self.history.items() if values]
        stopped = [] if self.stopped is None else [f"stopped: {self.stopped}"]
        return f"Run({', '.join([f'epoch {self.position.epoch}', step, *last, *stopped])})"


def _append(table: dict[str, list[float]], row: dict[str, float]) -> dict[str, list[float]]:
    rows = max(map(len, table.values()), default=0)
    names = [*table, *(n for n in row if n not in table)]
    return {n: [*table.get(n, [float("nan")] * rows), row.get(n, float("nan"))] for n in names}
