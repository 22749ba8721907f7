"""The bench: every library trains the same numbers on the same task, and what fails is said while the rest goes on."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgraph as jg
from scripts import bench
from scripts.benchmark import drawings, linen
from scripts.benchmark.arithmetic import operations
from scripts.benchmark.tasks import TASKS
from scripts.benchmark.worker import counted, covered

EVERY_MODEL = pytest.mark.parametrize("name", list(TASKS))


def draw(name: str) -> Any:
    return getattr(drawings, name)(jg)


def parameters(name: str) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(draw(name).params_spec))


@EVERY_MODEL
def test_flax_has_as_many_parameters(name: str) -> None:
    inputs = TASKS[name].data(1)[0]
    shapes = jax.eval_shape(linen.MODELS[name]().init, jax.random.key(0), inputs)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == parameters(name)


@pytest.mark.slow
@EVERY_MODEL
def test_keras_has_as_many_parameters(name: str) -> None:
    keras = pytest.importorskip("keras")
    trained = getattr(drawings, name)(keras).trainable_variables
    assert sum(int(np.prod(variable.shape)) for variable in trained) == parameters(name)


@EVERY_MODEL
def test_torch_has_as_many_parameters(name: str) -> None:
    pytest.importorskip("torch")
    modules = importlib.import_module("scripts.benchmark.modules")
    trained = [p for p in modules.MODELS[name]().parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == parameters(name)


@EVERY_MODEL
def test_the_data_are_what_the_model_takes(name: str) -> None:
    inputs, targets = TASKS[name].data(1)
    trainer = jg.Trainer(draw(name), optax.sgd(0.1), loss=TASKS[name].losses)
    logs = jax.eval_shape(lambda state: trainer.step(state, (inputs, targets))[1], trainer.template)
    assert logs["loss"].shape == ()


@pytest.mark.parametrize("name", ["heads", "inception"])
def test_operations_are_those_that_xla_counts(name: str) -> None:
    """Of Flax's model, whose convolutions are XLA's own, with the gradients as JAX writes them."""
    module, (inputs, _) = linen.MODELS[name](), TASKS[name].data(1)
    variables = module.init(jax.random.key(0), inputs)

    def loss(variables: Any, inputs: Any) -> Any:
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(module.apply(variables, inputs)))

    costs: Any = jax.jit(jax.grad(loss)).lower(variables, inputs).compile().cost_analysis()
    assert operations(draw(name)) * TASKS[name].batch_size == pytest.approx(costs["flops"], rel=0.1)


FIGURES = {
    "first_step": 2.5,
    "import": 1.0,
    "build": 0.5,
    "trace": None,
    "compile": None,
    "run": 1.0,
    "compilations": None,
    "process_bytes": 2**29,
    "device_bytes": None,
    "parameters": 5313,
    "device": "cpu: cpu",
}
DESCRIBED = {
    "machine": {
        "processor": "abacus",
        "cores": 2,
        "memory": 2**32,
        "python": "3.11.0",
        "device": "cpu: cpu",
        "roofs": {"flops": 1e11, "bytes": 1e10},
    },
    "models": {name: {"about": task.about, "flops": 1e9, "parameters": 5313} for name, task in TASKS.items()},
}


def test_what_fails_is_said_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {"jgraph": iter([100.0, 50.0, 80.0]), "flax": iter([50.0, 50.0, 50.0])}
    asked = []

    def run(python: str, module: str, *arguments: str, **options: Any) -> Any:
        if module != "worker":
            versions = {"jax": "0.10.2", "optax": "0.2.8", "flax": "0.12.8", "keras": "3.15.1"}
            return DESCRIBED if module == "machine" else versions
        library = json.loads(arguments[0])["library"]
        asked.append(library)
        if library not in rates:
            raise bench.WorkerError("MemoryError: no more")
        return {"steps_per_second": next(rates[library]), **FIGURES}

    monkeypatch.setattr(bench, "run", run)
    chosen = ["jgraph", "torch", "keras-jax", "loop", "flax"]
    options = ["--out", str(tmp_path), "--keep", str(tmp_path / "kept" / "one.json"), "--rounds", "3"]
    assert bench.main(["--models", "qa", "--libraries", *chosen, *options]) == 1
    assert asked == ["jgraph", "flax", "keras-jax", "jgraph", "flax", "jgraph", "flax"]

    figures = json.loads((tmp_path / "kept" / "one.json").read_text())
    assert figures == json.loads((tmp_path / "bench.json").read_text())
    found = figures["models"]["qa"]
    assert {name: result["fault"] for name, result in found["results"].items()} == {
        "jgraph": None,
        "flax": None,
        "loop": "not measured, as it is written for mlp alone",
        "keras-jax": "failed in round 1: MemoryError: no more",
        "torch": "not measured, as torch is not installed",
    }
    assert found["summary"]["jgraph"]["steps_per_second"] == [80.0, 50.0, 100.0]
    assert found["summary"]["flax"]["ratio"] == [0.625, 0.5, 1.0]
    printed = capsys.readouterr().out
    assert [line.split()[:5] for line in printed.splitlines() if line.startswith(" jgraph")] == [
        ["jgraph", "80.0", "±", "31", "%"]
    ]
    assert "PyTorch, eager: not measured, as torch is not installed" in printed
    assert {"bench.svg", "bench.png"} <= {file.name for file in tmp_path.iterdir()}


def test_a_process_that_fails_or_hangs_is_an_error_with_its_last_words() -> None:
    with pytest.raises(bench.WorkerError, match=r"^KeyError: 'nothing'$"):
        bench.run(
            sys.executable, "worker", '{"model": "nothing", "library": "flax", "batches": 1, "seconds": 1}', timeout=60
        )
    with pytest.raises(bench.WorkerError, match=r"^it took more than 0.01 seconds$"):
        bench.run(sys.executable, "versions", timeout=0.01)


def test_epochs_are_counted_after_a_moment_where_they_are_short() -> None:
    assert counted([10.0, 13.0, 16.0]) == (2, 6.0)
    assert counted([10.0, 10.1, 10.2, 10.31, 10.41, 10.51]) == (2, 0.2)
    assert counted([10.0, 10.1]) == (1, 0.1)


def test_time_within_time_is_counted_once() -> None:
    assert covered([(1.0, 4.0), (2.0, 3.0), (3.5, 5.0)]) == 4.0
    assert covered([]) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("library", ["jgraph", "flax", "loop"])
def test_a_process_measures(library: str) -> None:
    asked = {"model": "mlp", "library": library, "batches": 32, "seconds": 0}
    found = bench.run(sys.executable, "worker", json.dumps(asked), timeout=300)
    parts = [found[part] for part in ("import", "build", "trace", "compile", "run")]
    assert sum(parts) == pytest.approx(found["first_step"])
    assert found["steps_per_second"] > 0
    assert found["compilations"] > 0
    assert found["parameters"] == parameters("mlp")
