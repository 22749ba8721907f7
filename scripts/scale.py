"""A language model of 7 billion params on 64 devices, and on 4,096: compiled ahead of time, with no device and no data.

    python -m scripts.scale --blocks 2 --devices 8                       on simulated devices of a CPU, to try it
    python -m scripts.scale --topology v5p:4x4x4 --mesh 64 1             by the TPU's own compiler (pip install libtpu)
    python -m scripts.scale --topology v5p:16x16x16 --mesh 4096 1 --batch 4096

It draws a decoder-only transformer (RMS norms, causal attention, gated linear units; by default the sizes of Llama 2
7B, Touvron et al. 2023), plans it by rules for the axes "data" and "model", and prints what a device gets: bytes of the
train state, memory of a step, operations, bytes read and written, bytes sent. From these and the figures of an
accelerator follows the time of a step, if each of the three went at full speed one after the other or all at once.

Compiling for a TPU needs no TPU: `libtpu` has the compiler. The package is not one of this project's.
"""

import argparse
import functools
import math
import os
import sys
import time
from typing import Any, NamedTuple


class Accelerator(NamedTuple):
    """What a device does a second: operations (bfloat16), bytes of its memory, bytes sent; and its memory."""

    name: str
    flops: float
    memory_bytes: float
    sent_bytes: float
    memory: float


V5P = Accelerator("TPU v5p", 459e12, 2.765e12, 600e9, 95e9)
"""Cloud TPU's documentation: 459 TFLOP/s, 2,765 GB/s, 4,800 Gbit/s between chips in all directions, 95 GB."""


class Sizes(NamedTuple):
    """The sizes of a transformer."""

    blocks: int = 32
    width: int = 4096
    heads: int = 32
    hidden: int = 11_008
    vocabulary: int = 32_000
    length: int = 4096


def block(sizes: Sizes, number: int) -> Any:
    """Causal attention and gated linear units, each behind a norm and with a shortcut around it."""
    import jgraph as jg

    layers = jg.layers
    x = jg.Input((sizes.length, sizes.width), name="x")
    attention = layers.MultiHeadAttention(sizes.heads, sizes.width // sizes.heads, use_bias=False, name="attention")
    normed = layers.RMSNormalization(name="before_attention")(x)
    y = layers.add([x, attention(normed, normed, use_causal_mask=True)])
    normed = layers.RMSNormalization(name="before_units")(y)
    gate = layers.Dense(sizes.hidden, activation="silu", use_bias=False, name="gate")(normed)
    up = layers.Dense(sizes.hidden, use_bias=False, name="up")(normed)
    down = layers.Dense(sizes.width, use_bias=False, name="down")(layers.multiply([gate, up]))
    return jg.Model(x, layers.add([y, down]), name=f"block_{number}")


def numbered(tokens: Any) -> Any:
    """The place of each token in its sequence."""
    import jax.numpy as jnp

    return jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)


def draw(sizes: Sizes) -> Any:
    """The whole model, from tokens to the scores of the next ones."""
    import jgraph as jg

    layers = jg.layers
    tokens = jg.Input((sizes.length,), dtype="int32", name="tokens")
    x = layers.Embedding(sizes.vocabulary, sizes.width, name="words")(tokens)
    x = x + layers.Embedding(sizes.length, sizes.width, name="places")(jg.op(numbered)(tokens))
    for number in range(sizes.blocks):
        x = block(sizes, number)(x)
    scores = layers.Dense(sizes.vocabulary, use_bias=False, name="next")(layers.RMSNormalization(name="last")(x))
    return jg.Model(tokens, scores, name="decoder", policy=jg.Policy({"block_*": {"remat": True}}))


RULES = {
    "block_*/attention": {"heads": "model"},
    "block_*/gate": {"units": "model"},
    "block_*/up": {"units": "model"},
    "block_*/down": {"features": "model"},
    "next": {"units": "model"},
    "words": {"vocabulary": "model"},
}


