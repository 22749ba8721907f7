"""A plan brought together with a mesh and with params: where each of them lies. Checked before anything is computed."""

import fnmatch
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jax.sharding import AxisType, Mesh, PartitionSpec

from jgraph.errors import ArgumentError, PathError, ShapeError, listing, nearest
from jgraph.sharding.rules import Axes, Rule, Sharding

Sizes = Mapping[str, int]
"""The number of devices along each axis of a mesh."""


class Param(NamedTuple):
    """A param by its shape and the names of its dimensions."""

    shape: tuple[int, ...]
    dims: tuple[str, ...]

    def __str__(self) -> str:
        return f"[{', '.join(f'{name} {size}' for name, size in zip(self.dims, self.shape, strict=True))}]"


def check_mesh(mesh: Any) -> Mesh:
    """The mesh, its axes such that the compiler finds out what rules leave open.

    Raises:
        ArgumentError: it is no mesh.
    """
    if not isinstance(mesh, Mesh):
        cure = "Write mesh=jax.make_mesh((jax.device_count(),), ('data',))."
        raise ArgumentError("Trainer, mesh", expected="a jax.sharding.Mesh", got=repr(mesh), cure=cure)
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * mesh.devices.ndim)


def check_axes(mesh: Mesh, sharding: Sharding) -> None:
    """Checks that all axes of a plan are axes of the mesh.

    Raises:
        ArgumentError: one is not.
    """
    named = [*sharding.rows, *sharding.spread]
    named += [axis for rule in sharding.rules.values() for axes in _entries(rule) for axis in axes]
    named += [axis for rule in sharding.outputs.values() for axes in rule for axis in axes]
    if strange := [axis for axis in dict.fromkeys(named) if axis not in mesh.axis_names]:
        raise ArgumentError(
            "Trainer, sharding",
            expected=f"axes of the mesh: {listing(mesh.axis_names)}",
            got=listing(strange),
            cure=f"{nearest(strange[0], mesh.axis_names)}Name it in jax.make_mesh(sizes, names), or leave it out.",
        )


def specs_of(params: Mapping[str, Param], sharding: Sharding, sizes: Sizes) -> dict[str, PartitionSpec]:
    """Where each param lies, by its path.

    Raises:
        PathError: a rule matches no param. ArgumentError: a rule does not fit what it matches, or two rules say
        different things. ShapeError: a dimension cannot be shared evenly by the devices.
    """
    found: dict[str, dict[int, tuple[str, Axes]]] = {path: {} for path in params}
    for pattern, rule in sharding.rules.items():
        hits = matching(pattern, params, f"Trainer, sharding, the rule {pattern!r}")
        if isinstance(rule, Mapping):
            _check_names(pattern, rule, {path: params[path] for path in hits})
        for path in hits:
            for place, axes in _places(pattern, rule, path, params[path]):
                first, other = found[path].setdefault(place, (pattern, axes))
                if other != axes:
                    _refuse_two(path, params[path].dims[place], (first, other), (pattern, axes))
    split = {path: {place: axes for place, (_, axes) in own.items() if axes} for path, own in found.items()}
    for path, own in split.items():
        _check_split(path, params[path], own, sizes)
    return {path: _spec(_spread(params[path], own, sharding, sizes)) for path, own in split.items()}


def matching(pattern: str, paths: Iterable[str], where: str) -> list[str]:
    """The paths that a pattern matches, themselves or what they are in.

    Raises:
        PathError: there is none.

    >>> matching("encoder/*", ["encoder/dense/kernel", "head/kernel"], "a rule")
    ['encoder/dense/kernel']
    >>> matching("head", ["encoder/dense/kernel", "head/kernel"], "a rule")
    ['head/kernel']
    """
    paths = list(paths)
    hits = [path for path in paths if any(fnmatch.fnmatchcase(above, pattern) for above in _above(path))]
    if not hits:
        cure = f"{nearest(pattern, [above for path in paths for above in _above(path)])}Known: {listing(paths)}."
        raise PathError(where, expected="a pattern of a path", got="one that matches none", cure=cure)
    return hits


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _entries(rule: Rule) -> Iterable[Axes]:
    return rule.values() if isinstance(rule, Mapping) else rule


