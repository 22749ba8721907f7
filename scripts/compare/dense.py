"""The cases of dense layers, embeddings and masking."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]

ACTIVATIONS = (None, "linear", "relu", "tanh", "sigmoid", "softplus", "gelu", "silu", "elu", "softmax", "log_softmax")
"""Some of each kind; all of them are compared as layers of their own."""

EQUATIONS: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("ab,b->a", (), (3, 5)),
    ("ab,bc->ac", 4, (3, 5)),
    ("ab,bc->ac", (4,), (3, 5)),
    ("abc,cd->abd", (None, 4), (3, 2, 5)),
    ("abc,cd->abd", (2, 4), (3, 2, 5)),
    ("abc,cde->abde", (2, 3, 4), (3, 2, 5)),
    ("abc,cde->abed", (None, 4, 3), (3, 2, 5)),
    ("abc,bd->adc", (4, None), (3, 2, 5)),
    ("abc,bc->abc", (2, 5), (3, 2, 5)),
    ("abc,bcd->abd", (2, 4), (3, 2, 5)),
    ("abc,d->abcd", (2, 5, 4), (3, 2, 5)),
    ("BFNH,NHD->BFD", (None, 4), (3, 2, 3, 5)),
    ("btd,dhk->bhtk", (3, None, 4), (3, 2, 5)),
    ("ibd,nd->ibn", (2, 6), (3, 2, 5)),
    ("...b,bc->...c", 4, (3, 5)),
    ("...b,bc->...c", 4, (3, 2, 5)),
    ("...b,bc->...c", (4,), (3, 2, 2, 5)),
    ("...bc,bc->...b", (2,), (3, 2, 5)),
    ("...c,cde->...de", (3, 4), (3, 5)),
    ("...c,cde->...ed", (4, 3), (3, 2, 5)),
    ("...ab,bc->...ac", 4, (3, 5)),
    ("...ab,bc->...ac", (None, 4), (3, 2, 5)),
    ("...ab,bc->...ac", (2, 4), (3, 2, 2, 5)),
    ("bc...,cd->bd...", 4, (3, 5)),
    ("bc...,cd->bd...", (4,), (3, 5, 2)),
    ("bc...,cd->bd...", (4,), (3, 5, 2, 3)),
    ("bc...,cde->bde...", (3, 4), (3, 5, 2)),
    ("abc...,cd->abd...", (2, 4), (3, 2, 5, 2)),
)
"""Equations, what is said of the output, and the input's shape."""


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [*dense(), *einsum(), *embedding(), *masking()]


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers, the same for one shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def sizes(output_shape: Any) -> tuple:
    """What is said of the output, as a tuple."""
    return output_shape if isinstance(output_shape, tuple) else (output_shape,)


def dense() -> Iterator[Case]:
    """Activations of each kind, with and without a bias, on every rank."""
    shapes = ((3, 5), (2, 3, 5), (2, 1, 3, 5))
    for activation, use_bias, shape in itertools.product(ACTIVATIONS, (True, False), shapes):
        yield "Dense", {"units": 4, "activation": activation, "use_bias": use_bias}, (numbers(*shape),), {}
    for units, width in itertools.product((1, 7), (1, 6)):
        yield "Dense", {"units": units}, (numbers(3, width),), {}


def einsum() -> Iterator[Case]:
    """Every equation with every set of axes of the bias, and some activations."""
    for equation, output_shape, shape in EQUATIONS:
        output = equation.split("->")[1].strip(".")
        batch = "" if equation.startswith("...") and len(shape) > len(equation.split(",")[0]) - 3 else output[0]
        letters = output.removeprefix(batch)
        sets = [c for n in range(1, len(letters) + 1) for c in itertools.combinations(letters, n)]
        known = dict(zip(reversed(equation.split(",")[0].strip(".")), reversed(shape), strict=False))
        full = [known[letter] if n is None else n for letter, n in zip(letters, sizes(output_shape), strict=True)]
        # Keras needs a number where the bias has the axis.
        for axes, activation in itertools.product((None, *map("".join, sets)), (None, "tanh", "softmax")):
            if activation != "softmax" or len(output) > 1:
                config = {"equation": equation, "output_shape": tuple(full) if axes else output_shape}
                yield "EinsumDense", {**config, "bias_axes": axes, "activation": activation}, (numbers(*shape),), {}


def embedding() -> Iterator[Case]:
    """Every rank, dtype and width."""
    random = np.random.default_rng(0)
    kinds = ("int32", "uint8", "int16")
    for shape, kind, width, zero in itertools.product(((3,), (3, 5), (2, 3, 4)), kinds, (1, 4), (True, False)):
        tokens = random.integers(0, 7, shape).astype(kind)
        yield "Embedding", {"input_dim": 7, "output_dim": width, "mask_zero": zero}, (tokens,), {}


def masking() -> Iterator[Case]:
    """Every rank, with steps of the value."""
    for shape, value in itertools.product(((3, 5), (3, 5, 4), (2, 3, 4, 2)), (0.0, -1.0, 2)):
        x = numbers(*shape)
        x[np.random.default_rng(1).random(shape[:-1]) < 0.4] = value
        yield "Masking", {"mask_value": value}, (x,), {}
