"""Taking what has been learnt from one model to another: params, state, optimizer state, or a whole train state."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax

from jgraph.core.model import Model
from jgraph.errors import ArgumentError, KeyMismatchError, listing
from jgraph.tree import leaves_with_names, match, name_of, put
from jgraph.typing import PyTree

KINDS = ("params", "state")
STATES = ("1", "state", "model_state")  # where a pair or a train state has the model's state
TREE_CURE = "Give the trees that belong to that model; an empty one is that of a model that has none."


class Carried(NamedTuple):
    """What `carry` gives: the tree, and the paths of the leaves that it could not take and those it had no use for."""

    tree: PyTree
    new: tuple[str, ...]
    dropped: tuple[str, ...]


def carry(old_model: Any, new_model: Any, tree: PyTree, start: PyTree = None) -> Carried:
    """Carries a tree of an old model over to a new one: params, state, or anything that holds trees like these.

    A layer that both models have, as after an edit, is found wherever it lives now, adapted by `jg.lora` too; of models
    without a layer in common, as after loading, the paths decide. A leaf stays where its layer, its name and its shape
    stay. `start`, a tree of the new model such as `new_model.init(key)[0]` or `new_trainer.init(key)`, gives the form
    of the result and the values of what is new; without it, what is new is left out. The result holds the old arrays
    themselves.

    `start` is of the form of the tree: params for params, a pair for a pair, a train state for a train state. An empty
    tree is the params or the state of a model that has none; where the old model has neither, `start` says which of
    the two is meant, and without `start` it is the params.

    Raises:
        KeyMismatchError: the tree holds no params or state of the old model; `start` is of another form, or lacks
            leaves of the new model other than those that an optimizer does not see, as of frozen layers.
        ShapeError: params or state in `start` have other shapes than the new model's.
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
    for name, model in (("old_model", old_model), ("new_model", new_model)):
        if not isinstance(model, Model):
            cure, got = "Write jg.carry(old_model, new_model, params).", type(model).__name__
            raise ArgumentError(f"carry, {name}", expected="two models and a tree", got=got, cure=cure)
    branches = _Branches(old_model, new_model)
    cure = "Give run.train_state." if getattr(tree, "train_state", None) is not None else TREE_CURE
    result = _moved(branches, tree, "tree", old_model, cure)
    if start is not None:
        _check_start(branches.taken, start, new_model)
        return _filled(start, branches.found, branches.dropped)
    return Carried(result, tuple(branches.missing()), tuple(branches.dropped))


class _Taken(NamedTuple):
    """A branch of a tree: what it can be, the likely kind first, the paths of its leaves in the new model, itself."""

    kinds: tuple[str, ...]
    names: set[str]
    branch: PyTree


def _moved(branches: "_Branches", tree: PyTree, where: str, model: Model, cure: str) -> PyTree:
    """The tree with its branches moved, of which there must be one."""
    result = jax.tree_util.tree_map_with_path(branches.moved, tree, is_leaf=branches.is_one)
    if not branches.taken:
        raise KeyMismatchError(
            f"carry, {where}",
            expected=f"params or state of {model!r}, or what holds such trees",
            got=_shown(tree),
            cure=cure,
        )
    return result


def _check_start(taken: dict[str, _Taken], start: PyTree, model: Model) -> None:
    """Checks that `start` holds a tree of the new model wherever the tree held one of the old model."""
    begun, cure = _Branches(model, model), _cure_of_start(taken)
    _moved(begun, start, "start", model, cure)
    unseen = [node.path for node in model.nodes if not node.treatment.trainable]
    for prefix, old in taken.items():
        where = f"carry, start{prefix and f', {prefix!r}'}"
        new = begun.taken.get(prefix)
        kind = next((kind for kind in old.kinds if new and kind in new.kinds), old.kinds[0])
        whole = kind == "state" or prefix in ("", "params") or (prefix == "0" and _are_pair(taken))
        if kind not in new.kinds if new else whole:
            got = f"{new.kinds[0]}, {_shown(new.branch)}" if new else _shown(start)
            raise KeyMismatchError(where, expected=f"{kind} of {model!r}, as in the tree", got=got, cure=cure)
        if new is None and "params" in taken and "params" in begun.taken:  # a train state of another optimizer
            continue
        if new and whole:
            match(new.branch, getattr(model, f"{kind}_spec"), where, cure)
            continue
        held, empty = new.names if new else (), [*unseen, *_empty_below(start, prefix)]
        lacking = [name for name in begun.wanted[kind] if name not in held and not _is_below(name, empty)]
        if lacking:
            got = "a tree without it"
            raise KeyMismatchError(where, expected=f"the leaf {listing(lacking)}", got=got, cure=cure)


