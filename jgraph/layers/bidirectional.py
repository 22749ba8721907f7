"""A recurrent layer and its mirror image: one reads a sequence from the front, the other from the back."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.infer import takes_mask
from jgraph.core.layer import Layer
from jgraph.draw.specs import show, show_tree
from jgraph.errors import ArgumentError, ShapeError, check_one_of
from jgraph.keys import fold
from jgraph.layers.masking import widened
from jgraph.layers.wrapping import Wrapping, mixing
from jgraph.tree import read, write
from jgraph.typing import Array, Key, Params, PyTree, Spec, State

MODES = ("concat", "sum", "mul", "ave", None)
SHARED = ("return_sequences", "return_state")


class Bidirectional(Wrapping):
    """A recurrent layer forwards and a second one backwards: [batch, time, n] -> [batch, 2 units], both last outputs.

    `layer` is an `RNN`, `SimpleRNN`, `GRU` or `LSTM`, or a layer of your own with the fields `go_backwards`,
    `return_sequences` and `return_state`. The second layer is the same with `go_backwards` the other way round, or
    `backward_layer`, which has the same outputs. With `return_sequences` of the layer the second's sequence is turned,
    so that both are in the order of the first: [batch, time, 2 units]. `merge_mode` is `"concat"`, `"sum"`, `"mul"`,
    `"ave"` (their mean) or `None`, a list of both. With `return_state` a list of that, then the memories of the first
    and of the second. The call takes `initial_state`, a list: the first half is the first layer's, the second the
    second's: `layer(x, initial_state=[h, c, h, c])`.

    Masked steps leave the memories as they were; a sequence is 0 there, a last output is that of the last step that
    counts. The mask goes on with a sequence. Parameters: `forward_layer` and `backward_layer`, each those of its layer;
    they are this layer's own, also where the inner one is drawn elsewhere too. As `keras.layers.Bidirectional`
    (Schuster and Paliwal 1997); Keras with `unroll` repeats the last output where a step is masked.

    Raises:
        ArgumentError: `layer` or `backward_layer` is no such layer, both read in one direction, their outputs differ,
            `merge_mode` is not known, or an activity is regularized that is merged by more than `"concat"`.
        ShapeError: the layers cannot take the input, or their widths differ and are not concatenated.
        RandomKeyError: applied with dropout, `train=True` and no key.

    >>> import jgraph as jg
    >>> jg.layers.Bidirectional(jg.layers.LSTM(32, return_sequences=True))(jg.Input((100, 8)))
    <Symbol float32[batch, 100, 64]>
    """

    layer: Any
    merge_mode: str | None = "concat"
    backward_layer: Any = None

    mixes_rows = mixing

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("Bidirectional", "merge_mode", self.merge_mode, MODES)
        check_directions(self.layer, self.backward_layer)
        if self.merge_mode not in ("concat", None) and self.penalizes():
            raise ArgumentError(
                "Bidirectional, layer",
                expected=f"a layer without a penalty, as merge_mode={self.merge_mode!r} does not keep its outputs",
                got=repr(self.layer),
                cure="Take merge_mode=None, and merge the two with a layer behind.",
            )

    def held(self) -> dict[tuple[str, ...], Any]:
        """The two layers by name."""
        second = self.backward_layer
        if second is None:
            second = dataclasses.replace(self.layer, go_backwards=not self.layer.go_backwards)
        return {("forward_layer",): self.layer, ("backward_layer",): second}

    def init(self, key: Key, x: Spec, initial_state: PyTree = None) -> tuple[Params, State]:
        """Makes what each layer keeps."""
        params, state = {}, {}
        for (path, layer), given in zip(self.held().items(), halves(self, initial_state), strict=True):
            own, kept = layer.init(fold(key, *path), x, *given)
            write(params, path, own)
            write(state, path, kept)
        return params, state

    def apply(
        self,
        params: Params,
        state: State,
        x: Array,
        initial_state: PyTree = None,
        *,
        mask: Any = None,
        train: bool = False,
        key: Key | None = None,
    ) -> tuple[PyTree, State]:
        """Applies both and merges."""
        mask = mask[0] if isinstance(mask, (tuple, list)) else mask
        outputs, memories, states = [], [], {}
        for (path, layer), given in zip(self.held().items(), halves(self, initial_state), strict=True):
            own = {"mask": mask} if takes_mask(type(layer)) else {}
            own |= {"train": train, "key": None if key is None else fold(key, *path)}
            made, kept = plain(layer).apply(read(params, path), read(state, path), x, *given, **own)
            y, *last = made if layer.return_state else [made]
            outputs.append(in_order(self.layer, layer, y, mask, x))
            memories += last
            write(states, path, kept)
        return merged(self, outputs, memories), states

    def pass_mask(self, mask: Any, *inputs: Any) -> Any:
        """The first layer's, for each sequence."""
        mask = self.layer.pass_mask(mask, *inputs)
        return [mask, mask] if self.merge_mode is None else mask

    def penalizes(self) -> bool:
        """True where one of both does."""
        return any(layer.penalizes() for layer in self.held().values())

    def penalty(self, params: Params, inputs: tuple, outputs: PyTree) -> Array | float:
        """The sum of both."""
        return penalty_of_both(self, params, inputs, outputs)


