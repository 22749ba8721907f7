"""Low-rank adaptation: a trained model goes on learning through small factors beside its kernels, which stay."""

import fnmatch
from typing import Any

import jax

from jgraph.core.infer import init_options, takes_mask
from jgraph.core.layer import Layer
from jgraph.core.model import Model
from jgraph.core.replay import lifted
from jgraph.errors import ArgumentError, PathError, listing, nearest
from jgraph.initializers.initializer import draw
from jgraph.layers.checks import check_positive
from jgraph.regularizers import check_factors
from jgraph.tree import leaves_with_names, match, put, read, together
from jgraph.typing import Array, Function, Key, Params, PyTree, State

A, B = "lora_{}_a", "lora_{}_b"
"""Keras' names of the factors beside a weight."""

KERNELS = ("kernel", "embedding", "embeddings", "weight")
"""How the names of weights end that can be adapted; biases and scales may have several axes too, but are no kernels."""


class LoRA(Layer):
    """A layer whose kernels have low-rank factors beside them: `kernel + alpha / rank * (a @ b)` (Hu et al. 2021).

    Beside every kernel and every table of embeddings, [..., n, m], stand `lora_<weight>_a` [..., n, rank], which starts
    as Keras' (He uniform), and `lora_<weight>_b` [rank, m], which starts at zero, so that nothing changes at first.
    They alone are trained: all weights of the layer itself are frozen (Keras goes on training its bias), so its
    regularizers and constraints have nothing to do. `alpha` is `rank` where it is not given. As the `lora_rank` and
    `lora_alpha` of Keras' layers, for any layer; made for whole models by `jg.lora`.

    Raises:
        ArgumentError: `layer` is no single layer, or has no weight to adapt, `rank` is not a positive integer, or
        `alpha` not a number of at least 0.

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> x = jg.Input((8,), name="x")
    >>> model = jg.Model(x, jg.layers.LoRA(jg.layers.Dense(4), rank=2, name="it")(x))
    >>> jax.tree.map(jnp.shape, model.init(jax.random.key(0))[0]["it"])
    {'bias': (4,), 'kernel': (8, 4), 'lora_kernel_a': (8, 2), 'lora_kernel_b': (2, 4)}
    """

    layer: Layer
    rank: int
    alpha: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, Layer) or self.layer.is_graph or isinstance(self.layer, LoRA):
            raise ArgumentError(
                "LoRA, layer",
                expected="a single layer that is not adapted yet",
                got=repr(self.layer),
                cure="Adapt the layers of a model by jg.lora(model, 'pattern', rank=8).",
            )
        check_positive("LoRA", rank=self.rank)
        check_factors("LoRA", alpha=0.0 if self.alpha is None else self.alpha)

    @property
    def mixes_rows(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the layer does."""
        return self.layer.mixes_rows

    @property
    def logits(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the layer's."""
        return self.layer.logits

    def opened(self) -> tuple[Layer, Function]:
        """As the layer opens."""
        inner, last = self.layer.opened()
        return (self if inner is self.layer else LoRA(inner, self.rank, self.alpha, name=self.name)), last

    def init(self, key: Key, *specs: Any, **options: Any) -> tuple[Params, State]:
        """Makes what the layer keeps, as it would alone, and the factors."""
        params, state = self.layer.init(key, *specs, **init_options(self.layer, options))
        return together(params, factors(self, params, key)), state

    def apply(
        self,
        params: Params,
        state: State,
        *inputs: Any,
        mask: Any = None,
        train: bool = False,
        key: Key | None = None,
        **options: Any,
    ) -> tuple[PyTree, State]:
        """Applies the layer with its adapted weights."""
        options |= {"mask": mask} if takes_mask(type(self.layer)) else {}
        return self.layer.apply(self.merged(params), state, *inputs, train=train, key=key, **options)

    def merged(self, params: Params) -> Params:
        """The params of the layer itself, with the factors multiplied in."""
        scale, merged = (self.rank if self.alpha is None else self.alpha) / self.rank, {}
        for (*path, leaf), value in paths_of(params):
            beside = read(params, path)
            if A.format(leaf) in beside:
                change = scale * (beside[A.format(leaf)] @ beside[B.format(leaf)])
                put(merged, path, {leaf: value + change.astype(value.dtype)})
            elif not leaf.startswith("lora_"):
                put(merged, path, {leaf: value})
        return merged

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """Those of the layer."""
        return self.layer.named_dimensions()

    def frozen(self, params: Params) -> tuple[tuple[str, ...], ...]:
        """All but the factors."""
        return tuple(path for path, _ in paths_of(params) if not path[-1].startswith("lora_"))

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """As the layer does."""
        return self.layer.pass_mask(mask, *inputs)

    def penalizes(self) -> bool:
        """True where the layer does."""
        return self.layer.penalizes()

    def penalty(self, params: Params, inputs: tuple, outputs: PyTree) -> Array | float:
        """The layer's."""
        return self.layer.penalty(self.merged(params), inputs, outputs)

    def index_range(self) -> int | None:
        """The layer's."""
        return self.layer.index_range()

    def weights_of(self) -> Layer:
        """The layer."""
        return self.layer.weights_of()

    def default_name(self) -> str:
        """The layer's."""
        return self.layer.default_name()


def factors(layer: LoRA, params: Params, key: Key) -> Params:
    """The start values of the factors beside the kernels.

    Raises:
        ArgumentError: there are none.
    """
    found: Params = {}
    for (*path, leaf), value in paths_of(params):
        if is_kernel(leaf, value):
            name = "/".join([*path, A.format(leaf)])
            shapes = (*value.shape[:-1], layer.rank), (layer.rank, value.shape[-1])
            first, second = draw("he_uniform", key, name, shapes[0]), draw("zeros", key, name, shapes[1])
            put(found, path, {A.format(leaf): first.astype(value.dtype), B.format(leaf): second.astype(value.dtype)})
    if not found:
        raise ArgumentError(
            repr(layer),
            expected="a layer with a kernel to adapt",
            got=listing([name for name, _ in leaves_with_names(params)]),
            cure="Adapt layers such as Dense, Embedding and MultiHeadAttention.",
        )
    return found


def is_kernel(name: str, leaf: Any) -> bool:
    """Whether a leaf, or its spec, is a weight that can be adapted."""
    return len(leaf.shape) > 1 and name.rpartition("/")[2].endswith(KERNELS)


def paths_of(params: Params) -> list[tuple[tuple[str, ...], Any]]:
    """The leaves of nested dicts, with their paths."""
    return [(tuple(name.split("/")), leaf) for name, leaf in leaves_with_names(params)]


def lora(model: Model, *patterns: str, rank: int, alpha: float | None = None) -> Model:
    """The model with low-rank factors beside the kernels of the layers that patterns match (`jg.layers.LoRA`).

    Patterns are those of `jg.Policy`: paths in which `*` stands for anything. What is matched is frozen but for the
    factors; everything else is trained as before, so begin with `model.freeze("*")` to train the factors alone. The
    params of the model go on by `jg.carry`, and `jg.merge_lora` brings a plain model back.

    Raises:
        PathError: a pattern matches no layer, or none with a kernel.
        ArgumentError: there is no pattern, `rank` is not a positive integer, or `alpha` not a number of at least 0.

    >>> import jax, jgraph as jg
    >>> x = jg.Input((8,), name="x")
    >>> model = jg.Model(x, jg.layers.Dense(2, name="head")(jg.layers.Dense(4, name="body")(x)))
    >>> adapted = jg.lora(model.freeze("*"), "body", rank=1)
    >>> params, state = model.init(jax.random.key(0))
    >>> carried = jg.carry(model, adapted, params, start=adapted.init(jax.random.key(1))[0])
    >>> carried.new
    ('body/lora_kernel_a', 'body/lora_kernel_b')
    >>> plain, merged = jg.merge_lora(adapted, carried.tree)
    >>> sorted(merged["body"])
    ['bias', 'kernel']
    """
    _check_model("lora", model)
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise ArgumentError(
            "lora, patterns",
            expected="patterns of paths",
            got=repr(patterns),
            cure="Write jg.lora(model, '*', rank=8).",
        )
    fitting = {node.path: node.layer for node in model.nodes if _has_kernel(node)}
    chosen: dict[Any, Any] = {}
    for pattern in patterns:
        hits = [path for path in fitting if fnmatch.fnmatchcase(path, pattern)]
        if not hits:
            raise PathError(
                f"lora of {model!r}",
                expected="a pattern of the paths of layers with kernels",
                got=f"{pattern!r}, which matches none",
                cure=f"{nearest(pattern, fitting)}Known: {listing(fitting)}.",
            )
        chosen |= {fitting[path]: LoRA(fitting[path], rank, alpha) for path in hits}
    return lifted(model, chosen)


def merge_lora(model: Model, params: Params) -> tuple[Model, Params]:
    """The model without low-rank factors, and its params with them multiplied in: `(model, params)`.

    Raises:
        PathError: the model has no adapted layer.
        KeyMismatchError, ShapeError: the params are not the model's.

    >>> import jax, jgraph as jg
    >>> x = jg.Input((8,), name="x")
    >>> model = jg.lora(jg.Model(x, jg.layers.Dense(4, name="body")(x)), "body", rank=1)
    >>> plain, params = jg.merge_lora(model, model.init(jax.random.key(0))[0])
    >>> plain.layers["body"]
    Dense(4, name='body')
    """
    _check_model("merge_lora", model)
    adapted = {node.path: node for node in model.nodes if isinstance(node.layer, LoRA)}
    if not adapted:
        raise PathError(
            f"merge_lora of {model!r}",
            expected="a model with adapted layers",
            got="one without",
            cure="Adapt it first: jg.lora(model, '*', rank=8).",
        )
    match(params, model.params_spec, "merge_lora, params", "Give the params of this model.")
    merged = jax.tree.map(lambda leaf: leaf, params)
    for node in adapted.values():
        layer: Any = node.layer
        *above, name = node.names
        read(merged, above)[name] = layer.merged(read(params, node.names))
    return lifted(model, {node.layer: node.layer.layer for node in adapted.values()}), merged


def _check_model(where: str, model: Any) -> None:
    if not isinstance(model, Model):
        cure = "Draw it: jg.Model(x, layer(x))."
        raise ArgumentError(f"{where}, model", expected="a jg.Model", got=repr(model)[:80], cure=cure)


def _has_kernel(node: Any) -> bool:
    adaptable = not node.layer.is_graph and not isinstance(node.layer, LoRA)
    return adaptable and any(is_kernel(*pair) for pair in leaves_with_names(node.inference.params))
