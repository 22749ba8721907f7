"""Taking what has been learnt from one model to another: params, state, optimizer state, or a whole train state."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from jgraph.core.model import Model
from jgraph.errors import ArgumentError, KeyMismatchError, listing
from jgraph.tree import leaves_with_names, name_of, put
from jgraph.typing import PyTree

KINDS = ("params", "state")


class Carried(NamedTuple):
    """What `carry` gives: the tree, and the paths of the leaves that it could not take and those it had no use for."""

    tree: PyTree
    new: tuple[str, ...]
    dropped: tuple[str, ...]


def carry(old_model: Any, new_model: Any, tree: PyTree, start: PyTree = None) -> Carried:
    """Carries a tree of an old model over to a new one: params, state, or anything that holds trees like these.

    A layer that both models have, as after an edit, is found wherever it lives now; of models without a layer in
    common, as after loading, the paths decide. A leaf stays where its layer, its name and its shape stay. `start`, a
    tree of the new model such as `new_model.init(key)[0]` or `new_trainer.init(key)`, gives the form of the result and
    the values of what is new; without it, what is new is left out. The result holds the old arrays themselves.

    Raises:
        KeyMismatchError: the tree holds no params or state of the old model, or `start` none of the new one.
        ArgumentError: one of the two is no model.

    >>> import jax, jgraph as jg
    >>> old = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3, name="body"), jg.layers.Dense(2, name="head")])
    >>> params, state = old.init(jax.random.key(0))
    >>> new = old.replace("head", jg.layers.Dense(5))
    >>> carried = jg.carry(old, new, params, start=new.init(jax.random.key(1))[0])
    >>> carried.new, carried.dropped
    (('head/bias', 'head/kernel'), ('head/bias', 'head/kernel'))
    >>> carried.tree["body"]["kernel"] is params["body"]["kernel"]
    True
    """
    for model in (old_model, new_model):
        if not isinstance(model, Model):
            cure = "Write jg.carry(old_model, new_model, params)."
            raise ArgumentError("carry", expected="two models and a tree", got=type(model).__name__, cure=cure)
    branches = _Branches(old_model, new_model)
    result = _moved(branches, tree, "tree", old_model)
    if start is not None:
        _moved(_Branches(new_model, new_model), start, "start", new_model)
        return _filled(start, branches.found, branches.dropped)
    return Carried(result, tuple(branches.missing()), tuple(branches.dropped))


def _moved(branches: "_Branches", tree: PyTree, where: str, model: Model) -> PyTree:
    """The tree with its branches moved, of which there must be one."""
    result = jax.tree_util.tree_map_with_path(branches.moved, tree, is_leaf=branches.is_one)
    if not branches.taken:
        raise KeyMismatchError(
            f"carry, {where}",
            expected=f"params or state of {model!r}, or what holds such trees",
            got=f"the leaves {listing((name for name, _ in leaves_with_names(tree)), 6)}",
            cure="Give the trees that belong to that model.",
        )
    return result


class _Branches:
    """Moves the branches of a tree that are params or state; gathers what it found by its new path, and what not."""

    def __init__(self, old: Any, new: Any) -> None:
        self.moves = {kind: dict(_moves(old, new, kind)) for kind in KINDS}
        self.known = {kind: _leaves(old, kind) for kind in KINDS}
        self.wanted = {kind: _leaves(new, kind) for kind in KINDS}
        self.found: dict[str, Any] = {}
        self.dropped: list[str] = []
        self.taken: dict[str, tuple[str, set[str]]] = {}

    def kind_of(self, branch: Any) -> str | None:
        """Whether nested dicts are params or state of the old model, or a part of them."""
        if not isinstance(branch, dict):
            return None
        names = {name for name, _ in leaves_with_names(branch)}
        if not names:  # the tree of a model that has nothing of this kind, or no tree of a model
            return next((kind for kind in KINDS if not branch and not self.known[kind]), None)
        return next((kind for kind in KINDS if names <= self.known[kind].keys()), None)

    def is_one(self, branch: Any) -> bool:
        """Whether this is such a branch."""
        return self.kind_of(branch) is not None

    def moved(self, path: Any, branch: Any) -> Any:
        """Such a branch as one of the new model; any other leaf as it is."""
        prefix, kind = name_of(path), self.kind_of(branch)
        if kind is None:
            self.found[prefix] = branch
            return branch
        made: dict[str, Any] = {}
        _, taken = self.taken[prefix] = kind, set()
        for name, leaf in leaves_with_names(branch, is_leaf=lambda below: not isinstance(below, dict)):
            is_array = bool(jax.tree.leaves(leaf))  # where optax masks a leaf, there is none
            if name in self.moves[kind]:
                *above, last = self.moves[kind][name]
                put(made, above, {last: leaf})
                taken.add("/".join((*above, last)))
                self.found |= {_joined(prefix, "/".join((*above, last))): leaf} if is_array else {}
            elif is_array:
                self.dropped.append(_joined(prefix, name))
        return made

    def missing(self) -> Iterator[str]:
        """What the new model has beyond what its branches have been given."""
        for prefix, (kind, taken) in self.taken.items():
            yield from (_joined(prefix, name) for name in self.wanted[kind] if name not in taken)


def _filled(start: PyTree, found: dict[str, Any], dropped: list[str]) -> Carried:
    """The tree that a new model begins with, with all that was found of the old one."""
    new: list[str] = []
    used: set[str] = set()

    def chosen(path: Any, leaf: Any) -> Any:
        name = name_of(path)
        old = found.get(name)
        if old is None or getattr(old, "shape", None) != getattr(leaf, "shape", None):
            new.append(name)
            return leaf
        used.add(name)
        same = getattr(old, "dtype", None) == getattr(leaf, "dtype", None)
        return old if same else old.astype(leaf.dtype)

    tree = jax.tree_util.tree_map_with_path(chosen, start)
    return Carried(tree, tuple(new), (*dropped, *(name for name in found if name not in used)))


def _moves(old: Any, new: Any, kind: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Where each leaf of the old model's tree goes in the new one's."""
    before = {node.layer: node for node in old.nodes if node.call == 0}
    by_path = {node.path: node for node in before.values()}
    shared = any(node.layer in before for node in new.nodes)
    for node in new.nodes:
        source = before.get(node.layer) if shared else by_path.get(node.path)
        if node.call or source is None:
            continue
        want = dict(leaves_with_names(getattr(node.inference, kind)))
        for name, spec in leaves_with_names(getattr(source.inference, kind)):
            if name in want and want[name].shape == spec.shape:
                yield f"{source.path}/{name}", (*node.names, *name.split("/"))


def _leaves(model: Any, kind: str) -> dict[str, Any]:
    return dict(leaves_with_names(getattr(model, f"{kind}_spec")))


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name
