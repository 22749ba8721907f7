"""Layers with random weights on random inputs."""

from typing import Any

import jax
import numpy as np

import jgraph as jg


def made(layer: jg.Layer, *shape: int) -> tuple[Any, Any, Any]:
    """Inputs of a shape, params and outputs."""
    random = np.random.default_rng(0)
    x = random.normal(size=shape).astype("float32")
    specs = jax.eval_shape(lambda key: layer.init(key, jax.ShapeDtypeStruct(x.shape, x.dtype)), jax.random.key(0))[0]
    params = {name: random.normal(size=spec.shape).astype("float32") for name, spec in specs.items()}
    return x, params, layer.apply(params, {}, x)[0]
