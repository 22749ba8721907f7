"""What a call of a layer will give, found without running it: specs of outputs, parameters, state and masks.

Inference traces the layer once, about 2 ms; equal layers on equal specs share the answer. The memo is bounded
and holds the value of a pure function, so it cannot be seen from outside.
"""

import dataclasses
import functools
import inspect
from typing import Any

import jax

from jgraph.core.sizes import names_in
from jgraph.core.spec import is_symbolic
from jgraph.core.treatment import PLAIN, Treatment, applied, initialized
from jgraph.draw.specs import show, without_tokens
from jgraph.errors import ArgumentError, JGraphError, KeyMismatchError, ShapeError, SymbolError, nearest
from jgraph.tree import leaves_with_names
from jgraph.typing import PyTree, Spec


@dataclasses.dataclass(frozen=True)
class Inference:
    """Specs of one call: parameters, state, output leaves with their tree, and per output leaf the fate of its mask.

    A fate is `None` (no mask), an integer (the incoming mask of that place goes on) or a spec (a mask is computed).
    """

    params: PyTree
    state: PyTree
    outputs: tuple[Spec, ...]
    tree: Any
    masks: tuple[int | Spec | None, ...]


def infer(
    layer: Any,
    args: tuple,
    kwargs: dict[str, Any],
    mask: Any,
    treatment: Treatment = PLAIN,
    absent: frozenset[int] = frozenset(),
) -> Inference:
    """Infers a call whose symbols have been replaced by specs; `absent` are leaves that `apply` is to do without.

    Raises:
        ShapeError: the layer cannot be applied to these specs; the message holds what the layer said.
        ArgumentError: it takes other arguments. SymbolError: it gives nothing.
    """
    question = Question(layer, args, kwargs, mask, treatment.typing(), absent)
    try:
        hash(question)
    except TypeError:  # an unhashable constant or field: nothing to look the answer up by
        return _answer.__wrapped__(question)
    return _answer(question)


class Question:
    """A call to ask of; equal when class, configuration, constants (with their types) and specs are."""

    def __init__(
        self, layer: Any, args: tuple, kwargs: dict[str, Any], mask: Any, treatment: Treatment, absent: frozenset[int]
    ) -> None:
        self.call, self.treatment, self.absent = (layer, args, kwargs, mask), treatment, absent
        leaves, tree = jax.tree.flatten((args, kwargs, mask), is_leaf=lambda x: x is None)
        fields = tuple((f.name, typed(getattr(layer, f.name))) for f in dataclasses.fields(layer) if f.name != "name")
        asked = tree, tuple(map(typed, leaves)), treatment, absent
        self.key = type(layer), fields, asked, jax.dtypes.canonicalize_dtype(int)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and self.key == other.key


def typed(value: Any) -> Any:
    """A key that tells 1, 1.0 and True apart, also inside tuples, lists, dicts and slices."""
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(typed, value))
    if isinstance(value, dict):
        return dict, tuple((k, typed(v)) for k, v in value.items())
    if isinstance(value, slice):
        return slice, typed((value.start, value.stop, value.step))
    if isinstance(value, jax.ShapeDtypeStruct):
        return value
    return type(value), value


@functools.lru_cache(maxsize=4096)
def _answer(question: Question) -> Inference:
    (layer, args, kwargs, mask), treatment = question.call, question.treatment
    key = jax.eval_shape(lambda: jax.random.key(0))
    try:
        given = init_options(layer, kwargs)
        made = jax.eval_shape(lambda k: initialized(layer, treatment, k, args, given), key)
        params, state = _pair(layer, made, "init", "params")
        _check_made(layer, params, state)
        leaves, tree = jax.tree.flatten((args, kwargs, mask))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.ShapeDtypeStruct)]
        out_tree, fates = [], []

        def whole(params: PyTree, state: PyTree, arrays: list) -> tuple:
            full = [*leaves]
            for place, array in zip(places, arrays, strict=True):
                full[place] = None if place in question.absent else array
            a, k, m = jax.tree.unflatten(tree, full)
            options = {**k, "mask": m} if takes_mask(type(layer)) else k
            result = applied(layer, treatment, params, state, a, options)
            outputs, new_state = _pair(layer, result, "apply", "outputs")
            flat, shape_of_outputs = jax.tree.flatten(outputs)
            out_tree.append(shape_of_outputs)
            _check_penalty(layer, params, a, outputs)
            made, passed = _fates(layer, m, a, len(flat))
            fates.extend(passed)
            return flat, new_state, made

        specs = [leaves[i] for i in places]
        outputs, new_state, made = jax.eval_shape(whole, params, state, specs)
    except JGraphError:
        raise
    except Exception as error:
        _check_arguments(layer, args, kwargs)
        raise ShapeError(
            repr(layer),
            expected="inputs that the layer can be applied to",
            got=without_tokens(f"{_shown((args, kwargs))}, on which it raised {_said(error)}"),
            cure=_cure(args, kwargs, error),
        ) from error
    if not outputs:
        raise SymbolError(
            repr(layer),
            expected="a layer that gives at least one array",
            got=f"one that gives {jax.tree.unflatten(out_tree[-1], ())!r}",
            cure="Return what it computes: `return outputs, state`.",
        )
    _same_state(layer, state, new_state)
    masks = tuple(fate if made[i] is None else made[i] for i, fate in enumerate(fates))
    return Inference(params, state, tuple(_strong(o) for o in outputs), out_tree[-1], masks)


def _pair(layer: Any, result: Any, method: str, first: str) -> tuple[Any, PyTree]:
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
        return result
    raise SymbolError(
        repr(layer),
        expected=f"{method} to return the pair ({first}, state)",
        got=type(result).__name__,
        cure=f"Write `return {first}, state`; the state is a dict, an empty one where there is nothing to keep.",
    )


