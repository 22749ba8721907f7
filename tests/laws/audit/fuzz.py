"""Arbitrary arguments for everything public that makes something, and what has to hold of what it makes."""

import inspect
import math
import warnings
from typing import Any

import jax
import numpy as np
from hypothesis import strategies as st

import jgraph as jg
from jgraph.core.symbol import Symbol
from jgraph.errors import JGraphError
from tests.laws.audit.good import arguments, everything
from tests.laws.audit.of import ANY
from tests.laws.members import LAYERS, Member

PUBLIC = everything()
DRAWN = {type(member.make()).__name__: member for member in reversed(LAYERS) if not member.typed}
"""What a layer can be drawn on, by its class."""

FUNCTIONS = ("as_layer", "Input", "op", "Sequential")
MAKERS = sorted(
    name
    for name, value in PUBLIC.items()
    if name not in ANY
    and (
        isinstance(value, type)
        or name.startswith(("callbacks.on_", "optimizers."))
        or name in ("as_layer", "Input", "op")
    )
)
"""The classes, and the functions that only make something."""

NEAR = (
    *(
        "relu",
        "rleu",
        "same",
        "samee",
        "valid",
        "causal",
        "zeros",
        "glorot_unifrom",
        "l2",
        "l22",
        "non_neg",
        "min",
        "max",
    ),
    *("auto", "mni", "softmax", "sigmoid", "labels", "macro", "concat", "bilinear", "constant", "val_loss", "a/b", "x"),
    *("ab,bc->ac", "float32", "fan_in", "ROC", "linear", "swa", "hann", "mse", "y", "*"),
)
"""Names that are right somewhere, and typos of such."""

THINGS = (
    *(object(), int, abs, np.array([1.0, 2.0]), np.array([[1, 2]]), np.array([]), np.float32(0.5), np.int32(3)),
    *(jg.Input((3,)), jg.layers.Dense, jg.layers.Dense(2), jg.layers.GRUCell(2), jg.regularizers.L2(0.1), len),
    *(2**31, 2**63, 10**30, -(10**30), math.inf, -math.inf, math.nan, range(3), {1, 2}, slice(1), Ellipsis, b"x", 1j),
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 6)
    | st.floats(-2, 2, width=16)
    | st.text(max_size=3)
    | st.sampled_from(NEAR)
    | st.sampled_from(THINGS)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2) | st.sampled_from(NEAR) | st.integers(0, 3), inner, max_size=2)
    ),
    max_leaves=5,
)


def defaults() -> dict[str, list[Any]]:
    """What stands for a parameter by default, wherever it does."""
    found: dict[str, list[Any]] = {}
    for value in PUBLIC.values():
        for name, parameter in inspect.signature(value).parameters.items():
            if parameter.default is not parameter.empty:
                found.setdefault(name, []).append(parameter.default)
    return found


DEFAULTS = defaults()
SIZES = st.integers(1, 4) | st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
SENSIBLE = SIZES | st.booleans() | st.floats(0.0625, 0.9375, width=16) | st.none() | st.sampled_from(NEAR)
"""What is right more often than not."""


def likely(parameter: str) -> st.SearchStrategy[Any]:
    """Values that a parameter may well have."""
    known = DEFAULTS.get(parameter, ())
    return st.sampled_from(known) | SENSIBLE if known else SENSIBLE


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Something public, and a good call of it with a few arguments that are anything."""
    name = draw(st.sampled_from(MAKERS))
    names = [n for n, p in inspect.signature(PUBLIC[name]).parameters.items() if p.kind is not p.VAR_KEYWORD]
    given = arguments(name, PUBLIC[name])
    for parameter in draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else ():
        given[parameter] = draw(likely(parameter) | VALUES)
    return name, given


def outcome(name: str, given: dict[str, Any]) -> str:
    """Calls it: `refused` by an error of jgraph, or `made`, and then it works."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = PUBLIC[name](**given)
        except JGraphError as error:
            said = (error.where, error.expected, error.got, error.cure)
            return "refused" if all(said) else f"refused without saying all: {error}"
        assert repr(made)
        assert made == made  # noqa: PLR0124 (that it can be compared)
        if isinstance(made, jg.callbacks.Callback):
            assert made.configuration()["class"]
        elif isinstance(made, (jg.Loss, jg.metrics.Metric)):
            assert hash(made) == hash(made)
        elif isinstance(made, jg.Layer) and type(made).__name__ in DRAWN:
            return drawn(made, DRAWN[type(made).__name__])
    return "made"


def drawn(layer: jg.Layer, member: Member) -> str:
    """Draws a layer on what suits its class: `misfit` by an error of jgraph, or `drawn`, and then it can be written."""
    symbols = [jg.Input(shape, member.dtype, name=f"x{place}") for place, shape in enumerate(member.shapes)]
    given = (symbols,) if member.merges else (symbols[0], symbols[1:]) if member.cell else symbols
    try:
        outputs = layer(*given)
        model = jg.Model(symbols, outputs)
        text = model.to_json()
    except JGraphError:
        return "misfit"
    assert all(isinstance(leaf, Symbol) for leaf in jax.tree.leaves(outputs))
    if layer.written and not isinstance(layer, jg.layers.FlaxModule):  # whose class would have to be allowed
        assert jg.Model.from_json(text, allow=[abs, len]).fingerprint == model.fingerprint
    return "drawn"
