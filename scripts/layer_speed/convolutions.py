"""Convolutions: plain, grouped, by channel, separable, transposed; `padding="same"`, as many filters as channels."""

import functools
from typing import Any

import jax.numpy as jnp
from jax import lax

import jgraph as jg
from scripts.layer_speed.family import Family, Work

BATCHES, CHANNELS, KERNELS, STRIDES = (1, 16, 64), (16, 64, 256), (1, 3, 5), (1, 2)
EXTENTS = {1: (32, 128, 512), 2: (8, 16, 32), 3: (8, 16)}
LAYOUTS = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def borders(extent: int, kernel: int, stride: int) -> tuple[int, int]:
    """The zeros in front of and behind an axis that `same` adds, the odd one behind."""
    total = max((-(-extent // stride) - 1) * stride + kernel - extent, 0)
    return total // 2, total - total // 2


def touched(extent: int, kernel: int, stride: int) -> int:
    """How often a tap of a window meets a real step on one axis: what has to be multiplied.

    >>> touched(4, 3, 1), touched(4, 3, 2)
    (10, 5)
    """
    front = borders(extent, kernel, stride)[0]
    places = range(-(-extent // stride))
    return sum(0 <= place * stride - front + tap < extent for place in places for tap in range(kernel))


def space(batch: int, extent: int, channels: int, rank: int) -> tuple[int, ...]:
    """The shape of inputs of equal extents."""
    return (batch, *(extent,) * rank, channels)


def convolved(x: Any, kernel: Any, stride: int, groups: int = 1) -> Any:
    """XLA's own convolution."""
    rank = x.ndim - 2
    return lax.conv_general_dilated(
        x, kernel, (stride,) * rank, "SAME", dimension_numbers=LAYOUTS[rank], feature_group_count=groups
    )


def torch_kernel(kernel: Any) -> Any:
    """[*window, in, out] -> [out, in, *window]."""
    return jnp.moveaxis(kernel, (-1, -2), (0, 1))


def torch_convolved(torch: Any, x: Any, kernel: Any, bias: Any, stride: int, groups: int = 1) -> Any:
    """PyTorch's convolution with the zeros that `same` adds, by itself where they are as many at both ends."""
    convolution = getattr(torch.nn.functional, f"conv{x.ndim - 2}d")
    front, behind = borders(x.shape[-1], kernel.shape[-1], stride)
    if front != behind:
        x, front = torch.nn.functional.pad(x, (front, behind) * (x.ndim - 2)), 0
    return convolution(x, kernel, bias, stride=stride, padding=front, groups=groups)


def convolution(
    rank: int, batch: int, extent: int, channels: int, kernel: int, stride: int, groups: int | str = 1
) -> Work:
    """Conv1D, Conv2D, Conv3D; `groups` may be "depthwise", a group for each channel."""
    count = channels if groups == "depthwise" else int(groups)

    def plain(params: Any, x: Any) -> Any:
        return convolved(x, params["kernel"], stride, count) + params["bias"]

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        kernel, bias = tensor(torch_kernel(params["kernel"])), tensor(params["bias"])
        return [kernel, bias], lambda x: torch_convolved(torch, x, kernel, bias, stride, count)

    layer = getattr(jg.layers, f"Conv{rank}D")
    return Work(
        layer(channels, kernel, strides=stride, padding="same", groups=count),
        space(batch, extent, channels, rank),
        plain,
        peer,
        2.0 * batch * touched(extent, kernel, stride) ** rank * channels * channels / count,
        channels_first=True,
    )


def depthwise(rank: int, batch: int, extent: int, channels: int, kernel: int, stride: int) -> Work:
    """DepthwiseConv1D, DepthwiseConv2D."""

    def plain(params: Any, x: Any) -> Any:
        return convolved(x, jnp.swapaxes(params["kernel"], -1, -2), stride, channels) + params["bias"]

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        kernel, bias = tensor(jnp.moveaxis(params["kernel"], (-2, -1), (0, 1))), tensor(params["bias"])
        return [kernel, bias], lambda x: torch_convolved(torch, x, kernel, bias, stride, channels)

    layer = getattr(jg.layers, f"DepthwiseConv{rank}D")
    flops = 2.0 * batch * touched(extent, kernel, stride) ** rank * channels
    shape = space(batch, extent, channels, rank)
    return Work(layer(kernel, strides=stride, padding="same"), shape, plain, peer, flops, channels_first=True)


def separable(rank: int, batch: int, extent: int, channels: int, kernel: int, stride: int) -> Work:
    """SeparableConv1D, SeparableConv2D: by channel, then across channels."""

    def plain(params: Any, x: Any) -> Any:
        y = convolved(x, jnp.swapaxes(params["depthwise_kernel"], -1, -2), stride, channels)
        return convolved(y, params["pointwise_kernel"], 1) + params["bias"]

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        across = tensor(torch_kernel(params["pointwise_kernel"]))
        weights = [tensor(jnp.moveaxis(params["depthwise_kernel"], (-2, -1), (0, 1))), across, tensor(params["bias"])]

        def function(x: Any) -> Any:
            y = torch_convolved(torch, x, weights[0], None, stride, channels)
            return torch_convolved(torch, y, weights[1], weights[2], 1)

        return weights, function

    layer = getattr(jg.layers, f"SeparableConv{rank}D")
    places = (-(-extent // stride)) ** rank
    flops = 2.0 * batch * channels * (touched(extent, kernel, stride) ** rank + places * channels)
    shape = space(batch, extent, channels, rank)
    return Work(layer(channels, kernel, strides=stride, padding="same"), shape, plain, peer, flops, channels_first=True)


def transposed(rank: int, batch: int, extent: int, channels: int, kernel: int, stride: int) -> Work:
    """Conv1DTranspose, Conv2DTranspose, Conv3DTranspose."""

    def plain(params: Any, x: Any) -> Any:
        y = lax.conv_transpose(
            x,
            params["kernel"],
            (stride,) * rank,
            "SAME",
            dimension_numbers=LAYOUTS[rank],
            transpose_kernel=True,
        )
        return y + params["bias"]

    def peer(torch: Any, tensor: Any, params: Any) -> Any:
        weights = [tensor(torch_kernel(params["kernel"])), tensor(params["bias"])]
        convolution = getattr(torch.nn.functional, f"conv_transpose{rank}d")
        front, behind = borders(extent * stride, kernel, stride)
        if front == behind:  # PyTorch cuts as much from both ends, or nothing
            more = stride - kernel + 2 * front
            return weights, lambda x: convolution(x, *weights, stride=stride, padding=front, output_padding=more)
        more = max(stride - kernel, 0)
        cut = (slice(None), slice(None), *(slice(front, front + extent * stride),) * rank)
        return weights, lambda x: convolution(x, *weights, stride=stride, output_padding=more)[cut]

    layer = getattr(jg.layers, f"Conv{rank}DTranspose")
    flops = 2.0 * batch * touched(extent * stride, kernel, stride) ** rank * channels * channels
    shape = space(batch, extent, channels, rank)
    return Work(layer(channels, kernel, strides=stride, padding="same"), shape, plain, peer, flops, channels_first=True)


def grid(rank: int, **more: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    """The grid of all convolutions."""
    shared = {"batch": BATCHES, "extent": EXTENTS[rank], "channels": CHANNELS, "kernel": KERNELS, "stride": STRIDES}
    return {**shared, **more}


def always(options: dict[str, Any], direction: str) -> bool:
    """All of a family is slow on XLA:CPU."""
    del options, direction
    return True


def slow_convolution(rank: int, options: dict[str, Any], direction: str) -> bool:
    """In three axes, with groups, and 1x1 with strides."""
    by_channel = options["groups"] == "depthwise"
    grouped = options["groups"] == 4 and direction == "gradient"
    return rank == 3 or by_channel or grouped or (options["kernel"] == 1 and options["stride"] > 1)


def families() -> list[Family]:
    """All of them."""
    found = []
    for rank in (1, 2, 3):
        slow = functools.partial(slow_convolution, rank)
        groups = grid(rank, groups=(1, 4, "depthwise"))
        found.append(Family(f"conv{rank}d", groups, functools.partial(convolution, rank), slow=slow))
        made = functools.partial(transposed, rank)
        found.append(Family(f"conv{rank}d_transpose", grid(rank), made, slow=always))
    for rank in (1, 2):
        for name, work in (("depthwise_conv", depthwise), ("separable_conv", separable)):
            found.append(Family(f"{name}{rank}d", grid(rank), functools.partial(work, rank), slow=always))
    return found
