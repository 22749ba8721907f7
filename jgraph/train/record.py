"""A run as a tree of arrays and a record of plain values, and back: what a checkpoint holds."""

import contextlib
import functools
import importlib.metadata
import platform
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import LoadError, ResumeError, listing
from jgraph.storage.verified import CURE as DAMAGED
from jgraph.train.hooks import form
from jgraph.train.places import place_of, plain_place
from jgraph.train.state import Position, Run, TrainState
from jgraph.tree import leaves_with_names, name_of
from jgraph.typing import PyTree

PACKAGES = ("jgraph", "jax", "jaxlib", "optax", "orbax-checkpoint", "numpy")
BESIDE = ("opt_state/", "balance/", "loss_scale/", "ema/")
"""What a trainer adds to a model in a train state."""

CURE = "Resume with what the run began with, or begin another run in another directory."


def arrays_of(run: Run) -> dict[str, Any]:
    """The arrays of a run, copied to the host: train state by path, sums, and those of the memories by number."""
    memories = {
        name: {str(place): host(leaf) for place, leaf in enumerate(jax.tree.leaves(memory)) if not _plain(leaf)}
        for name, memory in run.memories.items()
    }
    tree = {"train_state": _nest(run.train_state), "memories": {n: m for n, m in memories.items() if m}}
    if run.sums is not None:
        tree["sums"] = host(run.sums)
    return {name: part for name, part in tree.items() if name != "memories" or part}


def record_of(run: Run) -> dict[str, Any]:
    """What a run has beside arrays, as plain values.

    Raises:
        SaveError: the data have told a position that no file can hold.
    """
    key = run.train_state.key
    memories = {
        name: {
            "form": list(form(memory).items()),
            "values": {str(n): _value(leaf) for n, leaf in enumerate(jax.tree.leaves(memory)) if _plain(leaf)},
        }
        for name, memory in run.memories.items()
    }
    return {
        "position": list(run.position),
        "history": run.history,
        "timings": run.timings,
        "events": list(run.events),
        "stopped": run.stopped,
        "seed": run.seed,
        "frozen": list(run.frozen),
        "place": None if run.place is None else plain_place(run.place),
        "key_impl": str(jax.random.key_impl(key)) if _is_key(key) else None,
        "memories": memories,
        "versions": _versions(),
    }


