"""A run as a tree of arrays and a record of plain values, and back: what a checkpoint holds."""

import contextlib
import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.errors import ResumeError, listing
from jgraph.train.state import Position, Run, TrainState
from jgraph.tree import leaves_with_names
from jgraph.typing import PyTree

PACKAGES = ("jgraph", "jax", "jaxlib", "optax", "orbax-checkpoint", "numpy")
CURE = "Resume with what the run began with, or begin another run in another directory."


def arrays_of(run: Run) -> dict[str, Any]:
    """The arrays of a run, copied to the host, as nested dicts: train state, sums, and those of the memories."""
    sums = {} if run.sums is None else {"sums": _host(run.sums)}
    memories = {name: _nest(memory, lambda leaf: not _plain(leaf)) for name, memory in run.memories.items()}
    kept = {name: memory for name, memory in memories.items() if memory}
    return {"train_state": _nest(run.train_state, lambda leaf: True), **sums, **({"memories": kept} if kept else {})}


def record_of(run: Run) -> dict[str, Any]:
    """What a run has beside arrays, as plain values."""
    memories = {
        name: {path: _value(leaf) for path, leaf in leaves_with_names(memory) if _plain(leaf)}
        for name, memory in run.memories.items()
    }
    return {
        "position": list(run.position),
        "history": run.history,
        "timings": run.timings,
        "events": list(run.events),
        "stopped": run.stopped,
        "seed": run.seed,
        "memories": memories,
        "versions": _versions(),
    }


def run_of(
    tree: Mapping[str, Any], record: Mapping[str, Any], template: TrainState, memories: Mapping[str, Callable[[], Any]]
) -> Run:
    """The run that was saved: a train state like the template, and the memories of the callbacks that go on.

    `memories` makes, for each callback that goes on, a memory of the structure that it had.

    Raises:
        ResumeError: a leaf is missing, one too many, or of another shape or dtype; all are named.
    """
    train_state = _fill(tree["train_state"], template, {}, "train_state")
    found = tree.get("memories", {})
    kept = {
        name: _fill(found.get(name, {}), make(), record["memories"].get(name, {}), f"memory of {name!r}")
        for name, make in memories.items()
    }
    sums = tree.get("sums")
    return Run(
        train_state,
        memories=kept,
        position=Position(*record["position"]),
        sums=None if sums is None else jnp.asarray(sums),
        history={name: list(values) for name, values in record["history"].items()},
        stopped=record["stopped"],
        timings={name: list(values) for name, values in record["timings"].items()},
        events=tuple(record["events"]),
        seed=record["seed"],
    )


def graph_hash(text: str) -> str:
    """The hash of a model's JSON."""
    return hashlib.sha256(text.encode()).hexdigest()


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


def check_leaves(directory: str, tree: Mapping[str, Any], template: PyTree) -> None:
    """Compares the leaves of a saved train state with those that a trainer makes.

    Raises:
        ResumeError: some are missing, too many, or of another shape or dtype; all of them are named, and nothing else.
    """
    saved = {name: (tuple(a.shape), str(a.dtype)) for name, a in leaves_with_names(tree)}
    wanted = {name: (tuple(s.shape), str(s.dtype)) for name, s in leaves_with_names(_specs(template))}
    differing = [name for name in {**saved, **wanted} if saved.get(name) != wanted.get(name)]
    if own := [name for name in differing if not name.startswith("opt_state/")]:
        differing = sorted(own, key=lambda name: not name.startswith("params/"))  # the optimizer's follow from these
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
            cure="It is another model. " + CURE,
        )


def _specs(template: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf, template)


def _fill(tree: Mapping[str, Any], template: PyTree, values: Mapping[str, Any], where: str) -> PyTree:
    """A tree like the template, its leaves taken from nested dicts of arrays and from values by path."""
    found, filled = {**dict(leaves_with_names(tree)), **values}, []
    names = [name for name, _ in leaves_with_names(template)]
    if set(names) != set(found):
        got = listing(sorted(set(names) ^ set(found)))
        raise ResumeError(where, expected="the leaves that were saved", got=f"a difference in {got}", cure=CURE)
    for name, like in leaves_with_names(template):
        value = found[name]
        if _is_key(like):
            filled.append(jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(like)))
        elif isinstance(like, jax.Array | jax.ShapeDtypeStruct):
            filled.append(jnp.asarray(value))
        elif isinstance(like, np.ndarray | np.generic):
            filled.append(
                np.asarray(value, like.dtype)[()] if isinstance(like, np.generic) else np.asarray(value, like.dtype)
            )
        else:
            filled.append(type(like)(value))
    return jax.tree.unflatten(jax.tree.structure(template), filled)


def _nest(tree: PyTree, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """The wanted leaves on the host, as nested dicts by path."""
    nested: dict[str, Any] = {}
    for name, leaf in leaves_with_names(tree):
        if wanted(leaf):
            *path, last = name.split("/")
            place = nested
            for part in path:
                place = place.setdefault(part, {})
            place[last] = _host(leaf)
    return nested


def _host(leaf: Any) -> np.ndarray:
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