def _check_names(pattern: str, rule: Mapping[str, Axes], hits: Mapping[str, Param]) -> None:
    known = list(dict.fromkeys(name for param in hits.values() for name in param.dims))
    if strange := [name for name in rule if name not in known]:
        raise ArgumentError(
            f"Trainer, sharding, the rule {pattern!r}",
            expected=f"dimensions among {listing(known)}",
            got=listing(strange),
            cure=f"{nearest(strange[0], known)}It is for {listing(f'{path} {param}' for path, param in hits.items())}.",
        )


def _places(pattern: str, rule: Rule, path: str, param: Param) -> list[tuple[int, Axes]]:
    """What a rule says of a param: places of dimensions, with axes."""
    if isinstance(rule, Mapping):
        return [(place, rule[name]) for place, name in enumerate(param.dims) if name in rule]
    if len(rule) != len(param.shape):
        raise ArgumentError(
            f"Trainer, sharding, the rule {pattern!r}",
            expected=f"{len(param.shape)} entries for {path!r} {param}",
            got=f"{len(rule)}",
            cure="Match one param, such as 'up/kernel', or write {'units': 'model'}, for every param that has it.",
        )
    return list(enumerate(rule))


def _refuse_two(path: str, name: str, first: tuple[str, Axes], second: tuple[str, Axes]) -> None:
    (one, axes), (two, others) = first, second
    raise ArgumentError(
        f"Trainer, sharding, the rules for {path!r}",
        expected=f"one value for its dimension {name!r}",
        got=f"{axes!r} of the rule {one!r} and {others!r} of the rule {two!r}",
        cure="Narrow one of them, so that no param is matched by both.",
    )


def _check_split(path: str, param: Param, own: Mapping[int, Axes], sizes: Sizes) -> None:
    used = [axis for axes in own.values() for axis in axes]
    if len(set(used)) < len(used):
        expected, got = "each axis of the mesh for one dimension alone", listing(used)
        where, cure = f"Trainer, sharding, the rules for {path!r}", "Split another dimension, or over another axis."
        raise ArgumentError(where, expected=expected, got=got, cure=cure)
    for place, axes in own.items():
        check_share(f"Trainer, sharding, the rules for {path!r}", param.dims[place], param.shape[place], axes, sizes)


def check_share(where: str, name: str, size: int, axes: Axes, sizes: Sizes) -> None:
    """Checks that the devices along some axes can share a dimension evenly.

    Raises:
        ShapeError: they cannot.
    """
    count = number(axes, sizes)
    if size % count:
        raise ShapeError(
            where,
            expected=f"a size of {name!r} that {count} devices ({shown(axes, sizes)}) share evenly",
            got=str(size),
            cure=f"Make it {' or '.join(map(str, near(size, count)))}, or leave it whole.",
        )


def near(size: int, count: int) -> list[int]:
    """The multiples of a count that lie next to a size.

    >>> near(10, 4), near(3, 4)
    ([8, 12], [4])
    """
    below = size // count * count
    return [multiple for multiple in (below, below + count) if multiple > 0]


def number(axes: Axes, sizes: Sizes) -> int:
    """The number of devices along some axes together."""
    return math.prod(sizes[axis] for axis in axes)


def shown(axes: Axes, sizes: Sizes) -> str:
    """Axes with their sizes, for messages.

    >>> shown(("data", "model"), {"data": 4, "model": 2})
    'data=4, model=2'
    """
    return ", ".join(f"{axis}={sizes[axis]}" for axis in axes)


def _spread(param: Param, own: Mapping[int, Axes], sharding: Sharding, sizes: Sizes) -> list[Axes]:
    """The axes of each dimension, with what is left of them along the largest dimension that can be shared."""
    entries = [own.get(place, ()) for place in range(len(param.shape))]
    left = tuple(axis for axis in sharding.spread if axis not in {a for axes in entries for a in axes})
    if not left or math.prod(param.shape) < sharding.smallest:
        return entries
    sides = [size // number(axes, sizes) for size, axes in zip(param.shape, entries, strict=True)]
    fitting = [place for place, side in enumerate(sides) if side and side % number(left, sizes) == 0]
    if fitting:
        place = max(fitting, key=lambda place: (sides[place], -place))
        entries[place] = (*entries[place], *left)
    return entries


def _spec(entries: list[Axes]) -> PartitionSpec:
    """Without what stands for whole dimensions at its end, so that equal places are equal values."""
    short = [None if not axes else axes[0] if len(axes) == 1 else axes for axes in entries]
    while short and short[-1] is None:
        short.pop()
    return PartitionSpec(*short)
