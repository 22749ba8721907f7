"""Where the arrays of a trainer lie: on one device, or on those of a mesh.

`Layout` is that of one device, and does nothing: code that trains asks a layout in any case, and has no other form for
a mesh. Within a compiled function it says where results are to lie; outside of one it brings arrays there.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jgraph.errors import ArgumentError
from jgraph.sharding.resolve import near, number, shown
from jgraph.sharding.rules import Sharding
from jgraph.tree import leaves_with_names
from jgraph.typing import PyTree


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """One device: everything lies there."""

    def kept(self, tree: PyTree) -> PyTree:
        """A train state, or a part of one, where it lies."""
        return tree

    def rows(self, tree: PyTree) -> PyTree:
        """Arrays with a batch axis in front, split over the devices that share a batch."""
        return tree

    def whole(self, tree: PyTree) -> PyTree:
        """Arrays that every device has."""
        return tree

    def specs(self, tree: PyTree) -> PyTree:
        """The specs of a train state, with where it lies."""
        return tree

    def specs_of_rows(self, tree: PyTree) -> PyTree:
        """The specs of a batch, with where it lies."""
        return tree

    def check_batch(self, where: str, size: int) -> None:
        """Checks that the devices share batches of a size evenly.

        Raises:
            ArgumentError: they do not; the nearest sizes are named.
        """


@dataclasses.dataclass(frozen=True, eq=False)
class Spread(Layout):
    """The devices of a mesh. `params` says where each param lies, by its path, and `shapes` which shape it has."""

    mesh: Mesh
    sharding: Sharding
    params: Mapping[str, PartitionSpec]
    shapes: Mapping[str, tuple[int, ...]]

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """The number of devices along each axis."""
        return dict(self.mesh.shape)

    def kept(self, tree: PyTree) -> PyTree:
        """What has the shape of a param, at its path, lies as that does; all else is whole on every device."""
        return _put(tree, self.places(tree))

    def rows(self, tree: PyTree) -> PyTree:
        """Rows that the devices do not share evenly, as in the last batch of an epoch, are whole on every device."""
        return _put(tree, jax.tree.map(self._rows, tree))

    def whole(self, tree: PyTree) -> PyTree:
        """Arrays that every device has."""
        return _put(tree, jax.tree.map(lambda _: self.at(PartitionSpec()), tree))

    def specs(self, tree: PyTree) -> PyTree:
        """The specs of a train state, with where it lies."""
        return jax.tree.map(_placed, tree, self.places(tree))

    def specs_of_rows(self, tree: PyTree) -> PyTree:
        """The specs of a batch, with where it lies."""
        return jax.tree.map(lambda spec: _placed(spec, self._rows(spec)), tree)

    def check_batch(self, where: str, size: int) -> None:
        """Checks that the devices share batches of a size evenly."""
        count, axes = number(self.sharding.rows, self.sizes), shown(self.sharding.rows, self.sizes)
        if size % count:
            raise ArgumentError(
                where,
                expected=f"a number of rows that {count} devices ({axes}) share evenly",
                got=str(size),
                cure=f"Write {' or '.join(f'{where.split()[-1]}={nearby}' for nearby in near(size, count))}.",
            )

    def places(self, tree: PyTree) -> PyTree:
        """Where each leaf of a train state lies."""
        leaves = [self.at(self._spec(name, leaf)) for name, leaf in leaves_with_names(tree)]
        return jax.tree.unflatten(jax.tree.structure(tree), leaves)

    def at(self, spec: PartitionSpec) -> NamedSharding:
        """A place on the mesh."""
        return NamedSharding(self.mesh, spec)

    def param_of(self, name: str, shape: tuple[int, ...]) -> str | None:
        """The path of the param that a leaf of a train state belongs to: the end of its name, of the same shape."""
        parts = name.split("/")
        ends = ("/".join(parts[first:]) for first in range(len(parts)))
        return next((end for end in ends if self.shapes.get(end) == shape), None)

    def _spec(self, name: str, leaf: Any) -> PartitionSpec:
        path = self.param_of(name, leaf.shape)
        return PartitionSpec() if path is None else self.params[path]

    def _rows(self, leaf: Any) -> NamedSharding:
        axes = self.sharding.rows
        shared = axes and leaf.shape and leaf.shape[0] % number(axes, self.sizes) == 0
        return self.at(PartitionSpec(axes[0] if len(axes) == 1 else axes) if shared else PartitionSpec())


def _placed(spec: Any, place: NamedSharding) -> Any:
    return jax.ShapeDtypeStruct(spec.shape, spec.dtype, sharding=place)


def _put(tree: PyTree, places: PyTree) -> PyTree:
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree)):
        return jax.lax.with_sharding_constraint(tree, places)
    for place in jax.tree.leaves(places):
        if not place.is_fully_addressable:
            raise ArgumentError(
                "Trainer, mesh",
                expected="devices of this process, to compute on",
                got=f"{place.mesh.size} devices, of which this process has {len(place.addressable_devices)}",
                cure="Give a mesh of jax.local_devices(); `plan` and `lower` take any.",
            )
    return jax.device_put(tree, places)