def trainer_of(sizes: Sizes, mesh: Any) -> Any:
    """AdamW in mixed precision, rows and params spread over "data", wide dimensions over "model"."""
    import optax

    import jgraph as jg

    plan = jg.sharding.fsdp("data")
    if mesh.shape["model"] > 1:
        plan = jg.sharding.combine(plan, jg.sharding.tensor_parallel(RULES))
    return jg.Trainer(
        draw(sizes),
        functools.partial(optax.adamw, weight_decay=0.1),
        learning_rate=3e-4,
        loss="sparse_categorical_crossentropy",
        precision="mixed_bfloat16",
        mesh=mesh,
        sharding=plan,
    )


def mesh_of(given: argparse.Namespace) -> Any:
    """The devices of a topology, or of this process, as a mesh of "data" and "model"."""
    import jax
    from jax.experimental import mesh_utils, topologies

    if given.topology:
        devices = topologies.get_topology_desc(topology_name=given.topology, platform="tpu").devices
    else:
        devices = jax.devices()
    shape = tuple(given.mesh or (len(devices), 1))
    if math.prod(shape) != len(devices):
        sys.exit(f"A mesh of {shape} is not one of {len(devices)} devices.")
    return jax.sharding.Mesh(mesh_utils.create_device_mesh(shape, devices), ("data", "model"))


def main(words: Any = None) -> None:
    """Plans, compiles, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in Sizes()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--batch", type=int, default=256, help="sequences in a batch, of all devices")
    parser.add_argument("--devices", type=int, default=64, help="simulated devices of this CPU")
    parser.add_argument("--topology", default="", help="of a TPU, such as v5p:4x4x4")
    parser.add_argument("--mesh", type=int, nargs=2, help="devices along data and along model")
    parser.add_argument("--leaves", action="store_true", help="print the whole plan")
    given = parser.parse_args(words)
    if not given.topology:
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={given.devices}"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sizes = Sizes(**{name: getattr(given, name) for name in Sizes._fields})
    begin = time.perf_counter()
    trainer = trainer_of(sizes, mesh_of(given))
    drawn = time.perf_counter()
    plan = trainer.plan(batch_size=given.batch)
    done = time.perf_counter()
    if given.leaves:
        print(plan)
    report(plan, sizes, given.batch)
    print(f"Drawn and planned in {drawn - begin:.1f} s, traced and compiled in {done - drawn:.1f} s.")


def report(plan: Any, sizes: Sizes, batch: int) -> None:
    """What a device gets and does in a step, and how long that takes at least."""
    from jgraph.draw.amounts import amount

    params = sum(leaf.size for leaf in plan.leaves if leaf.name.startswith("params/")) / 4
    devices, tokens = plan.layout.mesh.size, batch * sizes.length
    # forward 2 a param and token, backward 4, forward once more in the blocks; attention's two products, causal, alike
    scores = 2 * 2 * sizes.blocks * sizes.length * sizes.width / 2
    flops = (8 * params + 4 * scores) * tokens / devices
    seconds = [flops / V5P.flops, plan.lowered.bytes / V5P.memory_bytes, plan.sent / V5P.sent_bytes]
    print(f"{params / 1e9:.2f} billion params, {devices} devices {plan.layout.sizes}, {tokens:,} tokens a step")
    print(f"On each device: train state {amount(plan.per_device, 'B')}, a step {amount(plan.lowered.peak_memory, 'B')}")
    print(f"  temporaries {amount(plan.lowered.temporaries, 'B')}, of {amount(V5P.memory, 'B')} of a {V5P.name}")
    print(f"  operations {amount(flops, 'flop')} (XLA counts {amount(plan.lowered.flops, 'flop')})")
    print(f"  read and written {amount(plan.lowered.bytes, 'B')}, sent {amount(plan.sent, 'B')}")
    for collective in plan.collectives:
        print(f"    {collective.number} {collective.kind} over {collective.devices}: {amount(collective.sent, 'B')}")
    shown = ", ".join(
        f"{name} {value:.3f} s" for name, value in zip(("arithmetic", "memory", "network"), seconds, strict=True)
    )
    print(f"On a {V5P.name}: {shown}; a step {max(seconds):.3f} s at least, {sum(seconds):.3f} s if nothing overlaps")
    print(f"  {tokens / max(seconds) / devices:,.0f} tokens a second and device at most")


if __name__ == "__main__":
    main()
