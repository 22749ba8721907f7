"""The cases of attention, in lists and in heads.

Every query of these cases sees a key: where one is left with nothing, Keras takes the mean of what is masked or 0,
whichever way it computes. For the same reason heads have masked queries only where no weights are asked for and nothing
is ever dropped. A bias of the keys moves all scores alike and has a gradient of 0, whose rounding has no size: with
biases, outputs alone are compared.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

QUERY, VALUE, KEY = (3, 4, 6), (3, 5, 3), (3, 5, 7)
QUERY_MASK = np.array([[1, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
VALUE_MASK = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 1, 1], [1, 0, 1, 0, 1]], bool)  # every window of two sees a step
KEY_MASK = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)

CALLS = [
    {**causal, **scores}
    for causal in ({}, {"use_causal_mask": True})
    for scores in ({}, {"return_attention_scores": True})
]
"""How layers are called."""


def cases() -> list[Case]:
    """Lists in full, and of the products of the options of heads a part in which every pair of options is."""
    return [*lists(), *list(heads())[::48], *list(several_axes())[::4]]


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers, the same for one shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def lists() -> Iterator[Case]:
    """Attention and AdditiveAttention, by every score, with and without a key, masks, weights and steps ahead."""
    layers = [
        *(("Attention", {"use_scale": s, "score_mode": m}) for s in (False, True) for m in ("dot", "concat")),
        *(("AdditiveAttention", {"use_scale": s}) for s in (False, True)),
    ]
    query, value, key = numbers(3, 4, 6), numbers(3, 5, 6), numbers(3, 5, 6) + 0.5
    masks = [None, (QUERY_MASK, None), (None, VALUE_MASK), (QUERY_MASK, VALUE_MASK)]
    inputs = [[query, value], [query, value, key], [query, numbers(3, 5, 2), key]]
    for (name, config), xs, mask, call in itertools.product(layers, inputs, masks, CALLS):
        given = None if mask is None else [*mask, *[None] * (len(xs) - 2)]
        yield name, config, (xs,), {"mask": given, **call}
    for (name, config), call, train in itertools.product(layers, CALLS, (False, True)):
        dropout = {} if train else {"dropout": 0.4}
        yield name, {**config, **dropout}, ([numbers(2, 1, 3), numbers(2, 7, 3)],), {"train": train, **call}
        yield name, {**config, **dropout}, ([numbers(2, 6, 1), numbers(2, 1, 1)],), {"train": train, **call}


def heads() -> Iterator[Case]:
    """MultiHeadAttention and GroupQueryAttention over all options, where Keras has an answer."""
    kinds = [
        *(("MultiHeadAttention", {"num_heads": n, "key_dim": 4, **end}) for n in (1, 3) for end in ENDS),
        *(
            ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": q, "num_key_value_heads": k})
            for q, k in ((2, 2), (4, 2), (6, 3), (3, 1))
        ),
    ]
    parts = itertools.product((False, True), (False, True), (None, 2), (0.0, 0.3))
    options = itertools.product(kinds, list(parts), sorted(MASKS), (None, 2, 3, 4), (False, True), CALLS)
    order = list(options)
    random.Random(0).shuffle(order)  # so that a part has all pairs of options
    for (name, config), (bias, gate, window, dropout), masks, rank, own_key, call in order:
        explicit = bool(dropout or call.get("return_attention_scores"))
        if ("value_dim" in config and not explicit) or (masks == "all" and explicit):
            continue
        if masks != "none" and rank == 4:  # Keras lines the batch axis of one mask up with the heads of the other
            continue
        config = {**config, "use_bias": bias, "use_gate": gate, "sliding_window": window, "dropout": dropout}
        width = QUERY[-1] if name.startswith("Group") else VALUE[-1]
        inputs = (numbers(*QUERY), numbers(*VALUE[:-1], width), *([numbers(*KEY)] if own_key else []))
        seen = {} if rank is None else {"attention_mask": allowed(rank, config)}
        mask = MASKS[masks]
        yield (
            name,
            config,
            inputs,
            {"mask": None if mask is None else mask[: len(inputs)], "gradients": not bias, **seen, **call},
        )


ENDS: list[dict[str, Any]] = [
    {},
    {"output_shape": 7},
    {"output_shape": (2, 3)},
    {"value_dim": 2},
    {"value_dim": 5, "output_shape": [4]},
]
"""What heads of values and the last projection may make; Keras takes another `value_dim` only where it has weights."""

MASKS: dict[str, Any] = {
    "none": None,
    "all": (QUERY_MASK, VALUE_MASK, KEY_MASK),
    "value": (None, VALUE_MASK, None),
    "key": (None, None, KEY_MASK),
}
"""Which inputs carry a mask."""


def allowed(rank: int, config: dict[str, Any]) -> np.ndarray:
    """A mask [t, s], or with axes in front, that lets a query see itself, the step before and the first."""
    number = config.get("num_heads", config.get("num_query_heads", 1))
    shape = ((4, 5), (3, 4, 5), (3, number, 4, 5))[rank - 2]
    near = np.tri(4, 5, dtype=bool) & ~np.tri(4, 5, -2, dtype=bool)
    near[:, 0] = True
    return near | (np.random.default_rng(rank).random(shape) < 0.4)


def several_axes() -> Iterator[Case]:
    """Inputs of rank 4 and 5, attended over along some of their axes, in any order."""
    ends = ({}, {"output_shape": 3}, {"output_shape": (2, 2), "value_dim": 2, "use_gate": True})
    calls = ({}, {"return_attention_scores": True})
    order = list(itertools.product(AXES.items(), ends, (False, True), calls, range(6)))
    random.Random(0).shuffle(order)
    for (axes, (query, value)), end, bias, call, extra in order:
        rank = len(query)
        given = range(1, rank - 1) if axes is None else (axes,) if isinstance(axes, int) else axes
        attended = [axis % rank for axis in given]
        steps = [shape[axis] for shape in (query, value) for axis in attended]
        apart = [query[axis] for axis in range(rank - 1) if axis not in attended]
        fronts = ((), apart[:1], apart, [*apart, 2])
        seen = {"attention_mask": some(*fronts[extra], *steps)} if extra < len(fronts) else {}
        causal = {"use_causal_mask": True} if extra == len(fronts) and attended == [1] else {}
        config = {"num_heads": 2, "key_dim": 3, "attention_axes": axes, "use_bias": bias, **end}
        options = {"gradients": not bias, **call, **seen, **causal}
        yield "MultiHeadAttention", config, (numbers(*query), numbers(*value)), options


AXES: dict[Any, tuple[tuple[int, ...], tuple[int, ...]]] = {
    None: ((2, 3, 4, 5), (2, 4, 2, 3)),
    1: ((2, 3, 4, 5), (2, 2, 4, 3)),
    2: ((2, 3, 4, 5), (2, 3, 5, 3)),
    -2: ((2, 3, 4, 5), (2, 3, 1, 3)),
    (1, 2): ((2, 3, 4, 5), (2, 4, 2, 3)),
    (2, 1): ((2, 3, 4, 5), (2, 4, 2, 3)),
    (1, 3): ((2, 3, 2, 4, 5), (2, 2, 2, 3, 5)),
    (-2, 2): ((2, 3, 2, 4, 5), (2, 3, 3, 2, 5)),
    (2,): ((2, 3, 2, 4, 5), (2, 3, 5, 4, 5)),
    (1, 2, 3): ((2, 3, 2, 2, 5), (2, 2, 1, 3, 4)),
}
"""Axes that are attended over, with shapes of queries and values."""


def some(*shape: int) -> np.ndarray:
    """Booleans, true along the first of the last axis, so that no query is left with nothing."""
    seen = np.random.default_rng(sum(shape)).random(shape) < 0.5
    seen[..., 0] = True
    return seen
