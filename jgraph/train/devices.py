"""What a mesh of devices gets: where each leaf of a train state lies, and what one compiled step takes and sends."""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from jgraph.core.model import Model
from jgraph.draw.amounts import amount
from jgraph.draw.terminal import table
from jgraph.errors import ArgumentError
from jgraph.sharding.collectives import Collective, collectives_of
from jgraph.sharding.layout import Layout, Spread
from jgraph.train.layout import named_params
from jgraph.train.lowered import Lowered
from jgraph.tree import leaves_with_names


class Leaf(NamedTuple):
    """A leaf of a train state: its dimensions, where it lies, and its bytes, all and those of one device."""

    name: str
    dims: str
    spec: PartitionSpec
    size: int
    per_device: int


@dataclasses.dataclass(frozen=True, eq=False)
class DevicePlan:
    """What `trainer.plan(batch)` returns; printing it shows two tables.

    `leaves` are those of the train state, `lowered` is the compiled step, whose memory is that of one device.
    `collectives` are what devices tell each other in it, by kind, and `sent` the bytes of it that each device sends at
    least (by the ring algorithms: `2 (n - 1) / n` of the bytes for a sum over n devices); those in loops count once.
    """

    leaves: tuple[Leaf, ...]
    lowered: Lowered
    layout: Spread

    @functools.cached_property
    def collectives(self) -> list[Collective]:
        """The collectives of one step."""
        return collectives_of(self.lowered.text, self.layout.mesh.size)

    @property
    def sent(self) -> float:
        """The bytes that each device sends in one step."""
        return sum(collective.sent for collective in self.collectives)

    @property
    def per_device(self) -> int:
        """The bytes of the train state that one device has."""
        return sum(leaf.per_device for leaf in self.leaves)

    def __repr__(self) -> str:
        mesh = ", ".join(f"{axis}={size}" for axis, size in self.layout.sizes.items())
        return f"DevicePlan(mesh {mesh}, {amount(self.per_device, 'B')} a device, {amount(self.sent, 'B')} sent)"

    def __str__(self) -> str:
        cells = [[leaf.name, leaf.dims, _shown(leaf.spec), *_sizes(leaf.size, leaf.per_device)] for leaf in self.leaves]
        total = sum(leaf.size for leaf in self.leaves)
        mesh = ", ".join(f"{axis}={size}" for axis, size in self.layout.sizes.items())
        notes = [f"In all {amount(total, 'B')}, on each device {amount(self.per_device, 'B')}"]
        columns = ["leaf", "dimensions", "split over", "bytes", "on each device"]
        first = table(f"Train state on the mesh {mesh}", columns, cells, notes, numbers=columns[3:])
        step = self.lowered
        named = [("peak memory", step.peak_memory), ("arguments", step.arguments), ("outputs", step.outputs)]
        rows = [[name, "", amount(size, "B")] for name, size in [*named, ("temporaries", step.temporaries)]]
        rows += [[f"{c.kind} over {c.devices}", str(c.number), amount(c.sent, "B")] for c in self.collectives]
        last = table(
            "One step, on each device",
            ["", "number", "bytes"],
            rows,
            [f"Sent: {amount(self.sent, 'B')}"],
            numbers=["bytes"],
        )
        return f"{first}\n\n{last}"


def plan_of(model: Model, layout: Layout, template: Any, lowered: Any) -> DevicePlan:
    """The plan of a trainer; `lowered` compiles its step.

    Raises:
        ArgumentError: there is no mesh. As `lower`, for the batch.
    """
    if not isinstance(layout, Spread):
        cure = "Write Trainer(..., mesh=jax.make_mesh((jax.device_count(),), ('data',)))."
        raise ArgumentError("plan", expected="a trainer with a mesh", got="mesh=None", cure=cure)
    dims = {path: param.dims for path, param in named_params(model).items()}
    places = dict(leaves_with_names(layout.places(template)))
    leaves = []
    for name, leaf in leaves_with_names(template):
        place, path = places[name], layout.param_of(name, leaf.shape)
        named = zip([""] * len(leaf.shape) if path is None else dims[path], leaf.shape, strict=True)
        shown = ", ".join(f"{dim} {size}".strip() for dim, size in named)
        item = jax.eval_shape(jax.random.key_data, leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        size = math.prod(item.shape) * item.dtype.itemsize
        part = math.prod(place.shard_shape(leaf.shape)) / max(1, math.prod(leaf.shape))
        leaves.append(Leaf(name, shown, place.spec, size, round(size * part)))
    return DevicePlan(tuple(leaves), lowered(), layout)


def _shown(spec: PartitionSpec) -> str:
    parts = ["-" if axes is None else axes if isinstance(axes, str) else "+".join(axes) for axes in spec]
    return ", ".join(parts) or "whole"


def _sizes(*sizes: int) -> list[str]:
    return [amount(size, "B") for size in sizes]
