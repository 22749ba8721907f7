"""What all experiments have: their options, their callbacks, and how they tell what they reached."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import jgraph as jg


def options(doc: str | None, name: str, words: Any = None, **more: Any) -> argparse.Namespace:
    """The options of an experiment: those of all, and `more`, each by its default; `--help` shows the docstring."""
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the whole experiment, not the short form of some minutes")
    parser.add_argument("--seed", type=int, default=0, help="of start values, order, dropout and split (default 0)")
    parser.add_argument("--folder", type=Path, default=None, help=f"where all is written (default runs/{name}/SEED)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    for flag, default in more.items():
        parser.add_argument(f"--{flag.replace('_', '-')}", type=type(default), default=default, help=f"({default})")
    given = parser.parse_args(words)
    given.folder = given.folder or Path("runs") / name / str(given.seed)
    given.begun = time.perf_counter()
    return given


def watchers(folder: Path, monitor: str = "val_loss", every_steps: int = 50) -> list[jg.callbacks.Callback]:
    """Saves the run and its best epoch, and writes down what it does: for TensorBoard, and as a table."""
    return [
        jg.callbacks.Checkpoint(folder, monitor=monitor),
        jg.callbacks.TensorBoard(folder / "tensorboard", every_steps=every_steps),
        jg.callbacks.CSVLogger(folder / "log.csv"),
    ]


def ended(run: jg.Run) -> jg.Run:
    """The run, where nobody broke it off.

    Raises:
        SystemExit: somebody did, with Ctrl-C.
    """
    if run.stopped == "interrupted":
        raise SystemExit("interrupted: the same command with --resume goes on")
    return run


def tell(given: argparse.Namespace, title: str, reached: Mapping[str, float], published: Mapping[str, str]) -> None:
    """Shows what was reached beside what is published, and keeps it in `figures.json`."""
    seconds = time.perf_counter() - given.begun
    table = Table("", "reached", "published or asked", title=f"{title}, seed {given.seed}", title_justify="left")
    for name, value in reached.items():
        table.add_row(name, f"{value:.4f}", published.get(name, ""))
    Console().print("", table, f"in {seconds:.0f} s; all of it lies in {given.folder}", "", sep="\n")
    given.folder.mkdir(parents=True, exist_ok=True)
    text = {"title": title, "seed": given.seed, "full": given.full, "seconds": seconds, "reached": dict(reached)}
    (given.folder / "figures.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
