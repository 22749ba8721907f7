"""The cases of convolutions: plain, transposed, depthwise and separable ones.

Kernels, places of windows, paddings, and groups or multipliers are multiplied out; shapes, and activations with and
without a bias, take turns.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Case = tuple[str, dict[str, Any], tuple, dict[str, Any]]
Options = list[dict[str, Any]]

ENDS: Options = [
    {},
    {"activation": "tanh"},
    {"use_bias": False},
    {"activation": "softmax"},
    {},
    {"activation": "gelu", "use_bias": False},
    {"activation": "leaky_relu"},
]
"""What comes after a convolution."""

WIDE = {
    1: ((2, 14, 4), (1, 13, 4), (3, 17, 4), (2, 15, 4), (2, 16, 4)),
    2: ((2, 8, 7, 4), (1, 7, 9, 4), (2, 9, 8, 4), (1, 10, 7, 4), (3, 7, 7, 4)),
    3: ((2, 5, 6, 5, 4), (1, 6, 5, 7, 4), (1, 5, 5, 5, 4), (1, 5, 7, 6, 4), (2, 5, 5, 6, 4)),
}
"""Inputs that hold the largest window below."""

NARROW = {
    1: ((2, 1, 4), (1, 2, 4), (3, 3, 4), (2, 5, 4), (2, 4, 4)),
    2: ((2, 1, 2, 4), (1, 3, 1, 4), (2, 2, 2, 4), (1, 4, 3, 4), (2, 3, 5, 4)),
    3: ((2, 1, 2, 1, 4), (1, 2, 1, 3, 4), (1, 2, 2, 2, 4), (1, 3, 1, 2, 4), (1, 2, 3, 2, 4)),
}
"""Inputs that are shorter than many windows, which all paddings but `valid` allow."""

KERNELS: dict[int, tuple[Any, ...]] = {
    1: (1, 2, 3, (5,)),
    2: (1, 2, 3, (1, 3), (3, 2)),
    3: (1, 2, (1, 2, 3), (3, 1, 2)),
}

STRIDES: dict[int, tuple[Any, ...]] = {
    1: (1, 2, 3, (4,)),
    2: (1, 2, (1, 3), (3, 2)),
    3: (1, 2, (1, 2, 3)),
}

DILATIONS: dict[int, tuple[Any, ...]] = {1: (2, (3,)), 2: (2, (1, 3)), 3: (2, (1, 2, 1))}


def cases() -> list[Case]:
    """The full product of the options of each layer."""
    return [case for rank in (1, 2, 3) for case in itertools.chain(plain(rank), transposed(rank), by_channel(rank))]


def plain(rank: int) -> Iterator[Case]:
    """Conv1D, Conv2D, Conv3D."""
    paddings = ("valid", "same", "causal") if rank == 1 else ("valid", "same")
    options = product(kernel_size=KERNELS[rank], padding=paddings, groups=(1, 2, 4))
    places = [*product(strides=STRIDES[rank]), *product(dilation_rate=DILATIONS[rank])]
    yield from drawn(f"Conv{rank}D", rank, [{"filters": 8, **a, **b} for a in options for b in places])


def transposed(rank: int) -> Iterator[Case]:
    """Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, with every output_padding that Keras allows."""
    options = product(kernel_size=(*KERNELS[rank], 4), padding=("valid", "same"))
    places = [{"strides": s, **added} for s in STRIDES[rank] for added in additions(s)]
    places += [{"dilation_rate": d, **added} for d in DILATIONS[rank] for added in ({}, {"output_padding": 0})]
    yield from drawn(f"Conv{rank}DTranspose", rank, [{"filters": 3, **a, **b} for a in options for b in places])


def by_channel(rank: int) -> Iterator[Case]:
    """DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D; strides and dilation together, too."""
    if rank < 3:
        options = product(kernel_size=KERNELS[rank], padding=("valid", "same"), depth_multiplier=(1, 3))
        places = [*product(strides=STRIDES[rank]), *product(dilation_rate=DILATIONS[rank])]
        places += product(strides=(2,), dilation_rate=DILATIONS[rank])
        chosen = [{**a, **b} for a in options for b in places]
        yield from drawn(f"DepthwiseConv{rank}D", rank, chosen)
        yield from drawn(f"SeparableConv{rank}D", rank, [{"filters": 5, **c} for c in chosen])


def additions(strides: int | tuple[int, ...]) -> Options:
    """No output_padding, and each that is below the strides."""
    if isinstance(strides, int):
        return [{}, *({"output_padding": n} for n in range(strides))]
    return [{}, *({"output_padding": added} for added in itertools.product(*map(range, strides)))]


def drawn(name: str, rank: int, configs: Options) -> Iterator[Case]:
    """Each configuration with an end and an input, which take turns."""
    ends, wide = itertools.cycle(ENDS), itertools.cycle(WIDE[rank])
    every = itertools.cycle((*NARROW[rank], *WIDE[rank], NARROW[rank][0]))
    for config in configs:
        shape = next(wide if config["padding"] == "valid" and "Transpose" not in name else every)
        if not empty(name, config, shape):
            yield name, {**config, **next(ends)}, (numbers(*shape),), {}


def empty(name: str, config: dict[str, Any], shape: Sequence[int]) -> bool:
    """Whether a transposed convolution has no output: `same`, an even window on one step, nothing added."""
    rank = len(shape) - 2
    if "Transpose" not in name or config["padding"] == "valid" or config.get("output_padding") is None:
        return False
    each = [config["kernel_size"], config.get("dilation_rate", 1), config["output_padding"]]
    axes = zip(shape[1:-1], *([v] * rank if isinstance(v, int) else v for v in each), strict=True)
    return any(n == 1 and ((k - 1) * d + 1) % 2 + added == 0 for n, k, d, added in axes)


def product(**options: Sequence[Any]) -> Options:
    """Every combination of the options."""
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers, the same for one shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")
