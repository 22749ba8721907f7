"""A step that gives something not finite, replayed by hand."""

from typing import Any

from jgraph.train.batches import Binding
from jgraph.train.locate import Finding, locate
from jgraph.train.state import TrainState, check_train_state, check_trainer


def locate_nan(trainer: Any, train_state: TrainState, batch: Any) -> Finding:
    """Replays the step that `trainer.step(train_state, batch)` takes, and finds where what is not finite began.

    It looks, in this order, at the params, the batch, every node on the way forward, the losses, every node on the way
    back, and the optimizer's update, and names the first that gives NaN or an infinity though all that it was given is
    finite. Forward it follows only what reaches a loss, as some nodes give infinities on purpose. The program is
    compiled anew, for this alone. `TerminateOnNaN(locate=True)` does so when a step of `fit` is refused.

    Raises:
        As `trainer.step`, where train state or batch do not fit.

    >>> import jax, jax.numpy as jnp, jgraph as jg, numpy as np, optax
    >>> x = jg.Input((2,), name="x")
    >>> model = jg.Model(x, jg.op(jnp.log)(jg.layers.Dense(1, "relu", name="score")(x)))
    >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    >>> train_state = trainer.init(jax.random.key(0))
    >>> finding = jg.debug.locate_nan(trainer, train_state, (np.zeros((4, 2)), np.ones((4, 1))))
    >>> finding.where, finding.path
    ('forward', 'log')
    >>> print(finding)
    It began in the forward pass of 'log' (...log...): its input 'score' had values from 0 to 0
    """
    check_trainer("locate_nan", trainer)
    check_train_state("locate_nan", train_state, trainer.template)
    bound = Binding(trainer.model, trainer.objective).batch(batch, "locate_nan")
    return locate(trainer.step_function, train_state, bound)
