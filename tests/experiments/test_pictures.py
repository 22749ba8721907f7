"""The experiments on pictures: what is drawn is what is said, and a small run goes from end to end."""

import collections
import json
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgraph as jg
from experiments import clothes, inception, residual, xception
from experiments.__main__ import EXPERIMENTS
from tests.experiments import files


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path / "data"))
    files.fashion(tmp_path / "data")
    return tmp_path


def kinds(model: jg.Model) -> collections.Counter[str]:
    return collections.Counter(type(node.layer).__name__ for node in model.nodes)


def count(model: jg.Model) -> int:
    return sum(spec.size for spec in jax.tree.leaves(model.params_spec))


def small() -> jg.Model:
    """A network that compiles soon, in place of a large one."""
    image, x = clothes.picture()
    x = clothes.conv(jg.layers.MaxPooling2D(4)(x), 8, 3)
    return clothes.classified(image, x, "small")


def test_what_is_seen_is_scaled_and_while_training_shifted_by_two_at_most() -> None:
    image, x = clothes.picture()
    model = jg.Model(image, x)
    pictures = np.zeros((64, 28, 28, 1), np.uint8)
    pictures[:, 10, 20] = 255
    least, most = -0.2860 / 0.3530, (1 - 0.2860) / 0.3530
    seen, _ = model.apply({}, {}, pictures)
    np.testing.assert_allclose(seen, np.where(pictures == 255, most, least), rtol=1e-5, atol=1e-5)
    seen, _ = model.apply({}, {}, pictures, train=True, key=jax.random.key(0))
    bright = np.argwhere(np.asarray(seen)[..., 0] > 0)
    assert len(bright) == 64
    assert {*bright[:, 1]} == {8, 9, 10, 11, 12}
    assert {*bright[:, 2]} == {5, 6, 7, 8, 9, 18, 19, 20, 21, 22}


def test_an_inception_block_has_four_branches_of_one_symbol() -> None:
    model = inception.draw()
    assert count(model) < 1_000_000
    assert kinds(model)["Concatenate"] == 4
    x = jg.Input((14, 14, 8))
    out = inception.inception(x, 4, 8, 6, 2)
    assert out.shape[1:] == (14, 14, 4 + 8 + 6 + 2)


def test_the_twins_differ_in_their_shortcuts_alone() -> None:
    deep, plain = residual.draw(), residual.draw(shortcut=False)
    windows = [
        [n.path for n in m.nodes if isinstance(n.layer, jg.layers.Conv2D) and n.layer.kernel_size in (3, (3, 3))]
        for m in (deep, plain)
    ]
    assert [len(paths) + 1 for paths in windows] == [20, 20]  # and the layer of classes
    assert (kinds(deep)["Add"], kinds(plain)["Add"]) == (9, 0)
    assert count(deep) - count(plain) == 32 * 64 + 2 * 64
    assert count(deep) < 1_000_000
    assert kinds(residual.draw(norm=False))["BatchNormalization"] == 0


def test_gradients_are_those_of_the_loss() -> None:
    image, x = clothes.picture()
    x = residual.block(residual.convolved(x, 4, 4, norm=False), 4, 1, shortcut=True, norm=False)
    model = clothes.classified(image, x, "three")
    random = np.random.default_rng(0)
    batch = random.integers(0, 255, (8, 28, 28, 1), dtype=np.uint8), np.arange(8, dtype=np.int32)
    found = residual.gradients(model, 0, batch)
    assert [kernel.size for kernel in found] == [9 * 4, 9 * 16, 9 * 16]
    params, state = model.init(jax.random.key(0))

    def loss(kernel: jax.Array) -> jax.Array:
        own = {**params, "conv2d": {**params["conv2d"], "kernel": kernel}}
        outputs, _ = model.apply(own, state, batch[0], train=True, key=jax.random.key(0))
        return -jnp.log(outputs["class"])[jnp.arange(8), batch[1]].mean()

    np.testing.assert_allclose(jax.grad(loss)(params["conv2d"]["kernel"]).ravel(), found[0], rtol=1e-3, atol=1e-7)


def test_xception_has_a_shortcut_around_every_block() -> None:
    model = xception.draw()
    assert count(model) < 1_000_000
    assert kinds(model)["Add"] == 7
    assert kinds(model)["SeparableConv2D"] == 2 + 6 * 3 + 1


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [inception, xception])
def test_a_run_leaves_its_figures_and_goes_on_to_the_same(
    experiment: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(experiment, "draw", small)
    folder = root / "run"
    words = ["--epochs", "2", "--batch", "32", "--folder", str(folder)]
    reached = experiment.main(words)
    assert {"accuracy_over_time.png", "curves.png", "figures.json", "log.csv", "tensorboard"} < {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "figures.json").read_text())["reached"] == reached
    assert reached["million params"] == count(small()) / 1e6
    assert 0 <= reached[EXPERIMENTS["inception"].figure] <= 1
    again = experiment.main([*words, "--resume"])
    assert {name: again[name] for name in again if name != "minutes"} == {
        name: reached[name] for name in reached if name != "minutes"
    }
    assert "test accuracy" in capsys.readouterr().out


@pytest.mark.slow
def test_both_twins_are_trained_and_their_gradients_drawn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(shortcut: bool = True, norm: bool = True) -> jg.Model:
        image, x = clothes.picture()
        x = residual.block(residual.convolved(x, 4, 4, norm), 4, 1, shortcut, norm)
        return clothes.classified(image, x, "residual" if shortcut else "plain")

    monkeypatch.setattr(residual, "draw", tiny)
    folder = root / "twins"
    reached = residual.main(["--epochs", "1", "--batch", "32", "--folder", str(folder)])
    assert {"test accuracy", "plain twin, test accuracy"} < set(reached)
    assert sum(name.startswith("log10 of a gradient") for name in reached) == 4
    assert (folder / "gradients.png").read_bytes()[:4] == b"\x89PNG"
    assert {"plain", "residual"} < {path.name for path in folder.iterdir()}
