"""The operations of a training step, counted from the shapes of a drawn model: what no implementation can avoid."""

import math

import jax

import jgraph as jg

OF_THE_INPUT = ("kernel", "depthwise_kernel")
"""Kernels that are multiplied with what their layer is called on."""


def operations(model: jg.Model) -> float:
    """The operations of a training step on one row: `2 * times * positions * kernel.size`, summed over all kernels.

    A kernel is multiplied at each position (each pixel of the output, each time step) three times: forward, in its own
    gradient, and in the gradient of what it is multiplied with, which is not needed where that is an input of the
    model. Additions, activations, pooling and the optimizer are left out.

    >>> x = jg.Input((16,))
    >>> operations(jg.Model(x, jg.layers.Dense(1)(jg.layers.Dense(64)(x))))
    4480.0
    """
    total, starts = 0.0, jax.tree.leaves(model.graph.inputs)
    for node in model.nodes:
        reads = jax.tree.leaves(node.args)
        for path, spec in jax.tree.leaves_with_path(node.inference.params):
            name = path[-1].key
            if name.endswith("kernel"):
                times = 2 if name in OF_THE_INPUT and all(ref in starts for ref in reads) else 3
                recurrent = "recurrent_kernel" in node.inference.params
                shape = model.graph.symbol(reads[0]).shape[1:-1] if recurrent else node.inference.outputs[0].shape[1:-1]
                total += 2.0 * times * math.prod(shape) * math.prod(spec.shape)
    return total
