"""The page of a run: read back as HTML, from a directory and from memory; what is not there is an error or is said."""

import datetime
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.errors import ArgumentError, LoadError, MonitorError, WriteError
from jgraph.inspect.told import Decision, told_of

L = jg.layers
VOID = {"meta", "br"}


class Page(HTMLParser):
    """A page that is read: its texts by tag, and a check that every tag is closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def model_of(name: str | None = "Net") -> jg.Model:
    x, i = jg.Input((4,), name="x"), jg.Input((4,))
    inner = jg.Model(i, L.Dense(4, activation="relu", name="inside")(i), name="inner")
    return jg.Model(x, L.Dense(1, name="head")(inner(x)), name=name)


def blank(**facts: Any) -> jg.Run:
    """A run whose train state is lost."""
    nothing: Any = None
    return jg.Run(nothing, **facts)


def fitted(folder: Path, model: jg.Model, **options: Any) -> jg.Run:
    random = np.random.default_rng(0)
    data = random.normal(size=(32, 4)).astype("float32"), np.zeros((32, 1), "float32")
    held_out = data[0], 1e3 * random.normal(size=(32, 1)).astype("float32")  # gets no better
    trainer = jg.Trainer(model, optax.sgd, learning_rate=1e-3, loss="mse", metrics="mae")
    callbacks = [
        jg.callbacks.ReduceLROnPlateau(factor=0.5, patience=3, min_delta=1e9, name="slower"),
        jg.callbacks.EarlyStopping(patience=8, min_delta=1e9),
        jg.callbacks.Checkpoint(folder),
    ]
    fit = {"validation_data": held_out, "callbacks": callbacks, "progress": False, **options}
    return trainer.fit(data, epochs=12, batch_size=16, **fit)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, jg.Run, jg.Model, str]:
    """A directory with a run, the run, its model, and the page of the directory."""
    folder = tmp_path_factory.mktemp("run")
    model = model_of()
    run = fitted(folder / "x", model)
    jg.inspect.report(folder / "x", folder / "deep" / "report.html", batch_size=4)
    return folder / "x", run, model, (folder / "deep" / "report.html").read_text(encoding="utf-8")


def test_the_page_stands_alone_and_is_whole(made: Any) -> None:
    page = Page(made[3])
    loads = {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not loads & {tag for tag, _ in page.tags}
    assert not [v for _, attrs in page.tags for n, v in attrs.items() if n in ("src", "href") or n.startswith("on")]
    assert not re.search(r"@import|url\(", made[3])
    for drawing in re.findall(r"<svg.*?</svg>", made[3], re.DOTALL):
        ElementTree.fromstring(drawing)


def test_the_sections_come_in_their_order(made: Any) -> None:
    found = re.findall(r"<h[12]>(.*?)</h[12]>", made[3])
    assert found == ["Net", "Curves", "Decisions", "Graph", "Summary", "Training", "Callbacks"]
    assert "stopped: val_loss has not improved for 8 epochs" in made[3]


def test_every_log_has_a_curve(made: Any) -> None:
    for name in ("loss", "mae", "learning_rate"):
        assert f'aria-label="{name} over {len(made[1].history["loss"])} epochs"' in made[3]
    assert made[3].count("<polygon") >= 3
    assert "best val_loss, epoch " in made[3]


def test_decisions_say_what_was_changed_from_what_to_what_and_why(made: Any) -> None:
    rows = [row for row in Page(made[3]).rows if "slower" in row and row[0].isdigit()]
    assert rows[0] == ["4", "8", "slower", "learning rate 0.001 → 0.0005, val_loss flat for 3 epochs"]
    told = told_of(made[0], None, ())
    assert [str(decision) for decision in told.decisions if decision.who == "slower"][:2] == [
        "epoch 4: learning rate 0.001 → 0.0005, val_loss flat for 3 epochs",
        "epoch 7: learning rate 0.0005 → 0.00025, val_loss flat for 3 epochs",
    ]
    assert told.decisions[-1].who == "early_stopping"
    assert all(not note.startswith("epoch") or "step" in note for note in told.notes)


def test_a_reason_and_an_action_are_parted() -> None:
    events = (
        "epoch 3, step 12: clip: freezes 'a/*' (it is done (nearly))",
        "compiled train: a step",
        "epoch 3, step 1: x",
    )
    told = told_of(blank(events=events), model_of(), ())
    assert told.decisions[0] == Decision(3, 12, "clip", "freezes 'a/*'", "it is done (nearly)")
    assert told.decisions[1] == Decision(3, 1, "", "x", "")
    assert told.notes == ["compiled train: a step"]


def test_a_directory_is_dated_by_when_it_was_saved(made: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(made[0], tmp_path / "x")
    newest = max((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    os.utime(newest, (1770091500, 1770091500))
    assert told_of(folder, None, ()).when == "3 February 2026, 04:05 UTC"


def test_a_date_needs_no_format_of_one_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(datetime.datetime):
        def __format__(self, form: str) -> str:
            return self.strftime(form)

        def strftime(self, format: str) -> str:  # noqa: A002
            if "%-" in format:
                raise ValueError("Invalid format string")
            return super().strftime(format)

    monkeypatch.setattr(datetime, "datetime", Strict)
    assert re.fullmatch(r"[1-9]\d? \w+ \d{4}, \d\d:\d\d UTC", told_of(blank(), model_of(), ()).when)


def test_an_evaluation_is_no_decision_and_a_name_may_have_spaces() -> None:
    events = (
        "epoch 1, step 2: evaluated: val_loss 0, val_mae 0.5",
        "epoch 2, step 4: my slow one: learning rate 1 -> 0.5 (val_loss flat)",
        "epoch 2, step 4: evaluated: freezes 'a/*'",
    )
    told = told_of(blank(events=events), model_of(), ())
    assert told.decisions == [
        Decision(2, 4, "my slow one", "learning rate 1 → 0.5", "val_loss flat"),
        Decision(2, 4, "evaluated", "freezes 'a/*'", ""),
    ]
    assert told.notes == list(events[:1])


def test_evaluations_of_a_run_are_among_what_else_was_said(tmp_path: Path) -> None:
    measures = jg.callbacks.on_step_end(lambda event: jg.callbacks.Evaluate(), every_steps=5)
    slower = jg.callbacks.ReduceLROnPlateau(factor=0.5, patience=3, min_delta=1e9, name="my slow one")
    run = fitted(tmp_path / "x", model_of(), callbacks=[measures, slower])
    told = told_of(run, model_of(), ())
    assert {decision.who for decision in told.decisions} == {"my slow one"}
    assert sum(": evaluated: val_loss " in note for note in told.notes) >= 1


def test_the_summary_has_what_each_node_costs_and_takes(made: Any) -> None:
    rows = {row[0]: row for row in Page(made[3]).rows}
    assert rows["path"][3:7] == ["params", "operations", "activations", "ms"]
    assert rows["inner/inside"][3:5] == ["20", "40"]
    assert float(rows["inner/inside"][6]) > 0
    assert rows["x"][6] == rows["inner"][6] == "-"
    assert "Parameters: 25 (100 B)" in made[3]


def test_the_configuration_is_told(made: Any) -> None:
    rows = {row[0]: row for row in Page(made[3]).rows}
    assert rows["batch_size"] == ["batch_size", "16"]
    assert rows["checkpoint"][:2] == ["checkpoint", "Checkpoint"]
    assert "factor=0.5, patience=3" in rows["slower"][2]
    assert re.search(r"jax \d", made[3])


def test_a_run_in_memory_is_told_with_its_model(made: Any, tmp_path: Path) -> None:
    jg.inspect.report(made[1], tmp_path / "report.html", model=made[2], batch_size=None)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    Page(text)
    assert ">ms<" not in text
    assert "restores a train state" not in text
    assert "learning rate 0.001 → 0.0005" in text


def test_what_a_user_named_is_shown_as_it_is_and_runs_nowhere(tmp_path: Path) -> None:
    run = blank(
        history={"<script>alert(1)</script>": [1.0], "loss": [2.0]},
        events=("epoch 1, step 1: a: <img src=x> \x00",),
        stopped="<b>&",
    )
    jg.inspect.report(run, tmp_path / "r.html", model=model_of("<i>"), batch_size=None)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    tags = {tag for tag, _ in Page(text).tags}
    assert not {"script", "img", "b"} & tags - {"b"}
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "\x00" not in text


def test_a_run_without_an_epoch_says_so(tmp_path: Path) -> None:
    jg.inspect.report(blank(), tmp_path / "r.html", model=model_of(None), batch_size=None)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No epoch has ended yet." in text
    assert "Nothing was decided while training." in text


def test_layers_that_are_not_allowed_are_missing_and_said(tmp_path: Path) -> None:
    class Twice(jg.Layer):
        def apply(self, params: Any, state: Any, x: Any, *, train: bool = False, key: Any = None) -> Any:
            return 2 * x, state

    x = jg.Input((4,))
    fitted(tmp_path / "x", jg.Model(x, L.Dense(1)(Twice()(x))), callbacks=[jg.callbacks.Checkpoint(tmp_path / "x")])
    jg.inspect.report(tmp_path / "x", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "The graph and the summary are missing" in text
    assert "<h2>Graph</h2>" not in text
    jg.inspect.report(tmp_path / "x", tmp_path / "b.html", allow=[Twice])
    assert "<h2>Graph</h2>" in (tmp_path / "b.html").read_text(encoding="utf-8")


def test_free_axes_are_not_measured(tmp_path: Path) -> None:
    x = jg.Input((None, 4))
    jg.inspect.report(blank(), tmp_path / "r.html", model=jg.Model(x, L.LSTM(3)(x)))
    assert ">ms<" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_damaged_checkpoint_is_said_and_the_one_before_told(tmp_path: Path) -> None:
    run = fitted(tmp_path / "x", model_of())
    steps = sorted(int(p.name) for p in (tmp_path / "x").iterdir() if p.name.isdigit())
    for file in (tmp_path / "x" / str(steps[-1])).rglob("*"):
        if file.is_file() and b"val_loss" in file.read_bytes():
            file.write_bytes(file.read_bytes().replace(b"val_loss", b"val_lass"))
    jg.inspect.report(tmp_path / "x", tmp_path / "r.html", batch_size=None)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"Step {steps[-1]} cannot be read" in text
    assert int(run.train_state.step) == steps[-1]


def test_what_is_no_run_is_refused(made: Any, tmp_path: Path) -> None:
    folder, run, model, _ = made
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    report, path = jg.inspect.report, tmp_path / "r.html"
    with pytest.raises(LoadError, match=r"got no such directory\. Give the directory of jg\.callbacks\.Checkpoint"):
        report(tmp_path / "nowhere", path)
    with pytest.raises(LoadError, match="got no checkpoint"):
        report(tmp_path / "empty", path)
    with pytest.raises(LoadError, match="got a file"):
        report(tmp_path / "file", path)
    with pytest.raises(LoadError, match=r"got one of its steps\. Give '.*x'"):
        report(next(p for p in folder.iterdir() if p.name.isdigit()), path)
    with pytest.raises(ArgumentError, match=r"report, run: expected the directory of a Checkpoint, or a jg\.Run"):
        report(3, path)
    with pytest.raises(ArgumentError, match="report, model: expected the model of the run, got none"):
        report(run, path)
    with pytest.raises(ArgumentError, match=r"report, model: expected a jg\.Model"):
        report(run, path, model="net")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match=r"report, model: expected the model of .*Leave out model="):
        report(folder, path, model=model.freeze("head"))
    assert not path.exists()


def test_what_cannot_be_written_is_refused(made: Any, tmp_path: Path) -> None:
    folder = made[0]
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArgumentError, match=r"report, path: expected a path that ends in \.html, got 'report\.pdf'"):
        jg.inspect.report(folder, tmp_path / "report.pdf")
    with pytest.raises(WriteError, match="a place that can be written"):
        jg.inspect.report(folder, tmp_path / "file" / "report.html", batch_size=None)
    with pytest.raises(MonitorError, match="got 'val_los'"):
        jg.inspect.report(folder, tmp_path / "r.html", monitor="val_los", batch_size=None)
    for size in (0, True, 2.5):
        with pytest.raises(ArgumentError, match="report, batch_size: expected a positive integer"):
            jg.inspect.report(folder, tmp_path / "r.html", batch_size=size)  # pyright: ignore[reportArgumentType]
