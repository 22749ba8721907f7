"""What is live while training: a run between two dispatches, and the callbacks that watch it."""

import contextlib
import dataclasses
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.train.actions import INTERRUPTED, Action, Evaluate, FindLearningRate, Save, SetLearningRate, Write
from jgraph.train.callback import Callback, Event, StepLogs
from jgraph.train.hooks import ENDING, apply, ask, check_evaluates, check_saves, check_searches, has_hook, in_order
from jgraph.train.locate import Finding, locate
from jgraph.train.outlets import Outlets
from jgraph.train.plan import Plan
from jgraph.train.programs import QUEUE, Feed, Pace, Programs
from jgraph.train.rate_search import RateSearch
from jgraph.train.record import arrays_of, record_of
from jgraph.train.refusal import why_refused
from jgraph.train.signals import Signals
from jgraph.train.source import read_logs
from jgraph.train.state import Position, Run, TrainState
from jgraph.train.step import Step, refused
from jgraph.train.watch import Distributions, Watch
from jgraph.typing import Array

LOG = logging.getLogger("jgraph")

BEGINNINGS = ("on_epoch_begin", "on_step_begin")
"""Hooks of what has not happened until a step is taken: a run that is left before it goes on from before them."""

GLANCE_SECONDS = 0.1
"""How often, at most, the loop looks up from dispatching: for clocks, progress, and steps that the guard refused."""


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """What a run is trained with; nothing here changes while it trains, but `programs` where params are frozen.

    `frozen` gives the programs that train with patterns frozen. `sinks` are opened when training begins; `describe`
    makes what checkpoints say of the model, the data and the callbacks.
    """

    trainer: Any
    programs: Programs
    frozen: Callable[[tuple[str, ...]], Programs]
    plan: Plan
    callbacks: dict[str, Callback]
    validation_data: Any
    sinks: list[tuple[Any, int | None]]
    describe: Callable[[], Any]
    member: int | None = None

    @property
    def step(self) -> Step:
        """The pure step that is trained with."""
        return self.programs.step


