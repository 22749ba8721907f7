"""Taking a sub-model's part out of another model's tree, without ever mixing two layers' weights."""

from typing import Any

from jgraph.core.layer import Layer
from jgraph.errors import ArgumentError, KeyMismatchError, listing
from jgraph.tree import leaves_with_names, match, read, write
from jgraph.typing import PyTree


def select(model: Any, tree: PyTree, of: Any) -> PyTree:
    """The leaves of `tree` that belong to `model`, under the names that `model` gives them.

    With `of`, the model that `tree` belongs to, a layer that both models hold is found wherever it lives there.
    Otherwise, as after loading the two separately, it is found by path, provided the path was handed on or chosen by
    hand: a `dense_1` that the smaller model counted anew may be any layer of the larger one.

    Raises:
        KeyMismatchError: the tree has no such part, or nothing says which part is meant.
        ShapeError: the part has other shapes.
        ArgumentError: `of` is no model.
    """
    if of is not None and not _is_model(of):
        cure = "Write sub.select(tree, of=model), with the model that the tree belongs to."
        raise ArgumentError(f"{model!r}.select, of", expected="a model", got=repr(of)[:80], cure=cure)
    if not isinstance(tree, dict):
        expected, cure = "params or state, nested dicts", "Write sub.select(params, of=model)."
        raise ArgumentError(f"{model!r}.select, tree", expected=expected, got=repr(tree)[:80], cure=cure)
    kind = _kind(model, tree, of)
    homes = {node.layer: node.names for node in of.nodes} if of else {}
    nodes = [n for n in model.nodes if n.call == 0 and getattr(n.inference, kind)]
    by_layer = any(n.layer in homes for n in nodes)
    anew = [n.path for n in nodes if n.layer.name is None and n.path not in model.graph.kept]
    taken: dict[str, Any] = {}
    for node in nodes:
        if by_layer and node.layer not in homes:
            raise KeyMismatchError(
                f"{model!r}.select",
                expected=f"every layer to be one of {of!r}",
                got=f"{node.path!r} ({node.layer!r}), which is not",
                cure="Cut the sub-model from the symbols of that model: model.output_of(path).",
            )
        home = homes[node.layer] if by_layer else node.names
        spec = getattr(node.inference, kind)
        part = {k: v for k, v in read(tree, home).items() if k in spec}
        match(part, spec, f"{model!r}.select, {'/'.join(home)!r}", "Give the tree that holds this layer.")
        write(taken, node.names, part)
    if anew and not by_layer and len(leaves_with_names(tree)) > len(leaves_with_names(taken)):
        raise KeyMismatchError(
            f"{model!r}.select",
            expected="of=the model that the tree belongs to, with layers in common",
            got=f"a larger tree, and names that this model counted anew: {listing(anew)}",
            cure="Write sub.select(tree, of=model), or cut the sub-model from model.inputs and model.output_of(path).",
        )
    return taken


def _is_model(given: Any) -> bool:
    return isinstance(given, Layer) and given.is_graph


def _kind(model: Any, tree: PyTree, of: Any) -> str:
    """Whether a tree is params or state, by the names of its leaves."""
    got = {name for name, _ in leaves_with_names(tree)}
    whole = of or model
    for kind in ("params", "state"):
        want = {name for name, _ in leaves_with_names(getattr(whole, f"{kind}_spec"))}
        if want == got or (of is None and want and want <= got):
            return kind
    if of is None and not model.state_spec:
        return "state" if not got & {name for name, _ in leaves_with_names(model.params_spec)} else "params"
    want = {name for name, _ in leaves_with_names(whole.params_spec)}
    raise KeyMismatchError(
        f"{model!r}.select",
        expected=f"the params or the state of {whole!r}",
        got=f"missing {listing(sorted(want - got))} and extra {listing(sorted(got - want))}",
        cure="Give the whole tree of the model that this one was cut from.",
    )
