"""How an optimizer is asked: with what it may want to know, and with errors that say whose they are."""

import inspect
from typing import Any

import jax
import optax

from jgraph.errors import ArgumentError, JGraphError
from jgraph.typing import Array, PyTree


def asked(function: Any, *args: Any, **extra: Any) -> Any:
    """What `init` or `update` of an optimizer gives; an error of its own says whose it is.

    Raises:
        ArgumentError: it raised an error.
    """
    try:
        return function(*args, **extra)
    except JGraphError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        expected = "an optimizer of nested dicts of params, which asks for no more than optax's extra arguments"
        got = f"{type(error).__name__}: {error}"[:300].removesuffix(".")
        cure = "Try it by hand: optimizer.init(params), optimizer.update(grads, opt_state, params)."
        raise ArgumentError("Trainer, optimizer", expected=expected, got=got, cure=cure) from error


def told(found: Any, trained: PyTree) -> dict[str, Any]:
    """What an optimizer may ask for beside gradients and params, under optax's names: the loss, and how to compute it.

    Where it sees a part of the params alone, as with `optax.partition`, its functions take such a part, and the others
    are as they are before the step.
    """

    def value_fn(some: PyTree, *, obj_fn: Any = None, grad_fn: Any = None) -> Array:
        del obj_fn, grad_fn  # a line search hands on whatever else it was told

        def whole(own: Any, param: Any) -> Any:
            return param if isinstance(own, optax.MaskedNode) else own

        return found.loss_of(jax.tree.map(whole, some, trained, is_leaf=lambda n: isinstance(n, optax.MaskedNode)))

    def grad_fn(some: PyTree, number: Any = None) -> PyTree:
        del number  # of the adversarial step, for those who draw other batches for it
        return jax.grad(value_fn)(some)

    searching = {"value": found.loss, "grad": found.grads, "value_fn": value_fn}
    return {**searching, "obj_fn": value_fn, "grad_fn": grad_fn}


def accepted(update: Any, extra: dict[str, Any]) -> dict[str, Any]:
    """The extra arguments that an optimizer takes, which for most are all."""
    taken = inspect.signature(update).parameters
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    return extra if open_ended else {name: value for name, value in extra.items() if name in taken}
