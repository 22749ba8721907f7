"""The layout of a model on a mesh: its params with the names of their dimensions, and what its layers' outputs get."""

import dataclasses
import fnmatch
from typing import Any

import jax
from jax.sharding import PartitionSpec

from jgraph.core.graph import Node
from jgraph.core.layer import InputLayer
from jgraph.core.model import Model
from jgraph.core.treatment import Places, Treatment
from jgraph.errors import ArgumentError, PathError, listing, nearest
from jgraph.sharding.layout import Layout, Spread
from jgraph.sharding.resolve import Param, check_axes, check_mesh, check_share, specs_of
from jgraph.sharding.rules import Axes, Sharding, data_parallel
from jgraph.tree import leaves_with_names


def layout_of(model: Model, mesh: Any, sharding: Any) -> Layout:
    """Where the arrays of a trainer of this model lie; without a plan, rows are split over all devices of the mesh.

    Raises:
        ArgumentError: there is a plan and no mesh, or they do not go together. PathError: a rule matches nothing.
        ShapeError: devices cannot share a dimension evenly.
    """
    if mesh is None and sharding is None:
        return Layout()
    if mesh is None:
        cure = "Write mesh=jax.make_mesh((jax.device_count(),), ('data',)), for one device too."
        raise ArgumentError("Trainer, mesh", expected="a mesh, as `sharding` is given", got="None", cure=cure)
    mesh = check_mesh(mesh)
    sharding = data_parallel(*mesh.axis_names) if sharding is None else sharding
    if not isinstance(sharding, Sharding):
        cure = "Write sharding=jg.sharding.fsdp('data')."
        raise ArgumentError("Trainer, sharding", expected="a plan of jg.sharding", got=repr(sharding), cure=cure)
    check_axes(mesh, sharding)
    params = named_params(model)
    specs = specs_of(params, sharding, dict(mesh.shape))
    return Spread(mesh, sharding, specs, {path: param.shape for path, param in params.items()})


def named_params(model: Model) -> dict[str, Param]:
    """Each param of a model by its path, with the names of its dimensions."""
    found: dict[str, Param] = {}
    for node in model.nodes:
        for path, spec in leaves_with_names(node.inference.params):
            place = "/".join((*node.names, path))
            found.setdefault(place, Param(tuple(spec.shape), _dims(node, path, len(spec.shape))))
    return found


def _dims(node: Node, path: str, rank: int) -> tuple[str, ...]:
    """The names that the layer gives to the dimensions of one of its params, else their numbers."""
    known = node.layer.named_dimensions()
    parts = path.split("/")
    ends = ["/".join(parts[first:]) for first in range(len(parts))]
    names = next((tuple(known[end]) for end in ends if end in known), ())
    if names[:1] == ("...",):
        names = ("window",) * (rank - len(names) + 1) + names[1:]
    return names if len(names) == rank else tuple(map(str, range(rank)))


def placed(model: Model, layout: Layout) -> Model:
    """The model whose layers bring their params together, as far as no rule splits them, and say where outputs lie.

    Raises:
        PathError: a rule matches no layer. ArgumentError: a rule does not fit an output, or two say different things.
        ShapeError: devices cannot share a dimension evenly.
    """
    if not isinstance(layout, Spread) or not (layout.sharding.outputs or layout.sharding.spread):
        return model
    ruled = specs_of(named_params(model), dataclasses.replace(layout.sharding, spread=()), layout.sizes)
    outputs = _outputs(model, layout)

    def treatment(node: Node) -> Treatment:
        if node.layer.is_graph or isinstance(node.layer, InputLayer):
            return node.treatment
        specs = [ruled["/".join((*node.names, path))] for path, _ in leaves_with_names(node.inference.params)]
        params = jax.tree.unflatten(jax.tree.structure(node.inference.params), map(layout.at, specs))
        rule = outputs.get(node.path)
        out = None if rule is None else layout.at(PartitionSpec(*(axes or None for axes in rule)))
        return dataclasses.replace(node.treatment, places=Places(params if layout.sharding.spread else None, out))

    return model.with_treatments([treatment(node) for node in model.nodes])


def _outputs(model: Model, layout: Spread) -> dict[str, tuple[Axes, ...]]:
    """The axes of each dimension of what a layer gives, by its path, where a rule says so."""
    nodes = [node for node in model.nodes if not isinstance(node.layer, InputLayer) and not node.layer.is_graph]
    found: dict[str, tuple[str, tuple[Axes, ...]]] = {}
    for pattern, rule in layout.sharding.outputs.items():
        hits = [node for node in nodes if fnmatch.fnmatchcase(node.path, pattern)]
        where = f"Trainer, sharding, outputs, the rule {pattern!r}"
        if not hits:
            paths = list(dict.fromkeys(node.path for node in nodes))
            cure = f"{nearest(pattern, paths)}Known: {listing(paths)}."
            raise PathError(where, expected="a pattern of the path of a layer", got="one that matches none", cure=cure)
        for node in hits:
            first, other = found.setdefault(node.path, (pattern, rule))
            if other != rule:
                cure = "Narrow one of them, so that no layer is matched by both."
                got = f"{other!r} of the rule {first!r} and {rule!r} of the rule {pattern!r}"
                raise ArgumentError(where, expected=f"one rule for {node.path!r}", got=got, cure=cure)
            _check_output(where, node, rule, layout)
    return {path: rule for path, (_, rule) in found.items()}


def _check_output(where: str, node: Node, rule: tuple[Axes, ...], layout: Spread) -> None:
    for _, spec in leaves_with_names(node.inference.outputs):
        if len(rule) != len(spec.shape):
            expected, got = (
                f"{len(spec.shape)} entries for what {node.path!r} gives, {list(spec.shape)}",
                str(len(rule)),
            )
            raise ArgumentError(where, expected=expected, got=got, cure="The first one is for the batch.")
        for place, (size, axes) in enumerate(zip(spec.shape, rule, strict=True)):
            if isinstance(size, int):
                check_share(f"{where}, {node.path!r}", str(place), size, axes, layout.sizes)
