"""The fully connected layer along axes of one's choice, which letters name.

    "ab,bc->ac"          rows a, inputs b, outputs c: Dense(c)
    "abc,cd->abd"        the same for every step b
    "...x,xy->...y"      the same for any number of axes in front
    "abc,cde->abde"      several outputs at once: d heads of size e
    "abc,bd->adc"        along time, channel by channel

The letters stand for axes of the input, of the kernel, and of the output. A letter that the output has not is summed
over.
"""

import dataclasses
import re
import string
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jgraph.constraints import Constraint
from jgraph.core.spec import is_symbolic
from jgraph.draw.specs import show
from jgraph.errors import ArgumentError, ShapeError, listing
from jgraph.initializers.initializer import Initializer, by_name, draw
from jgraph.initializers.scaling import Scaled
from jgraph.layers.checks import check_positive
from jgraph.layers.standard import Standard
from jgraph.ops.activations import Activation, activation
from jgraph.regularizers import Regularizer
from jgraph.typing import Array, Key, Params, Spec, State

FORM = re.compile(r"(\.\.\.)?([A-Za-z]+)(\.\.\.)?,([A-Za-z]+)->(\.\.\.)?([A-Za-z]+)(\.\.\.)?")


class EinsumDense(Standard):
    """`y = activation(einsum(equation, x, kernel) + bias)`.

    `equation` is `"[input],[kernel]->[output]"` in letters, one for each axis; the batch axis is the first of input and
    output. Input and output may both begin with an ellipsis, or both end with one, for any number of axes that stay.
    `output_shape` are the sizes of the output's axes without the batch and without the ellipsis, an integer where it is
    one; `None` takes the input's size (Keras cannot where the kernel has that axis). `bias_axes` are the letters of the
    output that the bias has an entry for each place of, none without a bias. Glorot's, He's and LeCun's initializers
    count as inputs the kernel's axes that are summed over, and as outputs those that the output has (Keras' rule). A
    mask that comes in ends.

    Parameters: `kernel` of the sizes of its letters; with `bias_axes` a `bias`, of the output's axes from the first of
    them on, with size 1 where there is no letter. As `keras.layers.EinsumDense`.

    Raises:
        ArgumentError: the equation is of no such form, a letter of kernel, output or bias has no place that gives its
        size, a size is not a positive integer, or a name is not known.
        ShapeError: the input has not the axes of the equation, its sizes are not those of `output_shape`, or an axis
        that the kernel depends on is free.

    >>> import jgraph as jg
    >>> jg.layers.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de")(jg.Input((10, 8)))
    <Symbol float32[batch, 10, 2, 4]>
    """

    equation: str
    output_shape: int | tuple[int | None, ...]
    activation: Activation = None
    bias_axes: str | None = None
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: Initializer = "zeros"
    kernel_regularizer: Regularizer = None
    bias_regularizer: Regularizer = None
    kernel_constraint: Constraint = None
    bias_constraint: Constraint = None

    mixes_rows = False
    logits = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_equation(self.equation, self.bias_axes)
        wanted = [n for n in sizes_given(self.output_shape) if n is not None]
        check_positive("EinsumDense", output_shape=wanted or 1)

    def named_dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names of the dimensions of its params: the letters of the equation, where it has them all."""
        given, _, output = self.equation.replace(" ", "").partition("->")
        bias = tuple(output[min(map(output.find, self.bias_axes)) :]) if self.bias_axes else ()
        return {"kernel": tuple(given.partition(",")[2].replace("...", "")), "bias": bias}

    def init(self, key: Key, x: Spec) -> tuple[Params, State]:
        """Finds the sizes of the letters, and draws the kernel and the bias."""
        _, letters, output = spelled(self, x)
        sizes = sizes_of(self, x)
        initializer = by_axes(self.kernel_initializer, letters, output)
        params = {"kernel": draw(initializer, key, "kernel", tuple(sizes[letter] for letter in letters))}
        if self.bias_axes is not None:
            tail = output[min(map(output.find, self.bias_axes)) :]
            shape = tuple(sizes[letter] if letter in self.bias_axes else 1 for letter in tail)
            params["bias"] = draw(self.bias_initializer, key, "bias", shape)
        return params, {}

    def apply(
        self, params: Params, state: State, x: Array, *, train: bool = False, key: Key | None = None
    ) -> tuple[Array, State]:
        """Multiplies and sums, adds, activates."""
        del train, key
        y = jnp.einsum(self.equation, x, params["kernel"])
        return activation(self.activation)(y if self.bias_axes is None else y + params["bias"]), state


def check_equation(equation: Any, bias_axes: Any) -> None:
    """Checks what can be said of an equation before the input is known.

    Raises:
        ArgumentError: it is of another form, names an axis twice, or has letters without a size or the batch axis.
    """
    form = FORM.fullmatch(equation) if isinstance(equation, str) else None
    ends = [(bool(form[1]), bool(form[3])), (bool(form[5]), bool(form[7]))] if form else []
    if form is None or ends[0] != ends[1] or all(ends[0]):
        raise ArgumentError(
            "EinsumDense, equation",
            expected="'[input],[kernel]->[output]' in letters, or '...[input],[kernel]->...[output]', or "
            "'[input]...,[kernel]->[output]...'",
            got=repr(equation),
            cure="Write 'ab,bc->ac' for a Dense layer, '...b,bc->...c' for one on any number of axes.",
        )
    given, kernel, output = form[2], form[4], form[6]
    twice = any(len({*part}) < len(part) for part in (given, kernel, output))
    pairs = (kernel, given + output), (output, given + kernel)
    lost = [letter for part, others in pairs for letter in part if letter not in others]
    if twice or lost or not (ends[0][0] or keeps_batch(given, kernel, output)):
        raise ArgumentError(
            "EinsumDense, equation",
            expected="one letter an axis; letters of the kernel that input or output have, letters of the output that "
            "input or kernel have; and the batch axis first in input and output, not in the kernel",
            got=repr(equation) + (f" with {listing(lost)}" if lost else ""),
            cure="Write 'ab,bc->ac': rows a, inputs b, outputs c.",
        )
    if bias_axes is not None and (not isinstance(bias_axes, str) or not bias_axes or {*bias_axes} - {*output}):
        raise ArgumentError(
            "EinsumDense, bias_axes",
            expected=f"letters of the output {output!r}, or None",
            got=repr(bias_axes),
            cure=f"Write bias_axes={output[-1]!r}.",
        )


def keeps_batch(given: str, kernel: str, output: str) -> bool:
    """Whether the first axis of the input is the first of the output, and none of the kernel's."""
    return given[0] == output[0] and given[0] not in kernel