class Session:
    """The one place that changes while training; callbacks, signals and errors all read the same run from it.

    `run` is the run as of the last event; `carry`, the train state and the sums, is swapped at each dispatch, as its
    buffers are donated to the next one. `done` counts the steps of the epoch, `step` those of the run.
    """

    def __init__(self, run: Run, setting: Setting, outlets: Outlets) -> None:
        self.setting, self.signals, self.outlets, self.pace = setting, Signals(), outlets, Pace()
        self.steps: int | None = None
        self.measuring: Callable[[TrainState], dict[str, float]] | None = None
        self.searching: Callable[[Run, FindLearningRate], RateSearch] | None = None
        self.evaluating = 0.0
        self._empty, self._directions = setting.step.init(), setting.step.objective.directions()
        self._begun = self._glanced = time.perf_counter()
        self._made = len(setting.programs.made)
        self._stepping = {
            n: c for n, c in setting.callbacks.items() if has_hook(c, "on_step_begin") or has_hook(c, "on_step_end")
        }
        self._called = {
            hook: {n: c for n, c in self._stepping.items() if has_hook(c, hook)}
            for hook in ("on_step_begin", "on_step_end")
        }
        self._watches = {w for c in setting.callbacks.values() if (w := c.watches()) is not None}
        self._glancing = {n for n, c in self._stepping.items() if c.glances()}
        self._measuring = {n: c for n, c in setting.callbacks.items() if has_hook(c, "measures")}
        self._locating = any(c.locates() for c in setting.callbacks.values())
        self._recent = deque[tuple[Feed, Any, int, int]](maxlen=QUEUE + 2)
        self._undone: Run | None = None
        self._feed: Feed | None = None
        if run.sums is not None:  # a step that was refused may be tried again
            sums = setting.step.layout.whole(jnp.stack([run.sums[0], self._empty[1]]))
            run = dataclasses.replace(run, sums=sums)
        self._commit(run)
        self.step = int(run.train_state.step)

    # The run

    def current(self) -> Run:
        """The run as it is now; saved, it goes on from here."""
        train_state, sums = self.carry
        position, place = Position(self.run.position.epoch, self.done), self.run.place
        if self._feed is not None and position != self.run.position:
            place = self._feed.place(self.done)
        return dataclasses.replace(
            self.run, train_state=train_state, sums=sums if self.done else None, position=position, place=place
        )

    def going(self) -> bool:
        """Whether there is more to train, as far as anyone has said."""
        return self.run.stopped is None and self.run.position.epoch < self.setting.plan.epochs

    def say(self, text: str, level: int = logging.INFO) -> None:
        """Notes a decision in the run's events, and logs it."""
        self.run = _noted(self.run, text, level)

    def say_compiled(self) -> None:
        """Notes the programs that have been compiled since it last did."""
        made = self.setting.programs.made[self._made :]
        self._made += len(made)
        for label in made:
            self.say(f"compiled {label}")

    def look(self) -> None:
        """Stops where a signal has come."""
        if self.signals.caught is not None and self.run.stopped is None:
            self.run = dataclasses.replace(self.run, stopped=INTERRUPTED)
            self.say(
                f"{self.signals.caught.name}: interrupted at epoch {self.run.position.epoch + 1}, step {self.step}"
            )

    def _commit(self, run: Run) -> None:
        self.signals.holding = True
        sums = self._empty if run.sums is None else run.sums
        if (programs := self.setting.frozen(run.frozen)) is not self.setting.programs:
            self.setting = dataclasses.replace(self.setting, programs=programs)
            self._made = len(programs.made)
        self.run, self.carry, self.done = run, (run.train_state, sums), run.position.step
        self.signals.release()

    # Events

    def fire(self, hook: str, run: Run | None = None, only: Collection[str] | None = None, **facts: Any) -> None:
        """Calls a hook and applies what callbacks ask for: all of it, or, where an error comes, nothing.

        So the run that an error leaves behind is the one from before the event: an epoch's end happens again when the
        run goes on, and what was written of it until then is written over.
        """
        before = self.current() if run is None else run
        ended = hook in ENDING and not before.position.step
        facts.setdefault("epoch", max(before.position.epoch - ended, 0))
        called = {
            name: callback
            for name, callback in self.setting.callbacks.items()
            if has_hook(callback, hook) and (only is None or name in only)
        }
        memories, asked = ask(called, hook, before.memories, lambda: self._event(before, **facts))
        after = dataclasses.replace(before, memories=memories)

        def do(name: str, action: Action) -> None:
            nonlocal after
            if isinstance(action, Write):
                self.outlets.write(name, action.sink, action.record)
            elif isinstance(action, Evaluate):
                check_evaluates(name, hook, self.measuring is not None, self.setting.member)
            elif isinstance(action, FindLearningRate):
                check_searches(name, hook, self.searching is not None, self.setting.step.rate is not None)
                after, said = self._searched(after, name, action)
                after = _noted(after, said)
            else:
                after, said = apply(after, name, action, self.setting.step, self.setting.frozen)
                after = _noted(after, f"epoch {facts['epoch'] + 1}, step {self.step}: {said}") if said else after

        def save(name: str, action: Save) -> None:
            check_saves(name, hook, not action.replace)
            if evaluates:
                late.append(action)
            else:
                self._save(before if hook in ENDING else after, action)

        evaluates, late = any(isinstance(action, Evaluate) for _, action in asked), list[Save]()
        in_order(asked, save, do)
        if hook in BEGINNINGS:
            self._undone = self._undone or before
            if after.stopped is not None:  # what was to begin does not: it begins when the run goes on
                after = dataclasses.replace(self._undone, stopped=after.stopped, events=after.events)
        self._commit(after)
        if evaluates:
            self._evaluate(facts["epoch"])
        for action in late:  # what is saved has what came of the evaluation
            self._save(before if hook in ENDING else self.current(), action)

    def _evaluate(self, epoch: int) -> None:
        """Measures the validation data, and tells the callbacks, whether or not a signal comes meanwhile."""
        assert self.measuring is not None, "it has been checked"
        begin = time.perf_counter()
        logs = self.measuring(self.run.train_state)
        self.evaluating += time.perf_counter() - begin
        shown = ", ".join(f"{name} {value:.4g}" for name, value in logs.items())
        self.say(f"epoch {epoch + 1}, step {self.step}: evaluated: {shown}")
        self.fire("on_evaluate_end", epoch=epoch, logs=logs)

    def _searched(self, run: Run, name: str, action: FindLearningRate) -> tuple[Run, str]:
        """Makes a range test, and sets the rate that it suggests."""
        assert self.searching is not None, "it has been checked"
        found = self.searching(run, action)
        reason = f"range test from {found.rates[0]:.3g} to {found.rates[-1]:.3g}: the loss fell fastest there"
        if found.suggestion is None:
            return run, f"{name}: a range test up to {found.rates[-1]:.3g} suggests no rate, as the loss never fell"
        return apply(run, name, SetLearningRate(found.suggestion, reason), self.setting.step, self.setting.frozen)

    def _event(self, run: Run, **facts: Any) -> Event:
        setting = self.setting
        timings = {"seconds": time.perf_counter() - self._begun, **facts.pop("timings", {})}
        known = {
            "step": self.step,
            "history": run.history,
            "train_state": run.train_state,
            "model": setting.trainer.model,
            "trainer": setting.trainer,
            "validation_data": setting.validation_data,
            "position": run.position,
            "epochs": setting.plan.epochs,
            "steps": self.steps,
            "directions": self._directions,
            "stopped": run.stopped,
            "member": setting.member,
            "batch_size": None if run.batches.get("rows") is None else run.batches["batch_size"],
        }
        return Event(**{**known, "timings": timings, **facts})

    def measured(self, timings: Mapping[str, float]) -> dict[str, float]:
        """The timings, and what callbacks measure of the machine."""
        if not self._measuring:
            return dict(timings)
        run, told = self.current(), {}
        event = self._event(run, epoch=run.position.epoch, timings=dict(timings))
        for name, callback in self._measuring.items():
            told |= callback.measures(run.memories[name], event)
        return {**told, **timings}

    def _save(self, run: Run, action: Save) -> None:
        score = {"monitor": action.monitor, "mode": action.mode, "value": action.score}
        record = record_of(run) | {"score": None if action.score is None else score, "kept": action.keep}
        describe = self.setting.describe
        self.outlets.save(action, self.step, arrays_of(run), lambda: record | dataclasses.asdict(describe()))

    # Steps

    def dispatch(self, feed: Feed) -> bool:
        """Runs the steps until somebody wants to look, and lets them look; False where there is nothing more to run."""
        self._feed = feed
        work, count = feed.next(self.done, min(self.pace.count, self._room()))
        if not count:
            return False
        if due := self._due("on_step_begin"):
            self.fire("on_step_begin", only=due)
        if not self.going():
            return False
        self.outlets.check()
        watched = self._watched(feed, work)
        self.signals.holding = True
        if self._locating:
            self._recent.append((feed, work, self.step, count))
        self.carry = feed.run(self.carry, work)
        self.done, self.step, self._undone = self.done + count, self.step + count, None
        self.signals.release()
        finished = self.pace.follow(self.carry[1], count)
        due = self._due("on_step_end")
        glancing = time.perf_counter() - self._glanced > GLANCE_SECONDS
        if self._locating and finished is not None:  # while its batch is there
            self.check_guard(finished)
        if due or (glancing and self._glancing):
            self.check_guard(self.carry[1])
        elif glancing and finished is not None:
            self.check_guard(finished)
        if self.run.stopped is None and (due or (glancing and self._glancing)):
            only = due | (self._glancing if glancing else set())
            facts = {"logs": self._step_logs(), "watched": {w: d.read() for w, d in watched}}
            self.fire("on_step_end", only=only, timings=self.measured({}) if due else {}, **facts)
        if glancing:
            self._glanced = time.perf_counter()
        self.look()
        return True

    def take(self, carry: tuple[TrainState, Array], count: int) -> None:
        """Takes what `count` steps outside of this session have made of the train state and the sums."""
        self.carry, self.done, self.step, self._undone = carry, self.done + count, self.step + count, None
        self.say_compiled()
        self.check_guard(carry[1])
        self.look()

    def check_guard(self, sums: Array) -> None:
        """Stops at the step that the guard refused, if there is one; all was kept as it was before it.

        What is counted goes back to that step, also where the run has been stopped by something else.
        """
        if self.setting.step.guard is None or not refused(seen := np.asarray(sums)):
            if self._feed is not None:  # the sums may be those of the last dispatch that was waited for
                self._feed.settle(self.done - QUEUE)
            return
        train_state, sums = self.carry
        taken = int(train_state.step)
        self.done, self.step = self.done - (self.step - taken), taken
        if self.run.stopped is not None:
            return
        where = f"step {self.step + 1} (epoch {self.run.position.epoch + 1}, batch {self.done + 1})"
        reason = why_refused(self.setting.step, train_state, seen[1], where)
        self.run = dataclasses.replace(self.run, stopped=reason)
        try:
            finding = self._located(train_state)
        except Exception as error:  # as where the memory is too small for it
            finding = f"Its replay failed: {type(error).__name__}: {error}"
        reason += f". {finding}" if finding else ""
        self.run = dataclasses.replace(self.run, stopped=reason)
        self.say(f"stops: {reason}", logging.WARNING)

    def _located(self, train_state: TrainState) -> Finding | None:
        """Where what is not finite began, in the step that was refused, if it is to be replayed."""
        for feed, work, first, count in self._recent:
            if first <= self.step < first + count:
                return locate(self.setting.step, train_state, *feed.batch(work, self.step - first))
        return None

    def _step_logs(self) -> StepLogs:
        sums, objective = self.carry[1], self.setting.step.objective
        return StepLogs(lambda: read_logs(objective, sums[0]))

    def _room(self) -> int:
        """The number of steps until a step hook is due, or one is watched, which is run by itself."""
        due = (c.due_from(self.step + 1) for c in self._stepping.values())
        hooks = (step - self.step for step in due if step is not None)
        return min(*hooks, *(max(watch.until(self.step), 1) for watch in self._watches), 2**31 - 1, 2**31 - 1)

    def _due(self, hook: str) -> set[str]:
        return {n for n, c in self._called[hook].items() if c.due_from(self.step) == self.step}

    def _watched(self, feed: Feed, work: Any) -> list[tuple[Watch, Distributions]]:
        """Looks into the step that is to be taken, where somebody watches it; the train state stays as it is."""
        due = [watch for watch in self._watches if not watch.until(self.step)]
        batch, programs = feed.batch(work) if due else (), self.setting.programs
        return [(watch, programs.watched(watch, *self.carry, *batch)) for watch in due]

    # The end

    def fail(self, error: BaseException) -> None:
        """Gives an error the last good run, tells the callbacks, and finishes what is being written."""
        self.told(error)
        self.closed(error)

    def told(self, error: BaseException) -> None:
        """Gives an error the last good run, and tells the callbacks."""
        self.signals.holding = False
        if self.signals.caught == signal.SIGTERM:  # which may end the process before anyone sees the error
            LOG.error("an error came with SIGTERM", exc_info=error)
        with contextlib.suppress(Exception):  # where a failure took the sums down there is nothing to count
            self.check_guard(self.carry[1])
        run = error.__dict__["run"] = self._rescued()
        if run.train_state is None:
            error.add_note("The train state is lost with the program that failed: go on with fit(resume=directory).")
        else:
            try:
                self.fire("on_exception", run=run, exception=error)
                error.__dict__["run"] = self._rescued()
            except Exception as another:
                if another is not error:  # a queue gives the error of a record to all who ask
                    error.add_note(f"on_exception raised {type(another).__name__}: {another}")

    def closed(self, error: BaseException) -> None:
        """Finishes what is being written, with a note where that fails too."""
        try:
            self.outlets.close()
        except Exception as another:
            if another is not error:
                error.add_note(f"then the end of what was being written raised {type(another).__name__}: {another}")

    def _rescued(self) -> Run:
        """The run before what has begun without a step; without its train state where a failure took that down."""
        run = (self._undone or self.current()).left()
        try:
            jax.block_until_ready(run.train_state)
        except Exception:
            return dataclasses.replace(run, train_state=None, sums=None)
        return run


def _noted(run: Run, text: str, level: int = logging.INFO) -> Run:
    LOG.log(level, text)
    return dataclasses.replace(run, events=(*run.events, text))
