"""Calling the hooks of callbacks, checking what they give back, and applying what they ask for to a run."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.errors import ArgumentError, CallbackError, JGraphError
from jgraph.train.actions import Action, Freeze, Restore, Save, ScaleLearningRate, SetLearningRate, Stop
from jgraph.train.callback import Callback, Event
from jgraph.train.learning_rate import KNOW_THE_RATE, inexact
from jgraph.train.state import Run, fresh_copy
from jgraph.train.step import Step
from jgraph.tree import leaves_with_names, match
from jgraph.typing import PyTree

Asked = list[tuple[str, Action]]

CURE = "Mend the callback; the error's `run` is the run until then."
ENDING = ("on_train_end", "on_exception")
"""After these hooks a save holds the run as it was before them: a resumed run goes on as if it had never ended."""


def has_hook(callback: Callback, hook: str) -> bool:
    """Whether a callback does something in a hook."""
    return getattr(type(callback), hook) is not getattr(Callback, hook)


def ask(
    callbacks: Mapping[str, Callback], hook: str, memories: Mapping[str, PyTree], now: Callable[[], Event]
) -> tuple[dict, Asked]:
    """Calls a hook of callbacks, in their order: all next memories, and the actions, each with its callback's name.

    Raises:
        CallbackError: a hook raised an error, or gave back something else than its memory and a list of actions.
    """
    after, asked = dict(memories), []
    if not callbacks:
        return after, asked
    event = now()
    for name, callback in callbacks.items():
        where = f"callback {name!r}, {hook} at epoch {event.epoch + 1}, step {event.step}"
        try:
            result = getattr(callback, hook)(after[name], event)
        except CallbackError as error:  # it says itself what is wrong, and how to mend it
            raise CallbackError(where, expected=error.expected, got=error.got, cure=error.cure) from error
        except Exception as error:
            got = f"{type(error).__name__}: {error}".removesuffix(".")
            raise CallbackError(where, expected="no error", got=got, cure=CURE) from error
        before = after[name]
        after[name], actions = _checked(where, result, before)
        if after[name] is not before:
            _check_kept(where, after[name], event)
        asked += [(name, action) for action in actions]
    return after, asked


def _checked(where: str, result: Any, before: PyTree) -> tuple[PyTree, Sequence[Action]]:
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], list | tuple):
        got = type(result).__name__ if not isinstance(result, tuple) else f"a tuple of {len(result)}"
        if isinstance(result, tuple) and len(result) == 2:
            got = f"(memory, {type(result[1]).__name__})"
        cure = "Write `return memory, []`, with the actions in the list."
        raise CallbackError(where, expected="(memory, actions)", got=got, cure=cure)
    memory, actions = result
    for action in actions:
        if not isinstance(action, Action):
            cure = "Return actions such as jg.callbacks.Stop('enough')."
            raise CallbackError(where, expected="actions of jg.callbacks", got=repr(action)[:80], cure=cure)
    if memory is not before and _outline(before) != _outline(memory):
        differing = sorted(map(str, set(form(before).items()) ^ set(form(memory).items())))
        raise CallbackError(
            where,
            expected="a memory of the structure, shapes and dtypes that `init` gave it",
            got=f"a difference in {', '.join(differing[:4])}",
            cure="Keep the memory's form: a float stays a float, an array its shape.",
        )
    return memory, actions


def _check_kept(where: str, memory: PyTree, event: Event) -> None:
    """Checks that a memory holds no array of the event's train state, which the next dispatch takes over."""
    taken = {id(leaf) for leaf in jax.tree.leaves(event.train_state)}
    if any(id(leaf) in taken for leaf in jax.tree.leaves(memory) if isinstance(leaf, jax.Array)):
        raise CallbackError(
            where,
            expected="copies of what the memory keeps of event.train_state",
            got="its own arrays, which the next step takes over",
            cure="Keep jax.tree.map(jnp.copy, event.train_state).",
        )


