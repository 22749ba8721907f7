"""The real TensorBoard server, on this machine alone, asked for all that a run has written."""

import contextlib
import json
import re
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jgraph as jg
from jgraph.train.watch import KINDS

pytestmark = pytest.mark.slow

CLASSES = ("cat", "dog", "bird")
WORDS = [f"word {n}" for n in range(20)]
UNITS = (4, 6)


def drawn(units: int) -> jg.Model:
    """An image, and a text of five words, through one shared layer."""
    image, text = jg.Input((6, 6, 1), name="image"), jg.Input((5,), dtype="int32", name="text")
    seen = jg.layers.Flatten()(jg.layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    read = jg.layers.GlobalAveragePooling1D()(jg.layers.Embedding(20, 8, name="words")(text))
    inner = jg.Input((8,))
    tower = jg.Model(inner, jg.layers.Dense(8, activation="relu", name="hidden")(inner), name="tower")
    shared = jg.layers.Dense(units, name="shared")
    both = jg.layers.concatenate([shared(tower(jg.layers.Dense(8)(seen))), shared(tower(read))])
    return jg.Model([image, text], jg.layers.Dense(3, activation="softmax", name="answer")(both))


def rows(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    random = np.random.default_rng(0)
    images, texts = random.random((count, 6, 6, 1), dtype=np.float32), random.integers(0, 20, (count, 5), np.int32)
    return [images, texts], random.integers(0, 3, count)


def board(folder: Path, units: int) -> jg.callbacks.TensorBoard:
    inputs, targets = rows(12)
    hparams = {"units": units, "activation": "relu", "shared": True}
    if units != UNITS[0]:
        return jg.callbacks.TensorBoard(folder / f"units_{units}", every_steps=3, hparams=hparams)
    return jg.callbacks.TensorBoard(
        folder / f"units_{units}",
        every_steps=3,
        histograms=jg.callbacks.Watch(every_steps=2, bins=10),
        images=jg.callbacks.Images(inputs=inputs, targets=targets, classes=CLASSES),
        projector=[
            jg.callbacks.Projector("words", metadata=WORDS, every_epochs=2),
            jg.callbacks.Projector(
                "tower/hidden", inputs, call=1, metadata={"a": range(12), "b": targets}, images=inputs[0]
            ),
        ],
        hparams=hparams,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, jg.Run]]:
    """Two runs of 8 steps in two epochs, the first in two parts, of which one had come further."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for units in UNITS:
        trainer = jg.Trainer(
            drawn(units), optax.adam, learning_rate=1e-2, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        options: Any = {"batch_size": 8, "validation_split": 0.2, "progress": False}
        own, data = board(folder, units), rows(40)
        half = trainer.fit(data, epochs=1, callbacks=[own], **options)
        if units == UNITS[0]:
            trainer.fit(data, epochs=2, run=half, callbacks=[own], **options)  # lost
        found[f"units_{units}"] = trainer.fit(data, epochs=2, run=half, callbacks=[own], **options)
    return folder, found


Server = Any


@pytest.fixture(scope="module")
def server(runs: tuple[Path, Any]) -> Iterator[Server]:
    """From a route and its parameters to the server's answer."""
    command = ["tensorboard.main", "--logdir", str(runs[0]), "--host", "127.0.0.1", "--port", "0", "--load_fast=false"]
    with subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            address = next(found[0] for line in lines if (found := re.search(r"http://[\d.]+:\d+", line)))

            def ask(route: str, body: Any = None, **parameters: str) -> bytes:
                query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
                data = None if body is None else json.dumps(body).encode()
                request = urllib.request.Request(f"{address}/data/{route}{query}", data)
                if data is not None:
                    request.add_header("Content-Type", "application/json")
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.read()

            deadline = time.monotonic() + 60
            while len(json.loads(ask("runs"))) < 6 and time.monotonic() < deadline:
                time.sleep(0.2)
            yield ask
        finally:
            process.terminate()


def told(server: Server, route: str, **parameters: str) -> Any:
    return json.loads(server(route, **parameters))


def test_all_runs_are_there(server: Server) -> None:
    names = {f"units_{units}{part}" for units in UNITS for part in ("", "/train", "/validation")}
    assert set(told(server, "runs")) == names


@pytest.mark.parametrize("units", UNITS)
def test_scalars_are_those_of_the_history_each_once(server: Server, runs: Any, units: int) -> None:
    run = runs[1][f"units_{units}"]
    for part, prefix in (("train", ""), ("validation", "val_")):
        for tag in ("loss", "accuracy"):
            points = told(server, "plugin/scalars/scalars", run=f"units_{units}/{part}", tag=tag)
            assert [step for _, step, _ in points] == [4, 8]
            np.testing.assert_allclose([v for _, _, v in points], run.history[prefix + tag], rtol=1e-6)
    points = told(server, "plugin/scalars/scalars", run=f"units_{units}/train", tag="steps/loss")
    assert [step for _, step, _ in points] == [3, 6]


def test_histograms_of_every_kind_at_every_watched_step(server: Server) -> None:
    tags = told(server, "plugin/histograms/tags")["units_4/train"]
    for kind in ("params", "gradients", "updates"):
        assert {f"{kind}/conv/kernel", f"{kind}/words/embeddings", f"{kind}/tower/hidden/bias"} <= set(tags)
    assert {"activations/shared", "activations/shared/1", "activations/answer", "activations/answer/logits"} <= set(
        tags
    )
    assert {tag.split("/")[0] for tag in tags} == set(KINDS)
    steps = told(server, "plugin/histograms/histograms", run="units_4/train", tag="activations/answer")
    assert [step for _, step, _ in steps] == [2, 4, 6, 8]
    for _, _, bins in steps:
        assert sum(count for _, _, count in bins) == pytest.approx(8 * 3)
        assert 0 <= bins[0][0] <= bins[-1][1] <= 1


def test_the_graph_has_every_call_and_a_shared_layer_is_one_scope(server: Server) -> None:
    text = server("plugin/graphs/graph", run="units_4/train").decode()
    nodes = dict(re.findall(r'^node \{\n  name: "([^"]+)"\n  op: "([^"]+)"', text, re.MULTILINE))
    assert nodes["image"] == nodes["text"] == "Input"
    assert nodes["conv"] == "Conv2D"
    calls = {"tower/hidden/call_0", "tower/hidden/call_1", "shared/call_0", "shared/call_1"}
    params = {"tower/hidden/kernel", "tower/hidden/bias", "shared/kernel", "shared/bias"}
    assert calls | params <= set(nodes)
    inputs = {name.partition(":")[0] for name in re.findall(r'^  input: "([^"]+)"', text, re.MULTILINE)}
    assert inputs <= set(nodes), "no edge comes from nowhere"
    assert 's: "float32[3, 3, 1, 4]"' in text


def test_pictures_are_png_files(server: Server) -> None:
    tags = told(server, "plugin/images/tags")["units_4/train"]
    assert set(tags) == {"inputs", "kernels/conv/kernel", "predictions", "confusion"}
    for tag in tags:
        seen = told(server, "plugin/images/images", run="units_4/train", tag=tag, sample="0")
        assert [one["step"] for one in seen] == ([0] if tag == "inputs" else [4, 8])
        picture = server(f"plugin/images/individualImage?{seen[-1]['query']}")
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", picture[16:24])
        size = struct.unpack(">I", picture[33:37])[0]
        assert len(zlib.decompress(picture[41 : 41 + size])) == height * (1 + 3 * width)


def test_the_projector_loads_every_snapshot(server: Server, runs: Any) -> None:
    run = runs[1]["units_4"]
    asked = {"run": "units_4/train"}
    assert set(told(server, "plugin/projector/runs")) == {"units_4/train"}
    entries = told(server, "plugin/projector/info", **asked)["embeddings"]
    names = ["tower/hidden call 1 epoch 0001", "words epoch 0002", "tower/hidden call 1 epoch 0002"]
    assert [entry["tensorName"] for entry in entries] == names
    table = np.frombuffer(server("plugin/projector/tensor", **asked, name=names[1]), np.float32).reshape(20, 8)
    np.testing.assert_array_equal(table, run.train_state.params["words"]["embeddings"])
    model = drawn(4)
    part = jg.Model(model.inputs, model.output_of("tower/hidden", call=1))
    params, state = (part.select(t, of=model) for t in (run.train_state.params, run.train_state.model_state))
    points = np.frombuffer(server("plugin/projector/tensor", **asked, name=names[2]), np.float32).reshape(12, 8)
    np.testing.assert_allclose(points, part.predict(params, state, rows(12)[0]), rtol=1e-5, atol=1e-6)
    assert server("plugin/projector/metadata", **asked, name=names[1]).decode().splitlines() == WORDS
    lines = server("plugin/projector/metadata", **asked, name=names[2]).decode().splitlines()
    assert lines == ["a\tb", *(f"{n}\t{label}" for n, label in enumerate(rows(12)[1]))]
    sprite = server("plugin/projector/sprite_image", **asked, name=names[2])
    assert struct.unpack(">II", sprite[16:24]) == (4 * 6, 4 * 6)
    assert entries[2]["sprite"]["singleImageDim"] == [6, 6]


def test_hyperparameters_stand_in_one_table_with_the_last_scalars(server: Server, runs: Any) -> None:
    experiment = json.loads(server("plugin/hparams/experiment", {"experimentName": ""}))
    assert {info["name"] for info in experiment["hparamInfos"]} == {"units", "activation", "shared"}
    columns = [{"metric": info["name"]} for info in experiment["metricInfos"]]
    wanted = {"metric": {"group": "validation", "tag": "loss"}}
    assert wanted in columns
    status = ["STATUS_SUCCESS"]
    asked = {"experimentName": "", "allowedStatuses": status, "colParams": [wanted], "startIndex": 0, "sliceSize": 9}
    groups = json.loads(server("plugin/hparams/session_groups", asked))["sessionGroups"]
    assert {group["name"]: group["hparams"] for group in groups} == {
        f"units_{units}": {"units": units, "activation": "relu", "shared": True} for units in UNITS
    }
    for group in groups:
        (value,) = [one["value"] for one in group["metricValues"] if one["name"] == wanted["metric"]]
        assert value == pytest.approx(runs[1][group["name"]].history["val_loss"][-1])


def test_texts_say_what_was_trained(server: Server) -> None:
    assert set(told(server, "plugin/text/tags")["units_6/train"]) == {"summary", "trainer"}
    (summary,) = told(server, "plugin/text/text", run="units_6/train", tag="summary")
    assert "tower/hidden" in summary["text"]
    assert "Parameters:" in summary["text"]


def test_a_trace_of_the_steps_that_were_asked_for(tmp_path: Path) -> None:
    model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(2)])
    trainer = jg.Trainer(model, optax.sgd(0.1), loss="mse")
    data = np.ones((40, 4)), np.ones((40, 2))
    callback = jg.callbacks.TensorBoard(tmp_path, profile_steps=(2, 5))
    run = trainer.fit(data, epochs=1, batch_size=8, callbacks=[callback], progress=False)
    plain = trainer.fit(data, epochs=1, batch_size=8, progress=False)
    jax.tree.map(np.testing.assert_array_equal, run.train_state.params, plain.train_state.params)
    (trace,) = (tmp_path / "plugins" / "profile").iterdir()
    assert {path.suffix for path in trace.iterdir()} >= {".pb", ".gz"}
    with contextlib.suppress(RuntimeError):
        jax.profiler.stop_trace()
        pytest.fail("a trace is still under way")
