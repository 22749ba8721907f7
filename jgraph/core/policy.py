"""One table of rules for how the nodes of a model are computed and kept, by patterns of their paths."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.graph import Node
from jgraph.core.layer import InputLayer
from jgraph.core.treatment import PLAIN, Treatment
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError, PathError, listing, nearest

SETTINGS = tuple(field.name for field in dataclasses.fields(Treatment) if field.metadata.get("of_policy", True))
WILD = frozenset("*?[")
COLUMNS = ("path", "layer", "computed in", "kept in", "remat", "trainable", "rules")


@dataclasses.dataclass(frozen=True, eq=False)
class Policy:
    """Rules `{pattern: {setting: value}}` for the nodes of a model.

    A pattern is a path in which `*` stands for anything, slashes too, `?` for one character and `[ab]` for one of
    these. A rule for a nested model is one for everything in it. The settings: `remat` (activations are computed again
    for the gradient; for a nested model as one block, of which only the inputs are kept; a text, such as "first half",
    makes one block of all nodes that have it), `dtype` (what the node computes in; floating inputs and params are cast,
    state stays), `param_dtype` (what its params are made and kept in), `trainable` (whether its params are trained; a
    frozen layer with state is applied as it is outside of training, as Keras does).

    A policy is a value: `model.with_policy(policy)` and `jg.Model(inputs, outputs, policy=policy)` give a model that
    has it. It travels with the model into files and checkpoints.

    Raises:
        ArgumentError: a setting is not known, or has a value that it cannot have.

    >>> import jgraph as jg
    >>> x = jg.Input((4,), name="x")
    >>> model = jg.Model(x, jg.layers.Dense(2, name="head")(jg.layers.Dense(3, name="body")(x)))
    >>> policy = jg.Policy({"body": {"dtype": "bfloat16"}, "head": {"trainable": False}})
    >>> model.with_policy(policy).layers["head"]
    Dense(2, name='head')
    >>> policy.plan(model).treatments["body"].dtype
    'bfloat16'
    """

    rules: Mapping[str, Mapping[str, Any]]

    def __post_init__(self) -> None:
        wrong = not isinstance(self.rules, Mapping) or not all(
            isinstance(p, str) and isinstance(s, Mapping) and s for p, s in self.rules.items()
        )
        if wrong:
            raise ArgumentError(
                "Policy",
                expected="a dict of rules, each a dict of settings",
                got=repr(self.rules),
                cure="Write jg.Policy({'encoder/*': {'remat': True}}).",
            )
        checked = {p: MappingProxyType({n: _checked(p, n, v) for n, v in s.items()}) for p, s in self.rules.items()}
        object.__setattr__(self, "rules", MappingProxyType(checked))

    def plan(self, model: Any) -> "Plan":
        """What every layer of a model gets; print it.

        Raises:
            PathError: a rule matches no layer of the model. ArgumentError: two rules say different things of one layer,
            or a rule about params matches only layers without any.
        """
        if not isinstance(getattr(model, "nodes", None), tuple):
            raise ArgumentError("Policy.plan", expected="a jg.Model", got=repr(model), cure="Write policy.plan(model).")
        nodes = [node for node in model.nodes if not isinstance(node.layer, InputLayer)]
        names: dict[Any, dict[str, bool]] = {}  # the paths by which each layer can be meant, true for its own
        for node in nodes:
            own = names.setdefault(node.layer, {})
            own[node.path] = True
            for path in _owners(model.nodes, node):
                own.setdefault(path, False)
        with_params = {node.layer for node in nodes if node.inference.params}
        with_state = {node.layer for node in nodes if node.inference.state}  # which freezing keeps too
        holders = {"trainable": with_params | with_state, "param_dtype": with_params}
        found: dict[Any, dict[str, dict[str, Any]]] = {layer: {} for layer in names}
        for pattern, settings in self.rules.items():
            hits = [layer for layer, paths in names.items() if _meant(pattern, paths) is not None]
            _check_hits(f"the rule {pattern!r} for {model!r}", pattern, hits, names)
            _check_holders(f"the rule {pattern!r} for {model!r}", settings, hits, holders)
            for layer in hits:
                inherited = not _meant(pattern, names[layer])
                found[layer][pattern] = {
                    n: v for n, v in settings.items() if not (inherited and v is True and n == "remat")
                }
        first = {node.path: node for node in reversed(nodes)}
        shown = [node for node in nodes if node.call == 0 or node.treatment != first[node.path].treatment]
        return Plan(tuple(_row(node, found[node.layer]) for node in shown), repr(model))

    def __repr__(self) -> str:
        return f"Policy({ {p: dict(s) for p, s in self.rules.items()} })"


def trainable(value: bool, patterns: tuple[str, ...], where: str) -> Policy:
    """The policy by which what matches is trained, or not.

    Raises:
        ArgumentError: there is no pattern.
    """
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        got = ", ".join(map(repr, patterns)) or "none"
        cure = f"Write model.{where}('encoder/*', 'head'), or '*' for all layers."
        raise ArgumentError(where, expected="one pattern or several, each a text", got=got, cure=cure)
    return Policy({pattern: {"trainable": value} for pattern in patterns})


@dataclasses.dataclass(frozen=True)
class PlanRow:
    """What one layer gets: its path and kind, its treatment, what the policy sets of it, and the rules that say so.

    Where a call of a layer is treated otherwise than the first one, as that of a nested model that was frozen, it has a
    row of its own.
    """

    path: str
    call: int
    kind: str
    treatment: Treatment
    settings: Mapping[str, Any]
    kept: str
    rules: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a policy gives to every layer of a model; printing it shows a table."""

    rows: tuple[PlanRow, ...]
    title: str

    @property
    def treatments(self) -> dict[str, Treatment]:
        """The treatment of each layer, in its first call, by its path."""
        return {row.path: row.treatment for row in self.rows if row.call == 0}

    def __str__(self) -> str:
        cells = []
        for row in self.rows:
            how = row.treatment
            trained = "-" if row.kept == "-" else "yes" if how.trainable else "no"
            remat = how.remat if isinstance(how.remat, str) else "yes" if how.remat else "-"
            rules = ", ".join(row.rules) or "-"
            path = f"{row.path} [{row.call}]" if row.call else row.path
            cells.append([path, row.kind, how.dtype or "as given", row.kept, remat, trained, rules])
        return table(f"Plan for {self.title}", COLUMNS, cells, [], numbers=[])


