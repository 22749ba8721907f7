"""Plans: over which axes of a mesh rows, params and outputs are split. Values, which hold for any mesh and any model.

    mesh ("data", "model") = 2 x 2       data_parallel    fsdp       tensor_parallel({"up": {"units": "model"}})

    rows of a batch                      a a b b          a a b b    whole
    kernel [features, units] of "up"     whole            a          a | b
                                                          b

What has one letter lies on one row, or one column, of the mesh.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from jgraph.errors import ArgumentError, listing

Axes = tuple[str, ...]
"""The axes of a mesh that one dimension is split over; none where it is whole."""

Rule = Mapping[str, Axes] | tuple[Axes, ...]
"""Axes by the name of a dimension, or one entry for each dimension."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return NOTHING


@dataclasses.dataclass(frozen=True)
class Sharding:
    """What is split over which axes of a mesh: `Trainer(..., mesh=mesh, sharding=plan)`. Made by the functions here.

    `rows`: the axes over which the rows of a batch are split. `rules`: patterns of the paths of params, each with axes
    by the name of a dimension, or for each dimension. `outputs`: patterns of the paths of layers, each with axes for
    each dimension of what the layer gives. `spread`: the axes over which every param that is left is split along one
    dimension, if it has at least `smallest` numbers.

    What a train state has beside a param in its shape, as the moments of Adam or its average, is split as the param is.

    Raises:
        ArgumentError: a part is none of these.

    >>> import jgraph as jg
    >>> jg.sharding.Sharding(rows="data", rules={"up": {"units": "model"}}).rows
    ('data',)
    """

    rows: Axes = ()
    rules: Mapping[str, Rule] = dataclasses.field(default_factory=_nothing)
    outputs: Mapping[str, tuple[Axes, ...]] = dataclasses.field(default_factory=_nothing)
    spread: Axes = ()
    smallest: int = 1024

    def __post_init__(self) -> None:
        for name in ("rows", "spread"):
            object.__setattr__(self, name, _axes(f"Sharding, {name}", getattr(self, name)))
        for name in ("rules", "outputs"):
            object.__setattr__(self, name, _rules(f"Sharding, {name}", getattr(self, name), name == "rules"))
        _check_smallest("Sharding", self.smallest)


def data_parallel(*axes: str) -> Sharding:
    """Rows are split over axes of the mesh, "data" where none is named; every device has all params.

    Each step adds gradients up over the devices: `2 (n - 1) / n` of the bytes of the params are sent by each.

    Raises:
        ArgumentError: an axis is no name.

    >>> import jgraph as jg
    >>> jg.sharding.data_parallel("data").rows
    ('data',)
    """
    return Sharding(rows=_axes("data_parallel, axes", axes or ("data",)))


def fsdp(*axes: str, smallest: int = 1024) -> Sharding:
    """Rows and params are split over axes of the mesh, "data" where none is named ("fully sharded data parallel").

    Each param is split along the largest dimension that the devices divide, and with it its gradient, its moments and
    its average; it is brought together where a layer needs it. Params of fewer numbers than `smallest`, and those that
    have no such dimension, stay whole. (Rajbhandari et al. 2020, ZeRO, stage 3.)

    Raises:
        ArgumentError: an axis is no name, or `smallest` is no number of at least 0.

    >>> import jgraph as jg
    >>> jg.sharding.fsdp("data").spread
    ('data',)
    """
    named = _axes("fsdp, axes", axes or ("data",))
    _check_smallest("fsdp", smallest)
    return Sharding(rows=named, spread=named, smallest=smallest)


def tensor_parallel(rules: Mapping[str, Any], outputs: Mapping[str, Any] = NOTHING) -> Sharding:
    """Params are split by rules, `{pattern: axes}`, and the outputs of layers too.

    A pattern is a path of a param, of a layer, or of a nested model, for all params in it; `*`, `?` and `[ab]` are
    wild as in `jg.Policy`. Axes are those of the mesh: by the name of a dimension (`{"units": "model"}`, for every
    param that has it; `layer.named_dimensions()` has the names), or one entry for each dimension (`(None, "model")`).
    Where a dimension is split over several axes, they stand in a tuple.

    `outputs` has one entry for each dimension of what a layer gives, the batch first.

    Raises:
        ArgumentError: a rule has another form.

    >>> import jgraph as jg
    >>> plan = jg.sharding.tensor_parallel({"*/up": {"units": "model"}, "*/down/kernel": ("model", None)})
    >>> plan.rules["*/down/kernel"]
    (('model',), ())
    """
    where = "tensor_parallel"
    return Sharding(rules=_rules(f"{where}, rules", rules, True), outputs=_rules(f"{where}, outputs", outputs, False))


