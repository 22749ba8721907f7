"""What works on features: dense layers, normalizations, softmax, dropout."""

import functools
from typing import Any

import jax

import jgraph as jg
from scripts.layer_speed.convolutions import BATCHES, CHANNELS, EXTENTS, space
from scripts.layer_speed.family import Family, Work, key_of

WIDTHS = 32, 128, 512


def dense(batch: int, features: int, units: int, activation: str) -> Work:
    """Dense."""
    act = {"linear": lambda y: y, "relu": jax.nn.relu, "gelu": functools.partial(jax.nn.gelu, approximate=False)}

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        f = torch.nn.functional
        last = {"linear": lambda y: y, "relu": f.relu, "gelu": f.gelu}[activation]
        weights = [tensor(params["kernel"].T), tensor(params["bias"])]
        return weights, lambda x: last(f.linear(x, *weights))

    return Work(
        jg.layers.Dense(units, activation=activation),
        (batch, features),
        lambda params, x: act[activation](x @ params["kernel"] + params["bias"]),
        peer,
        2.0 * batch * features * units,
    )


def flax_weights(params: Any) -> Any:
    """Keras' names of a normalization's weights as Flax'."""
    return {{"gamma": "scale", "beta": "bias"}.get(name, name): weight for name, weight in params.items()}


def batch_normalization(batch: int, extent: int, channels: int) -> Work:
    """BatchNormalization in training: by the statistics of the batch."""

    def plain(params: Any, x: Any) -> Any:
        from flax import linen

        layer = linen.BatchNorm(use_running_average=False, epsilon=1e-3)
        statistics = {"mean": jax.numpy.zeros(channels), "var": jax.numpy.ones(channels)}
        variables = {"params": flax_weights(params), "batch_stats": statistics}
        return layer.apply(variables, x, mutable=["batch_stats"])[0]

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        weights = [tensor(params["gamma"]), tensor(params["beta"])]
        return weights, lambda x: torch.nn.functional.batch_norm(x, None, None, *weights, training=True, eps=1e-3)

    shape = space(batch, extent, channels, 2)
    layer = jg.layers.BatchNormalization()
    return Work(layer, shape, plain, peer, channels_first=True)


def layer_normalization(batch: int, time: int, features: int) -> Work:
    """LayerNormalization over features."""

    def plain(params: Any, x: Any) -> Any:
        from flax import linen

        return linen.LayerNorm(epsilon=1e-3).apply({"params": flax_weights(params)}, x)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        weights = [tensor(params["gamma"]), tensor(params["beta"])]
        return weights, lambda x: torch.nn.functional.layer_norm(x, (features,), *weights, eps=1e-3)

    return Work(jg.layers.LayerNormalization(), (batch, time, features), plain, peer)


def rms_normalization(batch: int, time: int, features: int) -> Work:
    """RMSNormalization over features."""

    def plain(params: Any, x: Any) -> Any:
        from flax import linen

        return linen.RMSNorm(epsilon=1e-6).apply({"params": params}, x)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        weights = [tensor(params["scale"])]
        return weights, lambda x: torch.nn.functional.rms_norm(x, (features,), *weights, eps=1e-6)

    return Work(jg.layers.RMSNormalization(), (batch, time, features), plain, peer)


def group_normalization(batch: int, extent: int, channels: int, groups: int) -> Work:
    """GroupNormalization of pictures."""

    def plain(params: Any, x: Any) -> Any:
        from flax import linen

        return linen.GroupNorm(groups, epsilon=1e-3).apply({"params": flax_weights(params)}, x)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        weights = [tensor(params["gamma"]), tensor(params["beta"])]
        return weights, lambda x: torch.nn.functional.group_norm(x, groups, *weights, eps=1e-3)

    shape = space(batch, extent, channels, 2)
    layer = jg.layers.GroupNormalization(groups)
    return Work(layer, shape, plain, peer, channels_first=True)


def softmax(batch: int, features: int) -> Work:
    """Softmax over features."""

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        del tensor, params
        return [], lambda x: torch.softmax(x, -1)

    return Work(jg.layers.Softmax(), (batch, features), lambda params, x: jax.nn.softmax(x), peer)


def dropout(batch: int, extent: int, channels: int) -> Work:
    """Dropout, whose time goes into drawing."""

    def plain(params: Any, x: Any) -> Any:
        del params
        from flax import linen

        return linen.Dropout(0.5, deterministic=False).apply({}, x, rngs={"dropout": key_of(x)})

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        del tensor, params
        return [], lambda x: torch.nn.functional.dropout(x, 0.5)

    return Work(jg.layers.Dropout(0.5), space(batch, extent, channels, 2), plain, peer, random=True)


def families() -> list[Family]:
    """All of them."""
    pictures = {"batch": BATCHES, "extent": EXTENTS[2], "channels": CHANNELS}
    steps = {"batch": BATCHES, "time": (20, 100), "features": WIDTHS}
    widths = {"batch": (1, 16, 64, 256), "features": WIDTHS}
    return [
        Family("dense", {**widths, "units": WIDTHS, "activation": ("linear", "relu", "gelu")}, dense),
        Family("batch_normalization", pictures, batch_normalization),
        Family("layer_normalization", steps, layer_normalization),
        Family("rms_normalization", steps, rms_normalization),
        Family("group_normalization", {**pictures, "groups": (4, 16)}, group_normalization),
        Family("softmax", {"batch": (16, 64, 1024), "features": (10, 500, 10_000)}, softmax),
        Family("dropout", pictures, dropout),
    ]