def check_record(where: str, tree: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Checks the form of what a checkpoint says of its run, whoever wrote it.

    Raises:
        LoadError: a part is missing, or is nothing that a run has; it is named.
    """
    texts, flat = (lambda x: isinstance(x, str)), (lambda x: isinstance(x, int | float))
    told = {
        "model": texts,
        "graph": texts,
        "identity": lambda x: isinstance(x, dict),
        "callbacks": lambda x: _each(x, dict, lambda y: isinstance(y, dict)),
        "position": lambda x: _each(x, list, lambda y: type(y) is int and 0 <= y < 2**63) and len(x) == 2,
        "history": lambda x: _each(x, dict, lambda y: _each(y, list, flat)),
        "timings": lambda x: _each(x, dict, lambda y: _each(y, list, flat)),
        "events": lambda x: _each(x, list, texts),
        "stopped": lambda x: x is None or isinstance(x, str),
        "seed": lambda x: type(x) is int,
        "key_impl": lambda x: x is None or _is_implementation(x),
        "memories": lambda x: _each(x, dict, _is_memory),
        **({"frozen": lambda x: _each(x, list, texts)} if "frozen" in record else {}),
    }
    wrong = [name for name, fits in told.items() if name not in record or not fits(record[name])]
    wrong += ["train_state"] if not isinstance(tree.get("train_state"), dict) else []
    wrong += ["memories"] if not _each(tree.get("memories", {}), dict, lambda x: isinstance(x, dict)) else []
    wrong += ["sums"] if isinstance(tree.get("sums"), dict) else []
    if wrong:
        got = f"something else in {listing(wrong)}"
        raise LoadError(where, expected="the record of a run", got=got, cure=DAMAGED)


def _each(value: Any, kind: type, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, kind) and all(fits(item) for item in (value.values() if kind is dict else value))


def _is_memory(value: Any) -> bool:
    pairs = _each(value, dict, lambda _: True) and {*value} == {"form", "values"} and isinstance(value["values"], dict)
    return pairs and _each(value["form"], list, lambda x: _each(x, list, lambda y: isinstance(y, str)) and len(x) == 2)


def _is_implementation(name: Any) -> bool:
    try:
        key_like(name)
    except (TypeError, ValueError):
        return False
    return isinstance(name, str)


def key_like(implementation: str | None) -> Any:
    """A key of the implementation that a record names; `None` stands for the numbers of `jax.random.PRNGKey`."""
    return jax.random.PRNGKey(0) if implementation is None else jax.random.key(0, impl=implementation)


def run_of(
    tree: Mapping[str, Any], record: Mapping[str, Any], template: TrainState, memories: Mapping[str, PyTree]
) -> Run:
    """The run that was saved: a train state like the template, and memories like those of the callbacks that go on.

    Raises:
        ResumeError: a memory has another form than the callback's. LoadError: its values do not have it.
    """
    found = dict(leaves_with_names(tree["train_state"]))
    leaves = [_like(leaf, found[name]) for name, leaf in leaves_with_names(template)]
    kept = {
        name: _memory(name, record["memories"][name], tree.get("memories", {}).get(name, {}), like)
        for name, like in memories.items()
    }
    sums = tree.get("sums")
    return Run(
        jax.tree.unflatten(jax.tree.structure(template), leaves),
        memories=kept,
        position=Position(*record["position"]),
        sums=None if sums is None else jnp.asarray(sums),
        history={name: list(values) for name, values in record["history"].items()},
        stopped=record["stopped"],
        timings={name: list(values) for name, values in record["timings"].items()},
        events=tuple(record["events"]),
        seed=record["seed"],
        frozen=tuple(record.get("frozen", ())),
        place=None if (place := record.get("place")) is None else place_of(place),
    )


def _memory(name: str, saved: Mapping[str, Any], arrays: Mapping[str, Any], like: PyTree) -> PyTree:
    """A memory of the form of another, from what was saved of it."""
    if (was := [tuple(pair) for pair in saved["form"]]) != (now := list(form(like).items())):
        differing = [pair for pair in [*was, *now] if (pair in was) != (pair in now)][:8]
        raise ResumeError(
            f"fit, resume, memory of {name!r}",
            expected="the form that was saved",
            got=f"a difference in {', '.join(f'{path or name}: {kind}' for path, kind in differing) or 'the order'}",
            cure="Give the callback another name=, and it starts afresh.",
        )
    values, likes = {**arrays, **saved["values"]}, jax.tree.leaves(like)
    try:
        leaves = [_like(leaf, values[str(place)]) for place, leaf in enumerate(likes)]
        same = [type(_value(leaf)) is type(values[str(n)]) for n, leaf in enumerate(likes) if _plain(leaf)]
    except (KeyError, OverflowError, TypeError, ValueError):
        leaves, same = [], []
    memory = jax.tree.unflatten(jax.tree.structure(like), leaves) if all(same) and len(leaves) == len(likes) else None
    if memory is None or form(memory) != form(like):
        expected, got = "values of the form that was saved with them", "others"
        raise LoadError(f"fit, resume, memory of {name!r}", expected=expected, got=got, cure=DAMAGED)
    return memory


def check_same(directory: str, saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Compares what a checkpoint says of its run with what `fit` is given.

    Raises:
        ResumeError: something differs; all of it is named.
    """
    differing = [name for name in {**saved, **given} if saved.get(name) != given.get(name)]
    if differing:
        raise ResumeError(
            f"fit, resume={directory!r}",
            expected="; ".join(f"{name}: {_short(saved.get(name))}" for name in differing),
            got="; ".join(f"{name}: {_short(given.get(name))}" for name in differing),
            cure=CURE,
        )


def check_leaves(directory: str, tree: Mapping[str, Any], template: PyTree, optimizer: bool = True) -> None:
    """Compares the leaves of a saved train state with those that a trainer makes, those beside the model too or not.

    Raises:
        ResumeError: some are missing, too many, or of another shape or dtype; all of them are named, and nothing else.
    """
    saved = {name: (tuple(a.shape), str(a.dtype)) for name, a in leaves_with_names(tree)}
    wanted = {name: (tuple(s.shape), str(s.dtype)) for name, s in leaves_with_names(_specs(template))}
    differing = [name for name in {**saved, **wanted} if saved.get(name) != wanted.get(name)]
    own = [name for name in differing if not name.startswith(BESIDE)]
    if own or not optimizer:
        differing = sorted(own, key=lambda name: not name.startswith("params/"))  # all others follow from these
    if differing:

        def show(found: Mapping[str, Any]) -> str:
            return "; ".join(
                f"{name}: " + ("no leaf" if name not in found else f"{found[name][1]}{list(found[name][0])}")
                for name in differing[:12]
            )

        more = f" (and {len(differing) - 12} more)" if len(differing) > 12 else ""
        raise ResumeError(
            f"fit, resume={directory!r}",
            expected=show(saved) + more,
            got=show(wanted),
            cure="It is another model. " * bool(own) + CURE,
        )


def check_sums(sums: Any, spec: Any) -> None:
    """Checks that the saved sums of an unfinished epoch, if there are any, are those of this trainer.

    Raises:
        ResumeError: they have another shape or dtype.
    """
    if sums is not None and (sums.shape, sums.dtype) != (spec.shape, spec.dtype):
        expected, got = (f"{one.dtype}{list(one.shape)}" for one in (spec, sums))
        raise ResumeError("fit, resume, sums of an epoch", expected=expected, got=got, cure=CURE)


def _specs(template: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf, template)


def _like(leaf: Any, value: Any) -> Any:
    """A saved value as the kind of leaf that it was."""
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(leaf))
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return jnp.asarray(value)
    if isinstance(leaf, np.generic):
        return np.asarray(value, leaf.dtype)[()]
    return np.asarray(value, leaf.dtype) if isinstance(leaf, np.ndarray) else type(leaf)(value)


def _nest(tree: PyTree) -> dict[str, Any]:
    """The leaves on the host, as nested dicts by path."""
    nested: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        *above, last = (name_of((key,)) for key in path)
        place = nested
        for name in above:
            place = place.setdefault(name, {})
        place[last] = host(leaf)
    return nested


def host(leaf: Any) -> np.ndarray:
    """A copy of an array on the host; of a key, its numbers."""
    return np.array(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> bool:
    """Whether a leaf is one number, which a record holds exactly."""
    return isinstance(leaf, bool | int | float | str | np.bool_ | np.integer | np.floating)


def _value(leaf: Any) -> Any:
    return leaf.item() if isinstance(leaf, np.generic) else leaf


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@functools.cache
def _versions() -> dict[str, str | None]:
    """The versions of what has made a checkpoint."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
