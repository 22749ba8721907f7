"""What users give as data, made into sources: checked rows, or batches that can be read as often as they are needed."""

import dataclasses
from typing import Any

from jgraph.data.rows import split_rows, steps_of
from jgraph.errors import ArgumentError
from jgraph.train.batches import Binding, check_iterable, check_weighing, is_rows
from jgraph.train.class_weight import class_weights_of
from jgraph.train.plan import (
    Plan,
    check_batch_size,
    check_epoch,
    check_integer,
    check_steps,
    check_validation,
    sizes_of,
)
from jgraph.train.programs import Pace, Programs
from jgraph.train.source import Rows, Source, measure
from jgraph.train.state import Run, TrainState


def source_of(
    binding: Binding, programs: Programs, data: Any, where: str, times: int, on_device: bool | None = None
) -> Source:
    """Checked data: rows, or batches that can be read so many times.

    Raises:
        DataError, KeyMismatchError, ShapeError, DTypeError: they do not fit the model. ArgumentError: an iterator is to
        be read twice.
    """
    if not is_rows(data):
        return Source(binding, programs, batches=check_iterable(data, times, where), where=where)
    bound, count = binding.bind(data, where)
    binding.check_values(bound, where)
    check_weighing(bound, where)
    return Source(binding, programs, Rows(bound, count), where=where, on_device=on_device)


def sources_of(
    binding: Binding, plan: Plan, data: Any, validation_data: Any, run: Run | None, programs: Programs
) -> tuple[Source, Source | None, Any]:
    """Checked data for training and validation, and the validation data as users gave or would give them.

    Raises:
        ArgumentError: they do not fit the plan. All errors of `source_of`.
    """
    by_class = class_weights_of(binding.objective, plan.class_weight)
    begin, every = run.position.epoch if run else plan.initial_epoch, plan.validation.every
    times = plan.epochs - begin if plan.steps_per_epoch is None else 1  # an iterator goes on where an epoch was cut
    source, held_out = source_of(binding, programs, data, "fit", times, plan.data_on_device), None
    if plan.validation.split:
        if source.rows is None or validation_data is not None:
            raise ArgumentError(
                "fit, validation_split",
                expected="arrays to split, and no validation_data beside it",
                got="an iterable" if source.rows is None else "both",
                cure="Give validation_data alone.",
            )
        kept, last = split_rows(source.rows.bound, source.rows.count, plan.validation.split)
        source, held_out, validation_data = source.of(kept), source.of(last), binding.unbind(last)
    elif validation_data is not None:
        times = plan.epochs // every - begin // every
        held_out = source_of(binding, programs, validation_data, "fit, validation_data", times, plan.data_on_device)
    binding.layout.check_batch("fit, batch_size", plan.batch_size)
    if held_out is not None and plan.validation.batch_size is not None:
        binding.layout.check_batch("fit, validation_batch_size", plan.validation.batch_size)
    check_epoch(plan, *source.size)
    if source.rows is not None:
        programs.step.gradients.check("fit, batch_size", sizes_of(plan, source.rows.count))
    check_validation(plan, held_out is not None, *(held_out.size if held_out else (None, None)))
    return dataclasses.replace(source, class_weights=by_class), held_out, validation_data


def evaluated(
    binding: Binding, programs: Programs, train_state: TrainState, data: Any, batch_size: int, steps: int | None
) -> dict[str, float]:
    """The logs of a train state on data, or their first `steps` batches.

    Raises:
        ArgumentError: a size is none, or more than the data have. All errors of `source_of`.
    """
    check_batch_size("evaluate", batch_size)
    binding.layout.check_batch("evaluate, batch_size", batch_size)
    if steps is not None:
        check_integer("evaluate, steps", steps, 1)
    source = source_of(binding, programs, data, "evaluate", 1)
    rows, batches = source.size
    check_steps("evaluate, steps", steps, rows, batches if rows is None else steps_of(rows, batch_size))
    train_state = binding.layout.kept(train_state)
    return measure(source.place(train_state), train_state, batch_size, steps, Pace())
