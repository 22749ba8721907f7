"""Why the guard has refused a step, for people."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.train.source import read_logs
from jgraph.train.state import TrainState
from jgraph.train.step import Step

GUARDED = {"loss": "the loss", "gradients": "the gradients", "update": "the gradients or the update"}
"""What a guard has refused where the losses that are logged are finite."""


def why_refused(step: Step, train_state: TrainState, sums: Any, where: str) -> str:
    """What was not finite in a step that the guard refused, by its sums and the train state from before it."""
    logs = read_logs(step.objective, sums)
    bad = [f"{name} {value}" for name, value in logs.items() if name.endswith("loss") and not np.isfinite(value)]
    reason = f"not finite at {where}: {', '.join(bad) or GUARDED[str(step.guard)]}"
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(train_state.params)):
        reason += "; the parameters were not finite before it: TerminateOnNaN(gradients=True) keeps the last good ones"
    return reason