def _check_made(layer: Any, params: PyTree, state: PyTree) -> None:
    """What `init` makes is nested dicts with string keys, of arrays whose sizes are known."""
    for word, tree in (("params", params), ("state", state)):
        for name, spec in leaves_with_names((tree,)):
            size = next((d for d in spec.shape if is_symbolic(d)), None)
            if size is not None:
                raise ShapeError(
                    f"{layer!r}, {word} {name[2:]!r}",
                    expected="sizes that do not depend on the batch or a free axis",
                    got=show(spec),
                    cure="Give the input that size instead of None, or share one entry along the axis.",
                )
        for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]:
            keys = [getattr(k, "key", None) for k in path]
            if not path or not all(isinstance(k, str) and "/" not in k for k in keys):
                raise KeyMismatchError(
                    f"{layer!r}, {word}",
                    expected="nested dicts with strings without '/' as keys",
                    got=show(tree) if not path else jax.tree_util.keystr(path),
                    cure=f"Return {{'name': array}} as the {word} of init.",
                )


def _check_arguments(layer: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Checks the number of arguments and the names of keywords, where something has failed already."""
    apply, given = inspect.signature(type(layer).apply), (None, None, None, *args)
    try:
        apply.bind(*given, **kwargs)
    except TypeError as error:
        own = [p for p in apply.parameters.values() if p.name not in ("self", "params", "state", "train", "key")]
        names = [p.name for p in own]
        odd = [k for k in kwargs if k not in names]
        raise ArgumentError(
            repr(layer),
            expected=f"the arguments {inspect.Signature([p.replace(annotation=p.empty) for p in own])}",
            got=str(error).removeprefix("got "),
            cure=(nearest(odd[0], names) if odd else "")
            + "Give several inputs as the layer's `apply` takes them; settings belong where the layer is made.",
        ) from error


def _cure(args: tuple, kwargs: dict[str, Any], error: Exception) -> str:
    """The usual reason for what failed: free axes that look alike in a message, or a list in the place of a tensor."""
    sizes = {str(d) for s in jax.tree.leaves((args, kwargs)) for d in getattr(s, "shape", ()) if is_symbolic(d)}
    names = set().union(*map(names_in, sizes)) - {"batch"}
    if len(names) > 1:
        return "Free axes are different axes; where they are the same, name them alike: jg.Input(('steps', 8))."
    if len(sizes - {"batch"}) > 1:
        return "Draw the axis so that all parts have one size, as a multiple: jg.Input(('4*steps', 8))."
    if isinstance(error, AttributeError) and any(isinstance(a, (list, tuple, dict)) for a in args):
        return "Give the layer one tensor where it takes one: jg.layers.concatenate(list) makes one of several."
    return "Compare the inputs with the layer's documentation" + (
        ", and give a free axis the size that it must have." if names else "."
    )


def _check_penalty(layer: Any, params: PyTree, inputs: tuple, outputs: PyTree) -> None:
    if layer.penalizes() and (shape := jax.numpy.shape(layer.penalty(params, inputs, outputs))):
        raise ShapeError(
            f"{layer!r}, penalty", expected="a scalar", got=f"shape {shape}", cure="Sum it up, or take the mean."
        )


def _same_state(layer: Any, state: PyTree, new_state: PyTree) -> None:
    before, after = (jax.tree.map(lambda s: (s.shape, s.dtype), t) for t in (state, new_state))
    if before != after:
        raise ShapeError(
            repr(layer),
            expected=f"apply to return a state like the one that init made: {before}",
            got=str(after),
            cure="A state never changes its leaves, shapes or dtypes.",
        )


def _fates(layer: Any, mask: Any, inputs: tuple, outputs: int) -> tuple[list, list]:
    """Per output leaf the mask that was computed, and the place of the incoming one that was handed on."""
    result = outgoing_masks(layer, mask, inputs, outputs)
    incoming = jax.tree.leaves(mask)
    passed = [next((i for i, m in enumerate(incoming) if m is r), None) for r in result]
    return [None if p is not None else r for p, r in zip(passed, result, strict=True)], passed


def outgoing_masks(layer: Any, mask: Any, inputs: tuple, outputs: int) -> list[Any]:
    """What `pass_mask` gives, one entry per output leaf: a single mask belongs to the first."""
    result = layer.pass_mask(mask, *inputs)
    result = list(result) if isinstance(result, (tuple, list)) else [result]
    return (result + [None] * outputs)[:outputs]


def init_options(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword inputs that the layer's `init` asks for: by name, or all of them."""
    asked = _parameters(type(layer).init)
    return kwargs if inspect.Parameter.VAR_KEYWORD in asked.values() else {k: kwargs[k] for k in kwargs if k in asked}


def takes_mask(kind: type) -> bool:
    """True where `apply` has a parameter `mask`."""
    return "mask" in _parameters(kind.apply)


@functools.lru_cache(maxsize=1024)
def _parameters(function: Any) -> dict[str, Any]:
    return {name: parameter.kind for name, parameter in inspect.signature(function).parameters.items()}


def _strong(spec: Any) -> Spec:
    return jax.ShapeDtypeStruct(spec.shape, spec.dtype)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: " + " ".join(str(error).split("\n\n")[0].split())[:400].rstrip(".")


def _shown(given: PyTree) -> str:
    """The specs with the tokens of their free axes, which one message then tells apart."""
    specs = [leaf for leaf in jax.tree.leaves(given) if isinstance(leaf, jax.ShapeDtypeStruct)]
    return ", ".join(f"{s.dtype}[{', '.join(map(str, s.shape))}]" for s in specs) or "nothing"