def _are_pair(taken: dict[str, _Taken]) -> bool:
    """Whether these are the branches of `(params, state)`."""
    return [*taken] == ["0", "1"] and "params" in taken["0"].kinds and "state" in taken["1"].kinds


def _cure_of_start(taken: dict[str, _Taken]) -> str:
    """What to give for a tree with these branches."""
    if "" in taken:
        return f"Give {' or '.join(f'new_model.init(key)[{KINDS.index(kind)}]' for kind in taken[''].kinds)}."
    if _are_pair(taken):
        return "Give new_model.init(key)."
    return "Give new_trainer.init(key), or the part of it that the tree is of the old one."


def _empty_below(tree: PyTree, prefix: str) -> Iterator[str]:
    """The paths, from `prefix` on, at which a tree holds no arrays: what optax masks, or a dict that is left empty."""
    for name, node in leaves_with_names(tree, is_leaf=lambda node: not jax.tree.leaves(node)):
        if not jax.tree.leaves(node) and f"{name}/".startswith(f"{prefix}/" if prefix else ""):
            yield name[len(prefix) :].removeprefix("/")


def _is_below(name: str, paths: Iterable[str]) -> bool:
    return any(f"{name}/".startswith(f"{path}/" if path else "") for path in paths)


def _shown(tree: PyTree) -> str:
    """The leaves of a tree, or what it is where it is no tree of several."""
    names = [name for name, _ in leaves_with_names(tree)]
    return f"a {type(tree).__name__}" if names == [""] else f"the leaves {listing(names, 6)}"


class _Branches:
    """Moves the branches of a tree that are params or state; gathers what it found by its new path, and what not."""

    def __init__(self, old: Any, new: Any) -> None:
        self.moves = {kind: dict(_moves(old, new, kind)) for kind in KINDS}
        self.known = {kind: _leaves(old, kind) for kind in KINDS}
        self.wanted = {kind: _leaves(new, kind) for kind in KINDS}
        self.found: dict[str, Any] = {}
        self.dropped: list[str] = []
        self.taken: dict[str, _Taken] = {}

    def kinds_of(self, prefix: str, branch: Any) -> tuple[str, ...]:
        """What nested dicts are of the old model, params or state, or a part of them; the likely kind first."""
        if not isinstance(branch, dict):
            return ()
        names = {name for name, _ in leaves_with_names(branch)}
        if not names:  # the tree of a model that has nothing of this kind, or no tree of a model
            fitting = [kind for kind in KINDS if not branch and not self.known[kind]]
        else:
            fitting = [kind for kind in KINDS if names <= self.known[kind].keys()]
        return tuple(reversed(fitting) if prefix in STATES else fitting)

    def is_one(self, branch: Any) -> bool:
        """Whether this is such a branch."""
        return bool(self.kinds_of("", branch))

    def moved(self, path: Any, branch: Any) -> Any:
        """Such a branch as one of the new model; any other leaf as it is."""
        prefix = name_of(path)
        kinds = self.kinds_of(prefix, branch)
        if not kinds:
            self.found[prefix] = branch
            return branch
        made: dict[str, Any] = {}
        kind, taken = kinds[0], set[str]()
        self.taken[prefix] = _Taken(kinds, taken, branch)
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
        for prefix, taken in self.taken.items():
            yield from (_joined(prefix, name) for name in self.wanted[taken.kinds[0]] if name not in taken.names)


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
    before = {node.layer.weights_of(): node for node in old.nodes if node.call == 0}
    by_path = {node.path: node for node in before.values()}
    shared = any(node.layer.weights_of() in before for node in new.nodes)
    for node in new.nodes:
        source = before.get(node.layer.weights_of()) if shared else by_path.get(node.path)
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