def sizes_given(output_shape: Any) -> tuple:
    """The sizes that a user gave, one or several."""
    return tuple(output_shape) if isinstance(output_shape, (tuple, list)) else (output_shape,)


def spelled(layer: EinsumDense, x: Spec) -> tuple[str, str, str]:
    """The letters of input, kernel and output, with letters of their own for the axes of an ellipsis.

    Raises:
        ShapeError: the input has not the axes of the equation.
    """
    left, given, right, kernel, _, output, _ = FORM.fullmatch(layer.equation).groups()  # pyright: ignore[reportOptionalMemberAccess]
    count = len(x.shape) - len(given)
    free = [letter for letter in string.ascii_letters if letter not in given + kernel + output][: max(count, 0)]
    front, back = ("".join(free), "") if left else ("", "".join(free))
    parts = front + given + back, kernel, front + output + back
    if count < 0 or (count > 0 and not (left or right)) or not keeps_batch(*parts):
        raise ShapeError(
            repr(layer),
            expected=f"an input with the axes of {layer.equation!r}, the batch axis first",
            got=show(x),
            cure="Write a letter for each axis of the input, also for the batch axis.",
        )
    return parts


def sizes_of(layer: EinsumDense, x: Spec) -> Mapping[str, Any]:
    """The size of each letter: the input's, or what `output_shape` says.

    Raises:
        ShapeError: the two differ, a size is missing, or a letter of the weights is of a free axis.
    """
    given, kernel, _ = spelled(layer, x)
    sizes = dict(zip(given, x.shape, strict=True))
    named = FORM.fullmatch(layer.equation)[6]  # pyright: ignore[reportOptionalSubscript]
    letters, wanted = [letter for letter in named if letter != given[0]], sizes_given(layer.output_shape)
    new = {a: n for a, n in zip(letters, wanted, strict=False) if n is not None}
    fits = len(letters) == len(wanted) and all(sizes.get(a, n) == n for a, n in new.items())
    sizes = new | sizes
    if not fits or any(letter not in sizes for letter in letters):
        raise ShapeError(
            f"{layer!r}, output_shape",
            expected=f"sizes of {''.join(letters)!r}, those of the input where it has the letter",
            got=f"{wanted} for {show(x)}",
            cure="Give one size for each letter of the output but the batch axis; None where the input has it.",
        )
    free = [letter for letter in kernel + (layer.bias_axes or "") if is_symbolic(sizes[letter])]
    if free:
        raise ShapeError(
            repr(layer),
            expected=f"known sizes of {listing(free)}, as the weights depend on them",
            got=show(x),
            cure="Give the input those sizes instead of None.",
        )
    return sizes


def by_axes(initializer: Initializer, letters: str, output: str) -> Initializer:
    """An initializer whose scale counts, of the kernel's axes, those that are summed over as inputs, others as outputs.

    Others are as they are, and so is one that says itself which axes it counts.
    """
    value: Any = by_name(initializer)
    if not is_open(value):
        return initializer
    inner, outer = (tuple(i for i, a in enumerate(letters) if (a in output) == kept) for kept in (False, True))
    return dataclasses.replace(value, input_axes=inner, output_axes=outer)


def is_open(value: Any) -> bool:
    """Whether a scaling initializer leaves open which axes it counts."""
    return isinstance(value, Scaled) and None in (value.input_axes, value.output_axes)