def _outline(tree: PyTree) -> tuple[Any, list[Any]]:
    """The form of a memory for comparing, which is done at every event."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.dtype, leaf.shape) if hasattr(leaf, "dtype") else type(leaf) for leaf in leaves]


def form(tree: PyTree) -> dict[str, str]:
    """The form of a memory: shape and dtype of each array, and the type of everything else, by path."""
    return {
        name: f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "dtype") else type(leaf).__name__
        for name, leaf in leaves_with_names(tree)
    }


def apply(run: Run, name: str, action: Action, step: Step, frozen: Callable[[tuple[str, ...]], Any]) -> tuple[Run, str]:
    """Applies an action that changes the run: the next run, and a sentence that says what was done.

    `frozen` makes what trains with some patterns frozen, and raises where that cannot be.

    Raises:
        CallbackError: the action cannot be applied to this run.
    """
    reason = getattr(action, "reason", "")
    state, why = run.train_state, f" ({reason})" if reason else ""
    try:
        if isinstance(action, Stop):
            return dataclasses.replace(run, stopped=run.stopped or action.reason), f"{name}: stops: {action.reason}"
        if isinstance(action, Restore):
            cure = "Give a train state of this run."
            match(action.train_state, state, "Restore, train_state", cure)
            if _outline(action.train_state) != _outline(state):
                raise ArgumentError("Restore", expected="the dtypes of this run", got="others", cure=cure)
            back = fresh_copy(action.train_state).replace(step=state.step)
            return dataclasses.replace(run, train_state=back), f"{name}: restores a train state{why}"
        if isinstance(action, Freeze):
            if action.pattern in run.frozen:
                return run, ""
            frozen(patterns := (*run.frozen, action.pattern))
            return dataclasses.replace(run, frozen=patterns), f"{name}: freezes {action.pattern!r}{why}"
        assert isinstance(action, ScaleLearningRate | SetLearningRate), "Save, Write and Evaluate change no run"
        scale = _scale(action, step, run)
    except JGraphError as error:
        raise CallbackError(f"callback {name!r}", expected=error.expected, got=error.got, cure=error.cure) from error
    before = _rate(step, run)
    run = dataclasses.replace(run, train_state=state.replace(lr_scale=jnp.asarray(scale, state.lr_scale.dtype)))
    after = _rate(step, run)
    return run, f"{name}: learning rate {before} -> {after}{why}" if after != before else ""


def _scale(action: ScaleLearningRate | SetLearningRate, step: Step, run: Run) -> float:
    """The scale of the learning rate that an action asks for."""
    scale = float(run.train_state.lr_scale)
    if step.rate is None and (name := inexact(step.optimizer)) is not None:
        raise ArgumentError(
            type(action).__name__,
            expected="an optimizer whose updates grow with its learning rate alone",
            got=name,
            cure=KNOW_THE_RATE,
        )
    if isinstance(action, ScaleLearningRate):
        present = step.learning_rate(run.train_state)
        if present is not None:
            return scale * action.factor_at(float(present))
        if action.least is None and action.most is None:
            return scale * action.factor
        raise ArgumentError(
            "ScaleLearningRate",
            expected="a trainer that knows its learning rate, as `least` and `most` are bounds of it",
            got="an optimizer that was made with its rate inside",
            cure=KNOW_THE_RATE,
        )
    base = None if step.rate is None else float(step.rate(run.train_state.step))
    if not base:
        raise ArgumentError(
            "SetLearningRate",
            expected="a trainer that knows its learning rate, which is not 0 at this step",
            got="an optimizer that was made with its rate inside" if base is None else "a schedule that is at 0",
            cure=KNOW_THE_RATE
            if base is None
            else "Let the trainer's schedule start above 0, or give it a number and set the rate here alone.",
        )
    return action.rate / base


def _rate(step: Step, run: Run) -> str:
    """The learning rate for people, or its scale where it is not known."""
    rate = step.learning_rate(run.train_state)
    return f"{float(run.train_state.lr_scale):.4g}x" if rate is None else f"{float(rate):.4g}"


def in_order(asked: Asked, save: Callable[[str, Save], None], do: Callable[[str, Action], None]) -> None:
    """Does what was asked for in the order of the callbacks, saves last."""
    for name, action in asked:
        if not isinstance(action, Save):
            do(name, action)
    for name, action in asked:
        if isinstance(action, Save):
            save(name, action)


def check_evaluates(name: str, hook: str, able: bool, member: int | None) -> None:
    """Checks that `Evaluate` may be asked for.

    Raises:
        CallbackError: there are no validation data, several members train at once, or it would follow itself.
    """
    if member is not None:
        raise CallbackError(
            f"callback {name!r}, {hook}",
            expected="Evaluate in fit, whose validation data are those of one run",
            got="it in fit_many, which validates all members at the end of each epoch",
            cure="Leave the callback out, or train the member by fit with its seed.",
        )
    if not able or hook in ("on_evaluate_end", "on_exception"):
        raise CallbackError(
            f"callback {name!r}, {hook}",
            expected="Evaluate where there are validation data, from a hook of training",
            got=f"it from {hook}" if able else "none",
            cure="Give fit validation_data or validation_split, and return it from on_step_end, for example.",
        )


def check_saves(name: str, hook: str, again: bool) -> None:
    """Checks that `Save` may be asked for; `again` where it is for what may be there already.

    Raises:
        CallbackError: it is a hook at a beginning.
    """
    if hook.endswith("begin") and not (again and hook == "on_train_begin"):
        raise CallbackError(
            f"callback {name!r}, {hook}",
            expected="Save from a hook at an end",
            got="it at a beginning, which would begin again when the run goes on",
            cure="Return it from on_step_end, on_epoch_end or on_train_end.",
        )


def check_searches(name: str, hook: str, able: bool, known: bool) -> None:
    """Checks that `FindLearningRate` may be asked for.

    Raises:
        CallbackError: training has begun, several members train at once, or the trainer does not know its rate.
    """
    if not known:
        raise CallbackError(
            f"callback {name!r}, {hook}",
            expected="FindLearningRate where the trainer knows its learning rate",
            got="an optimizer that was made with its rate inside",
            cure=KNOW_THE_RATE,
        )
    if not able or hook != "on_train_begin":
        raise CallbackError(
            f"callback {name!r}, {hook}",
            expected="FindLearningRate from on_train_begin, in fit",
            got=f"it from {hook}" if able else "fit_many, whose members have rates of their own",
            cure="Return it from on_train_begin, or call jg.find_learning_rate.",
        )
