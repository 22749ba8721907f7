"""What a whole model is computed in and kept in, by one word; a node's own policy goes before it."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.layer import InputLayer
from jgraph.core.model import Model
from jgraph.core.treatment import Treatment
from jgraph.errors import ArgumentError, listing, nearest
from jgraph.train.loss_scale import DynamicLossScale, Unscaled
from jgraph.typing import Params, PyTree

PRECISIONS = {
    "float32": Treatment(dtype="float32", param_dtype="float32"),
    "bfloat16": Treatment(dtype="bfloat16", param_dtype="bfloat16"),
    "mixed_bfloat16": Treatment(dtype="bfloat16", param_dtype="float32"),
    "mixed_float16": Treatment(dtype="float16", param_dtype="float32"),
}
"""What each word means: the dtype of what is computed, and that in which params are made, kept and updated."""


def with_precision(model: Model, precision: Any) -> Model:
    """The model with what a precision says of every node that has no dtype of its own; as it is for `None`.

    Raises:
        ArgumentError: there is no such precision, or the model's policy leaves nothing to it.
    """
    if precision is None:
        return model
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise ArgumentError(
            "Trainer, precision",
            expected=f"None or one of {listing(PRECISIONS)}",
            got=repr(precision),
            cure=f"{nearest(precision, PRECISIONS)}Other dtypes are for jg.Policy({{'*': {{'dtype': 'float16'}}}}).",
        )
    how = PRECISIONS[precision]
    before = [node.treatment for node in model.nodes]
    after = [
        own if isinstance(node.layer, InputLayer) else _filled(own, how)
        for node, own in zip(model.nodes, before, strict=True)
    ]
    if all(new.typing() != how for new in after):
        raise ArgumentError(
            "Trainer, precision",
            expected="a layer whose dtypes the model's policy leaves to it",
            got=f"{precision!r} beside a policy that gives every layer other ones",
            cure="Leave precision out, or take the dtypes out of the policy.",
        )
    return model.with_treatments(after)


def _filled(own: Treatment, how: Treatment) -> Treatment:
    """A treatment with the dtypes that it does not name itself."""
    return dataclasses.replace(own, dtype=own.dtype or how.dtype, param_dtype=own.param_dtype or how.param_dtype)


def loss_scale_of(precision: str | None) -> Unscaled:
    """How losses are scaled: dynamically where gradients pass through float16, whose numbers end at 6e-8."""
    return DynamicLossScale() if precision == "mixed_float16" else Unscaled()


def kept(params: Params, specs: PyTree) -> Params:
    """Params that were given, in the dtypes that the model keeps them in."""
    return jax.tree.map(lambda leaf, spec: jnp.asarray(leaf, spec.dtype), params, specs)
