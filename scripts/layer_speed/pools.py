"""Pooling over windows and over whole pictures, and the way back: up-sampling."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import jgraph as jg
from scripts.layer_speed.convolutions import BATCHES, CHANNELS, EXTENTS, borders, space
from scripts.layer_speed.family import Family, Work


def pooling(kind: str, rank: int, batch: int, extent: int, channels: int, pool: int, stride: int, padding: str) -> Work:
    """MaxPooling and AveragePooling; `kind` is `Max` or `Average`."""
    start, fold = (-jnp.inf, lax.max) if kind == "Max" else (0.0, lax.add)
    window, strides = (1, *(pool,) * rank, 1), (1, *(stride,) * rank, 1)

    def plain(params: Any, x: Any) -> Any:
        del params
        y = lax.reduce_window(x, start, fold, window, strides, padding.upper())
        if kind == "Max":
            return y
        if padding == "valid":
            return y / pool**rank
        ones = jnp.ones((1, *x.shape[1:-1], 1), x.dtype)
        return y / lax.reduce_window(ones, start, fold, window, strides, padding.upper())

    ends = borders(extent, pool, stride) if padding == "same" else (0, 0)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        del tensor, params
        pooled = getattr(torch.nn.functional, f"{'max' if kind == 'Max' else 'avg'}_pool{rank}d")
        if kind == "Average":
            return [], lambda x: pooled(x, pool, stride, padding=ends[0], count_include_pad=False)
        if ends[0] == ends[1]:
            return [], lambda x: pooled(x, pool, stride, padding=ends[0])
        low = float("-inf")
        return [], lambda x: pooled(torch.nn.functional.pad(x, ends * rank, value=low), pool, stride)

    alike = kind == "Max" or ends[0] == ends[1]  # PyTorch's mean cannot leave out what stands behind alone
    layer = getattr(jg.layers, f"{kind}Pooling{rank}D")
    return Work(
        layer(pool, strides=stride, padding=padding),
        space(batch, extent, channels, rank),
        plain,
        peer if alike else None,
        channels_first=True,
    )


def whole(kind: str, rank: int, batch: int, extent: int, channels: int) -> Work:
    """GlobalMaxPooling and GlobalAveragePooling."""
    axes = tuple(range(1, rank + 1))

    def plain(params: Any, x: Any) -> Any:
        del params
        return jnp.max(x, axes) if kind == "Max" else jnp.mean(x, axes)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        del tensor, params
        over = tuple(range(2, rank + 2))
        return [], lambda x: torch.amax(x, over) if kind == "Max" else torch.mean(x, over)

    layer = getattr(jg.layers, f"Global{kind}Pooling{rank}D")
    return Work(layer(), space(batch, extent, channels, rank), plain, peer, channels_first=True)


def upsampling(rank: int, batch: int, extent: int, channels: int, size: int, interpolation: str = "nearest") -> Work:
    """UpSampling1D, UpSampling2D, UpSampling3D."""

    def plain(params: Any, x: Any) -> Any:
        del params
        larger = (x.shape[0], *(n * size for n in x.shape[1:-1]), x.shape[-1])
        return jax.image.resize(x, larger, interpolation)

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        del tensor, params
        return [], lambda x: torch.nn.functional.interpolate(x, scale_factor=size, mode=interpolation)

    options = {"interpolation": interpolation} if rank == 2 else {}
    layer = getattr(jg.layers, f"UpSampling{rank}D")(size, **options)
    return Work(layer, space(batch, extent, channels, rank), plain, peer, channels_first=True)


def sensible(options: dict[str, Any]) -> bool:
    """Windows that leave no gaps; `same` where it differs from `valid`."""
    fits = (options["extent"] - options["pool"]) % options["stride"] == 0
    return options["stride"] <= options["pool"] and (
        options["padding"] == "valid" or options["stride"] == 1 or not fits
    )


def slow_pooling(options: dict[str, Any], direction: str) -> bool:
    """The gradient of a maximum."""
    del options
    return direction == "gradient"


def never(options: dict[str, Any], direction: str) -> bool:
    """Nothing is."""
    del options, direction
    return False


def families() -> list[Family]:
    """All of them."""
    found = []
    for rank in (1, 2, 3):
        pictures = {"batch": BATCHES, "extent": EXTENTS[rank], "channels": CHANNELS}
        windows = {**pictures, "pool": (2, 3), "stride": (1, 2), "padding": ("valid", "same")}
        for kind in ("Max", "Average"):
            name = f"{kind.lower()}_pooling{rank}d"
            slow = slow_pooling if kind == "Max" else never
            found.append(Family(name, windows, functools.partial(pooling, kind, rank), sensible, slow))
            found.append(Family(f"global_{name}", pictures, functools.partial(whole, kind, rank)))
        ways = {"interpolation": ("nearest", "bilinear")} if rank == 2 else {}
        found.append(
            Family(f"up_sampling{rank}d", {**pictures, "size": (2,), **ways}, functools.partial(upsampling, rank))
        )
    return found