def plain(layer: Any) -> Any:
    """The layer without `zero_output_for_mask`, which this layer sets for both."""
    return dataclasses.replace(layer, zero_output_for_mask=False) if hasattr(layer, "zero_output_for_mask") else layer


def in_order(first: Any, layer: Any, y: Array, mask: Array | None, x: Array) -> Array:
    """A sequence in the first layer's order, 0 where it is masked; or a last output as it is."""
    if not first.return_sequences:
        return y
    y = y if layer.go_backwards == first.go_backwards else jnp.flip(y, 1)
    counts = None if mask is None else first.pass_mask(mask, x)
    return y if counts is None else jnp.where(widened(counts, y.ndim), y, jnp.zeros((), y.dtype))


def halves(layer: Layer, given: PyTree) -> list[tuple]:
    """What of the initial state is each direction's, as the arguments that it takes.

    Raises:
        ShapeError: it cannot be halved.
    """
    leaves = jax.tree.leaves(given)
    if len(leaves) % 2:
        raise ShapeError(
            f"{layer!r}, initial_state",
            expected="the memories of one direction, and as many of the other",
            got=show_tree(given),
            cure="Write initial_state=[h, c, h, c] for an LSTM, [h, h] for a GRU.",
        )
    half = len(leaves) // 2
    return [(), ()] if given is None else [(leaves[:half],), (leaves[half:],)]


def merged(layer: Bidirectional, outputs: list[Array], memories: list[Array]) -> PyTree:
    """Both outputs as one, or a list where there is more: both as they are, or memories."""
    made = [*merge(layer, *outputs), *memories]
    return made if len(made) > 1 else made[0]


def merge(layer: Bidirectional, one: Array, two: Array) -> list[Array]:
    """Both outputs as one, or as they are.

    Raises:
        ShapeError: they are not of one width.
    """
    if layer.merge_mode is None:
        return [one, two]
    if layer.merge_mode == "concat":
        return [jnp.concatenate([one, two], axis=-1)]
    if one.shape != two.shape:
        raise ShapeError(
            repr(layer),
            expected="two layers of one width",
            got=f"{show(one)} and {show(two)}",
            cure="Take merge_mode='concat' or None.",
        )
    return [one * two if layer.merge_mode == "mul" else (one + two) * (0.5 if layer.merge_mode == "ave" else 1)]


def penalty_of_both(layer: Bidirectional, params: Params, inputs: tuple, outputs: PyTree) -> Array | float:
    """Each layer's penalty, of its own part of the outputs."""
    outputs = outputs if isinstance(outputs, list) else [outputs]
    first, second = layer.held().values()
    spec = jax.eval_shape(lambda p, x: first.apply(p, {}, x)[0], params["forward_layer"], inputs[0])
    y, *last = jax.tree.leaves(spec)
    if layer.merge_mode == "concat":
        width = y.shape[-1]
        outputs = [outputs[0][..., :width], outputs[0][..., width:], *outputs[1:]]
    one, two, *memories = outputs
    two = jnp.flip(two, 1) if first.return_sequences else two
    both = [one, *memories[: len(last)]], [two, *memories[len(last) :]]
    own = [made if first.return_state else made[0] for made in both]
    return first.penalty(params["forward_layer"], inputs, own[0]) + second.penalty(
        params["backward_layer"], inputs, own[1]
    )


def check_directions(first: Any, second: Any) -> None:
    """Checks that both are recurrent layers, in opposite directions, with outputs of one kind.

    Raises:
        ArgumentError: they are not.
    """
    for argument, layer in (("layer", first), *((("backward_layer", second),) * (second is not None))):
        if not isinstance(layer, Layer) or not all(hasattr(layer, word) for word in ("go_backwards", *SHARED)):
            raise ArgumentError(
                f"Bidirectional, {argument}",
                expected="a recurrent layer, with the fields go_backwards, return_sequences and return_state",
                got=repr(layer),
                cure="Write jg.layers.Bidirectional(jg.layers.LSTM(32)).",
            )
    if second is None:
        return
    if first.go_backwards == second.go_backwards:
        raise ArgumentError(
            "Bidirectional, backward_layer",
            expected="a layer in the other direction",
            got=f"go_backwards={second.go_backwards} in both",
            cure=f"Write go_backwards={not first.go_backwards} in backward_layer.",
        )
    for word in SHARED:
        if getattr(first, word) != getattr(second, word):
            raise ArgumentError(
                f"Bidirectional, {word}",
                expected=f"{word}={getattr(first, word)} in both layers",
                got=f"{word}={getattr(second, word)} in backward_layer",
                cure="Let both have the same outputs.",
            )
