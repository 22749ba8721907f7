"""The average of the params over training, put in place at its end."""

import jax
import jax.numpy as jnp

from jgraph.callbacks.monitor import check_count, check_number
from jgraph.core.treatment import is_floating, widened
from jgraph.errors import check_flag, check_one_of
from jgraph.train.actions import INTERRUPTED, Restore
from jgraph.train.callback import Callback, Event, Result
from jgraph.train.state import TrainState, fresh_copy
from jgraph.typing import Array, Params, PyTree

MODES = ("swa", "ema")


class AverageWeights(Callback):
    """Averages the params as they are after each epoch from `start_from_epoch` on, or every `every_steps` of these.

    `"swa"` is stochastic weight averaging (Izmailov et al. 2018), the plain mean: `mean += (params - mean) / n`; it
    goes with a learning rate that stays high or moves in cycles. `"ema"` is `mean += (1 - momentum) * (params - mean)`,
    from the first params on. The mean is kept in the memory, in at least float32: as much room as the params once
    more, on the device and in every checkpoint.

    With `swap` the mean takes the place of the params when `fit` ends, unless it was interrupted; what a `Checkpoint`
    saves there are still the params, so that a run can go on. Without, `averaged(memory, train_state)` gives it.
    Statistics of batch normalisation are then those of other params: `jg.update_statistics` takes them anew.

    `jg.Trainer(ema=0.999)` keeps averages over every step within the compiled step, and can validate them: where that
    is wanted, take it instead.

    Raises:
        ArgumentError: an argument has a value that it cannot have.

    >>> import jgraph as jg, numpy as np, optax
    >>> trainer = jg.Trainer(jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)]), optax.sgd(0.1), loss="mse")
    >>> swa = jg.callbacks.AverageWeights(start_from_epoch=2)
    >>> run = trainer.fit((np.ones((4, 2)), np.ones(4)), epochs=5, callbacks=[swa], progress=False)
    >>> run.events[-1]
    'epoch 5, step 5: average_weights: restores a train state (the average of the params at 3 places)'
    """

    mode: str = "swa"
    start_from_epoch: int = 0
    every_steps: int | None = None
    momentum: float = 0.99
    swap: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("AverageWeights", "mode", self.mode, MODES, "Write mode='swa' for the plain mean, or mode='ema'.")
        check_count("AverageWeights", "start_from_epoch", self.start_from_epoch)
        if self.every_steps is not None:
            check_count("AverageWeights", "every_steps", self.every_steps, least=1)
        check_number("AverageWeights", "momentum", self.momentum, " between 0 and 1, both excluded", 0.99)
        check_flag("AverageWeights", swap=self.swap)

    def init(self, train_state: TrainState) -> PyTree:
        """Makes the memory: how often the params were looked at, and their mean."""
        return {"count": 0, "mean": widened(train_state.params)}  # the loop copies what `init` gives

    def on_step_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the params."""
        return self._looked(memory, event), []

    def on_epoch_end(self, memory: PyTree, event: Event) -> Result:
        """Looks at the params, where it is not done at steps."""
        return (memory if self.every_steps is not None else self._looked(memory, event)), []

    def on_train_end(self, memory: PyTree, event: Event) -> Result:
        """Puts the mean in place, where that was asked for."""
        if not self.swap or not memory["count"] or event.stopped == INTERRUPTED:
            return memory, []
        places = f"{memory['count']} place{'s' * (memory['count'] != 1)}"
        return memory, [Restore(self.averaged(memory, event.train_state), f"the average of the params at {places}")]

    def averaged(self, memory: PyTree, train_state: TrainState) -> TrainState:
        """A train state with the mean as its params, in their dtypes; as it is, where nothing was averaged yet.

        For a run it is `averaged(run.memories["average_weights"], run.train_state)`.
        """
        if not memory["count"]:
            return train_state
        params = jax.tree.map(lambda own, mean: jnp.asarray(mean, own.dtype), train_state.params, memory["mean"])
        return train_state.replace(params=params)

    def _looked(self, memory: PyTree, event: Event) -> PyTree:
        if event.epoch < self.start_from_epoch:
            return memory
        count = memory["count"] + 1
        if count == 1:
            return {"count": 1, "mean": widened(fresh_copy(event.train_state.params))}
        weight = 1 / count if self.mode == "swa" else 1 - self.momentum
        return {"count": count, "mean": _moved(memory["mean"], event.train_state.params, weight)}


@jax.jit
def _moved(mean: Params, params: Params, weight: float) -> Params:
    """The mean, nearer to the params; where these are no floating numbers, the params."""

    def one(mean: Array, param: Array) -> Array:
        return mean + weight * (param.astype(mean.dtype) - mean) if is_floating(mean) else param

    return jax.tree.map(one, mean, params)
