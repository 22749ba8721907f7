"""The six models in Flax Linen; an output is what a loss takes: logits, or the number itself."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn


def last(units: int) -> Any:
    """An LSTM: [batch, steps, n] -> [batch, steps, units]."""
    return nn.RNN(nn.OptimizedLSTMCell(units))


class MLP(nn.Module):
    """16-64-64-1."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        """[batch, 16] -> [batch, 1]."""
        x = nn.relu(nn.Dense(64)(x))
        x = nn.relu(nn.Dense(64)(x))
        return nn.Dense(1)(x)


class QA(nn.Module):
    """A text and a question about it, each through its own LSTM, into one of 500 answers."""

    @nn.compact
    def __call__(self, inputs: Any) -> Any:
        """[batch, 500]."""
        t = last(32)(nn.Embed(10_000, 64)(inputs["text"]))[:, -1]
        q = last(16)(nn.Embed(10_000, 32)(inputs["question"]))[:, -1]
        return nn.Dense(500)(jnp.concatenate([t, q], axis=-1))


class Siamese(nn.Module):
    """Whether two series belong together: both through one LSTM."""

    @nn.compact
    def __call__(self, inputs: Any) -> Any:
        """[batch, 1]."""
        lstm = last(32)
        both = [lstm(inputs[name])[:, -1] for name in ("left", "right")]
        return nn.Dense(1)(jnp.concatenate(both, axis=-1))


class Heads(nn.Module):
    """Age, income and gender of whoever wrote a post."""

    @nn.compact
    def __call__(self, posts: Any) -> Any:
        """By head."""
        x = nn.relu(nn.Conv(64, (5,), padding="VALID")(nn.Embed(5000, 64)(posts)))
        x = nn.max_pool(x, (5,), strides=(5,))
        x = nn.relu(nn.Conv(128, (5,), padding="VALID")(x))
        x = nn.relu(nn.Conv(128, (5,), padding="VALID")(x))
        x = nn.relu(nn.Dense(64)(x.max(axis=1)))
        return {"age": nn.Dense(1)(x), "income": nn.Dense(10)(x), "gender": nn.Dense(1)(x)}


class InceptionBlock(nn.Module):
    """Four branches beside each other, and a residual around them."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        """[batch, height, width, 256]."""

        def convolution(x: Any, size: int) -> Any:
            return nn.relu(nn.Conv(64, (size, size))(x))

        pooled = nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)
        branches = [
            convolution(x, 1),
            convolution(convolution(x, 1), 3),
            convolution(convolution(convolution(x, 1), 3), 3),
            convolution(pooled, 1),
        ]
        around = x if x.shape[-1] == 256 else nn.Conv(256, (1, 1))(x)
        return jnp.concatenate(branches, axis=-1) + around


class Inception(nn.Module):
    """Three such blocks."""

    @nn.compact
    def __call__(self, image: Any) -> Any:
        """[batch, 10]."""
        x = nn.relu(nn.Conv(64, (3, 3), strides=(2, 2))(image))
        x = InceptionBlock()(InceptionBlock()(x))
        x = InceptionBlock()(nn.max_pool(x, (2, 2), strides=(2, 2)))
        return nn.Dense(10)(x.mean(axis=(1, 2)))


class XceptionBlock(nn.Module):
    """Two separable convolutions beside a strided 1 x 1 one."""

    filters: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        """[batch, height / 2, width / 2, filters]."""

        def separable(x: Any) -> Any:
            x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
            x = nn.Conv(x.shape[-1], (3, 3), feature_group_count=x.shape[-1], use_bias=False)(x)
            return nn.Conv(self.filters, (1, 1), use_bias=False)(x)

        inner = nn.max_pool(separable(separable(x)), (3, 3), strides=(2, 2), padding="SAME")
        return inner + nn.Conv(self.filters, (1, 1), strides=(2, 2), use_bias=False)(x)


class Xception(nn.Module):
    """Three such blocks."""

    @nn.compact
    def __call__(self, image: Any) -> Any:
        """[batch, 10]."""
        x = nn.Conv(64, (3, 3), strides=(2, 2), use_bias=False)(image)
        for filters in (128, 256, 512):
            x = XceptionBlock(filters)(x)
        return nn.Dense(10)(x.mean(axis=(1, 2)))


MODELS: dict[str, type[nn.Module]] = {
    "mlp": MLP,
    "qa": QA,
    "siamese": Siamese,
    "heads": Heads,
    "inception": Inception,
    "xception": Xception,
}