def combine(*plans: Sharding) -> Sharding:
    """Several plans as one: rules come first, then what is left of a param is spread.

    Raises:
        ArgumentError: something is no plan, or two have another rule for the same pattern.

    >>> import jgraph as jg
    >>> both = jg.sharding.combine(jg.sharding.fsdp("data"), jg.sharding.tensor_parallel({"up": {"units": "model"}}))
    >>> both.rows, both.spread, dict(both.rules["up"])
    (('data',), ('data',), {'units': ('model',)})
    """
    for plan in plans:
        if not isinstance(plan, Sharding):
            cure = "Write jg.sharding.combine(jg.sharding.fsdp('data'), jg.sharding.tensor_parallel(rules))."
            raise ArgumentError("combine, plans", expected="plans of jg.sharding", got=repr(plan), cure=cure)
    return Sharding(
        rows=_each(plan.rows for plan in plans),
        rules=_merged("rules", [plan.rules for plan in plans]),
        outputs=_merged("outputs", [plan.outputs for plan in plans]),
        spread=_each(plan.spread for plan in plans),
        smallest=max((plan.smallest for plan in plans if plan.spread), default=1024),
    )


def _each(parts: Iterable[Axes]) -> Axes:
    return tuple(dict.fromkeys(axis for part in parts for axis in part))


def _merged(name: str, parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pattern, rule in ((p, r) for part in parts for p, r in part.items()):
        if found.setdefault(pattern, rule) != rule:
            raise ArgumentError(
                f"combine, {name}",
                expected=f"one rule for {pattern!r}",
                got=f"{found[pattern]!r} and {rule!r}",
                cure="Write it once.",
            )
    return found


def _axes(where: str, given: Any) -> Axes:
    """Axes as a tuple of names."""
    axes = () if given is None else (given,) if isinstance(given, str) else given
    names = isinstance(axes, tuple | list) and all(isinstance(axis, str) and axis for axis in axes)
    if not names or len(set(axes)) < len(axes):
        cure = "Write 'data', ('data', 'model'), or None."
        raise ArgumentError(where, expected="different names of axes of the mesh", got=repr(given), cure=cure)
    return tuple(axes)


def _rules(where: str, given: Any, by_name: bool) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not all(isinstance(pattern, str) for pattern in given):
        cure = "Write {'up/kernel': (None, 'model')}" + ", or {'up': {'units': 'model'}}" * by_name + "."
        raise ArgumentError(where, expected="a dict of rules", got=repr(given), cure=cure)
    return MappingProxyType({pattern: _rule(f"{where}, {pattern!r}", rule, by_name) for pattern, rule in given.items()})


def _check_smallest(where: str, given: Any) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        cure = "Write smallest=1024."
        raise ArgumentError(f"{where}, smallest", expected="a number of at least 0", got=repr(given), cure=cure)


def _rule(where: str, given: Any, by_name: bool) -> Rule:
    if by_name and isinstance(given, Mapping) and given and all(isinstance(name, str) for name in given):
        return MappingProxyType({name: _axes(f"{where}, {name!r}", axes) for name, axes in given.items()})
    if isinstance(given, tuple | list):
        rule = tuple(_axes(f"{where}[{place}]", axes) for place, axes in enumerate(given))
        named = [axis for axes in rule for axis in axes]
        if len(set(named)) == len(named):
            return rule
        expected = f"each axis of the mesh once: {listing(sorted({n for n in named if named.count(n) > 1}))}"
    else:
        expected = "an entry for each dimension" + ", or a dict by the name of a dimension" * by_name
    raise ArgumentError(where, expected=expected, got=repr(given), cure="Write (None, 'model').")
