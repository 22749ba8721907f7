"""Training by hand in JAX, on Flax modules: a jitted step that donates what it takes, or a loop of steps.

The loop is what one writes who knows how: rows lie on the device, and a dispatch takes several steps.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from scripts.benchmark.libraries import Prepared
from scripts.benchmark.linen import MODELS
from scripts.benchmark.tasks import Arrays, Task

LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mse": lambda outputs, targets: (outputs - targets) ** 2,
    "binary_crossentropy": optax.sigmoid_binary_cross_entropy,
    "sparse_categorical_crossentropy": optax.softmax_cross_entropy_with_integer_labels,
}


def peak() -> int | None:
    """The most bytes in use on JAX's device, where it counts them."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def make_step(module: Any, losses: Any, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """One step: from (params, other variables, opt_state), inputs and targets to the next three and the loss."""

    def loss(params: Any, others: Any, inputs: Any, targets: Any) -> Any:
        outputs, others = module.apply({"params": params, **others}, inputs, mutable=list(others))
        each = jax.tree.map(lambda name, y, t: jnp.mean(LOSSES[name](y, t)), losses, outputs, targets)
        return sum(jax.tree.leaves(each)), others

    def step(carry: Any, inputs: Any, targets: Any) -> Any:
        params, others, opt_state = carry
        (value, others), grads = jax.value_and_grad(loss, has_aux=True)(params, others, inputs, targets)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), others, opt_state), value

    return step


def looped(step: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """So many steps on rows that lie on the device, and the sum of their losses."""

    def several(carry: Any, data: Any, order: Any, start: Any) -> Any:
        def body(i: Any, state: Any) -> Any:
            rows = jax.lax.dynamic_index_in_dim(order, start + i, keepdims=False)
            carry, value = step(state[0], *jax.tree.map(lambda array: array[rows], data))
            return carry, state[1] + value

        return jax.lax.fori_loop(0, steps, body, (carry, jnp.zeros(())))

    return several


def prepare(name: str, task: Task, data: tuple[Arrays, Arrays], steps: int = 1) -> Prepared:
    """Makes module, start values and step."""
    module, optimizer = MODELS[name](), optax.adam(1e-3)
    step = make_step(module, task.losses, optimizer)
    step = jax.jit(step if steps == 1 else looped(step, steps), donate_argnums=0)
    variables = jax.jit(module.init)(jax.random.key(0), jax.tree.map(lambda array: array[: task.batch_size], data[0]))
    params = variables.pop("params")
    start = params, variables, optimizer.init(params)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    rows = len(jax.tree.leaves(data)[0])

    def orders() -> Any:
        random = np.random.default_rng(0)
        while True:
            yield random.permutation(rows).reshape(-1, task.batch_size)

    def train(going: Callable[[], bool]) -> None:
        carry, losses = start, []
        for order in orders():
            for batch in order:
                carry, value = step(carry, *jax.tree.map(lambda array, batch=batch: array[batch], data))
                losses.append(value)
            float(sum(losses))
            losses.clear()
            if not going():
                return

    def train_looped(going: Callable[[], bool]) -> None:
        carry, losses, lying = start, [], jax.tree.map(jnp.asarray, data)
        for order in map(jnp.asarray, orders()):
            for first in range(0, len(order), steps):
                carry, value = step(carry, lying, order, np.int32(first))
                losses.append(value)
            float(sum(losses))
            losses.clear()
            if not going():
                return

    device = f"{jax.default_backend()}: {jax.devices()[0].device_kind}"
    return Prepared(count, train if steps == 1 else train_looped, device, peak)
