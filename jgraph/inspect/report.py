"""A page that tells of a run: curves, decisions, the graph, and what every node costs."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jgraph.core.model import Model
from jgraph.core.sizes import names_in, value_of
from jgraph.draw.panels import best_epoch
from jgraph.errors import ArgumentError, MonitorError, WriteError, check_path
from jgraph.inspect.page import page
from jgraph.inspect.timing import Timings, measure
from jgraph.inspect.told import Told, told_of


def report(
    run: Any,
    path: str | os.PathLike[str],
    *,
    model: Model | None = None,
    monitor: str = "val_loss",
    mode: str = "auto",
    batch_size: int | None = 32,
    allow: Iterable[Any] = (),
) -> None:
    """Writes one page of HTML that tells of a run, to look at in any browser, to print, or to send.

    It has the curves, the decisions of the callbacks in order ("epoch 7: learning rate 0.001 -> 0.0005, val_loss flat
    for 3 epochs"), the drawn graph, the summary with parameters, operations, activation bytes and measured time of each
    node, and how it was trained. Everything is in the one file: it loads nothing, and has no scripts.

    `run` is the directory in which a `Checkpoint` saved a run, of which the newest checkpoint that can be read is told,
    or a `Run`, and then `model` is the one that was trained. The best epoch is that of `monitor`, as in `run.plot`. The
    times are measured here and now, on `batch_size` rows of ones; `None` leaves them out, and so does a free axis.
    Nothing in a file is executed; layers and functions of one's own are given in `allow`, as to `jg.load`.

    Raises:
        ArgumentError: the path does not end in `.html`, a run comes without its model, or the model is another one.
        LoadError: the directory is not there, or holds no checkpoint that can be read.
        MonitorError: the run has no such log, or it is not known whether more of it is better.
        WriteError: the file cannot be written.

    >>> import jgraph as jg, numpy as np, optax, pathlib, tempfile
    >>> model = jg.Sequential([jg.Input((2,)), jg.layers.Dense(1)])
    >>> trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    >>> run = trainer.fit((np.ones((4, 2)), np.ones(4)), epochs=3, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "report.html"
    ...     jg.inspect.report(run, path, model=model)
    ...     path.read_text(encoding="utf-8").splitlines()[0]
    '<!DOCTYPE html>'
    """
    check_path("report, path", path)
    place = Path(path)
    if place.suffix.lower() not in (".html", ".htm"):
        cure = "Write 'report.html', for example."
        raise ArgumentError("report, path", expected="a path that ends in .html", got=repr(place.name), cure=cure)
    wrong = batch_size is not None and (isinstance(batch_size, bool) or not isinstance(batch_size, int))
    if wrong or (batch_size is not None and batch_size < 1):
        cure = "Write batch_size=32, or None to measure nothing."
        raise ArgumentError("report, batch_size", expected="a positive integer", got=repr(batch_size), cure=cure)
    told = told_of(run, model, allow)
    timings = None if batch_size is None or told.model is None else _timed(told.model, batch_size)
    text = page(told, _best(told, monitor, mode), timings)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        got, cure = f"{error.strerror or error} ({error.filename})", "Give a path that this process may write."
        raise WriteError(str(place), expected="a place that can be written", got=got, cure=cure) from error


def _best(told: Told, monitor: str, mode: str) -> tuple[str, int] | None:
    """The log that was watched and its best epoch; none where the default has nothing to watch."""
    if not any(told.history.values()):
        return None
    try:
        return best_epoch(told.history, monitor, mode)
    except MonitorError:
        if monitor == "val_loss" and "loss" not in told.history:
            return None
        raise


def _timed(model: Model, rows: int) -> Timings | None:
    """The times of the nodes on ones; `None` where the inputs have free axes."""
    symbols = jax.tree.leaves(model.inputs)
    if any(names_in(size) - {"batch"} for s in symbols for size in s.shape if not isinstance(size, int)):
        return None
    shape = [tuple(value_of(size, {"batch": rows}) for size in symbol.shape) for symbol in symbols]
    arrays = [jnp.ones(own, symbol.dtype) for own, symbol in zip(shape, symbols, strict=True)]
    inputs = jax.tree.unflatten(jax.tree.structure(model.inputs), arrays)
    return measure(model, *model.init(jax.random.key(0)), inputs)