def _checked(pattern: str, name: str, value: Any) -> Any:
    where = f"Policy, rule {pattern!r}"
    if name not in SETTINGS:
        raise ArgumentError(
            where,
            expected=f"settings among {listing(SETTINGS)}",
            got=repr(name),
            cure=f"{nearest(name, SETTINGS)}Write {{{pattern!r}: {{'remat': True}}}}.",
        )
    if name in ("remat", "trainable"):
        named = name == "remat" and isinstance(value, str) and value
        if isinstance(value, bool) or named:
            return value
        expected = "True or False" + ", or a text that names a block" * (name == "remat")
        raise ArgumentError(f"{where}, {name}", expected=expected, got=repr(value), cure="Write one of them.")
    try:
        dtype = None if value is None else jnp.dtype(value)
    except TypeError:
        dtype = jnp.dtype(bool)
    if dtype is None:
        return None
    if not jnp.issubdtype(dtype, jnp.floating) or jax.dtypes.canonicalize_dtype(dtype) != dtype:
        cure = "Name one such as 'bfloat16', 'float16' or 'float32'; 'float64' needs jax_enable_x64."
        raise ArgumentError(f"{where}, {name}", expected="a floating dtype", got=repr(value), cure=cure)
    return str(dtype)


def _owners(nodes: tuple[Node, ...], node: Node) -> Iterator[str]:
    """The paths of the nested models that a node is in, innermost first."""
    while node.owner is not None:
        node = nodes[node.owner]
        yield node.path


def _meant(pattern: str, paths: Mapping[str, bool]) -> bool | None:
    """Whether a pattern means a layer itself (true), only through a nested model that it is in, or not (`None`)."""
    if pattern in paths or not WILD & set(pattern):
        return paths.get(pattern)
    hits = [own for path, own in paths.items() if fnmatch.fnmatchcase(path, pattern)]
    return any(hits) if hits else None


def _check_hits(where: str, pattern: str, hits: list[Any], names: dict[Any, dict[str, bool]]) -> None:
    if not hits:
        paths = [path for own in names.values() for path, is_own in own.items() if is_own]
        raise PathError(
            where,
            expected="a pattern of the path of a layer",
            got="one that matches none",
            cure=f"{nearest(pattern, paths)}Known: {listing(paths)}.",
        )


def _check_holders(where: str, settings: Mapping[str, Any], hits: list[Any], holders: dict[str, set[Any]]) -> None:
    for name, layers in holders.items():
        if name in settings and not layers & set(hits):
            raise ArgumentError(
                where,
                expected=f"layers with params, as it sets {name!r}",
                got=f"{listing(map(repr, hits), 4)}, which have none",
                cure="Leave the rule out, or match other layers.",
            )


def _row(node: Node, found: dict[str, dict[str, Any]]) -> PlanRow:
    chosen: dict[str, tuple[str, Any]] = {}
    for pattern, settings in found.items():
        for name, value in settings.items():
            first, other = chosen.setdefault(name, (pattern, value))
            if other != value:
                raise ArgumentError(
                    f"the rules for {node.path!r}",
                    expected=f"one value of {name!r}",
                    got=f"{other!r} of the rule {first!r} and {value!r} of the rule {pattern!r}",
                    cure="Narrow one of them, so that no layer is matched by both.",
                )
    settings = {name: value for name, (_, value) in chosen.items()}
    treatment = dataclasses.replace(node.treatment, **settings)
    leaves = jax.tree.leaves((node.inference.params, node.inference.state))
    dtypes = {str(s.dtype) for s in jax.tree.leaves(node.inference.params)} if treatment.param_dtype is None else set()
    kept = ", ".join(sorted(dtypes)) or treatment.param_dtype or "-"
    kept = kept if leaves else "-"
    rules = tuple(pattern for pattern, own in found.items() if own)
    return PlanRow(node.path, node.call, node.layer.describe(), treatment, settings, kept, rules)


def frozen_of(nodes: Iterable[Node]) -> frozenset[tuple[str, ...]]:
    """Where in the params those are that are not trained: no call of their layer is, or the layer says so."""
    nodes = tuple(nodes)
    trained = {node.path for node in nodes if node.treatment.trainable}
    found = set()
    for node in nodes:
        params = node.inference.params
        left = node.layer.frozen(params) if node.path in trained else [(name,) for name in params]
        found |= {(*node.names, *path) for path in left}
    return frozenset(found)


def changed(treatment: Treatment) -> str:
    """What a treatment changes, in short, for tables; empty where nothing.

    >>> changed(Treatment(dtype="bfloat16", trainable=False))
    'bfloat16, frozen'
    """
    words = [treatment.dtype, treatment.param_dtype and f"kept in {treatment.param_dtype}"]
    again = f"remat {treatment.remat}" if isinstance(treatment.remat, str) else "remat" * treatment.remat
    words += [again, "frozen" * (not treatment.trainable)]
    return "" if treatment == PLAIN else ", ".join(filter(None, words))
