"""A price from three inputs: what is made up hangs together, branches stand alone, and a small run goes to its end."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jgraph as jg
from experiments import data, price
from experiments.__main__ import EXPERIMENTS
from tests.experiments import files


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files.fashion(tmp_path)
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path))
    return tmp_path


def test_a_price_follows_from_what_the_inputs_say_and_the_floor_from_the_buyers() -> None:
    classes = np.arange(4_000) % 10
    inputs, prices, floor = price.make_items(np.zeros((4_000, 28, 28, 1), np.uint8), classes, seed=0)
    assert inputs["text"].shape == (4_000, price.LENGTH)
    assert not np.any(inputs["text"] == 1), "every word is known"
    assert np.all(inputs["text"][:, -1] == 0), "no text is cut"
    assert np.all(prices > 0)
    again, others = (price.make_items(inputs["picture"], classes, seed)[1] for seed in (0, 1))
    assert np.array_equal(again, prices)
    assert not np.array_equal(others, prices)

    words = {code: word for word, code in price.CODES.items()}
    texts = [" ".join(words[code] for code in row if code) for row in inputs["text"]]
    value = np.array(price.EUROS)[classes] * np.exp(-(inputs["numbers"][:, 0] + 1) * 3 / 8)
    value *= np.array(price.SIZES)[np.round((inputs["numbers"][:, 1] + 1) * 2.5).astype(int)]
    value *= 1 + 0.3 * np.array(price.WARM)[classes] * inputs["numbers"][:, 2]
    for table in (price.BRANDS, price.CONDITIONS):
        found = [[factor for words, factor in table.items() if words in text] for text in texts]
        assert {len(factors) for factors in found} == {1}
        value *= np.array(found)[:, 0]
    ratio = prices / value
    np.testing.assert_allclose([ratio.mean(), ratio.std()], [1.0, 0.1], atol=0.005)
    np.testing.assert_allclose(np.sqrt(np.mean((prices - value) ** 2)), floor, rtol=1e-4)


def test_the_three_are_as_large_as_the_joint_one_and_share_no_input() -> None:
    prices = np.array([10.0, 30.0], np.float32)
    joint = price.draw("joint", tuple(price.BRANCHES), prices)
    alone = [price.draw(branch, (branch,), prices) for branch in price.BRANCHES]
    assert [list(model.inputs) for model in alone] == [["picture"], ["text"], ["numbers"]]
    own, three = (
        sum(spec.size for model in models for spec in jax.tree.leaves(model.params_spec)) for models in ([joint], alone)
    )
    assert own <= three <= 1.02 * own


def test_padding_says_nothing() -> None:
    model = price.draw("text", ("text",), np.array([10.0, 30.0], np.float32))
    params, state = model.init(jax.random.key(0))
    text = np.array([[5, 9, 3] + [0] * (price.LENGTH - 3)], np.int32)
    said = model.apply(params, state, {"text": text})[0]["price"]
    other = jax.tree.map(lambda x: x, params)
    table = np.array(other["embedding"]["embeddings"])
    table[0] = 100.0
    other["embedding"]["embeddings"] = table
    np.testing.assert_array_equal(said, model.apply(other, state, {"text": text})[0]["price"])


@pytest.mark.slow
def test_a_small_run_leaves_all_that_it_says_and_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, chosen = root / "run", {name: price.BRANCHES[name] for name in ("text", "numbers")}
    monkeypatch.setattr(price, "BRANCHES", chosen)  # without the picture it takes half the time
    tiny = ["--epochs", "1", "--rows", "64", "--folder", str(folder)]
    reached = price.main(tiny)
    shown = {"joint", "text", "numbers", "average", "weighted sum", "product", "mean price"}
    assert {f"{name}, {part}" for name in shown for part in ("validation", "test")} <= set(reached)
    assert reached["weighted sum, validation"] <= min(reached["average, validation"], reached["mean price, validation"])
    assert EXPERIMENTS["price"].figure in reached
    assert json.loads((folder / "figures.json").read_text())["reached"] == reached
    for name in ("joint", *chosen):
        assert {"1", "curves.png", "log.csv", "tensorboard"} == {path.name for path in (folder / name).iterdir()}
    model, params, state = jg.load(folder / "joint", step="best")
    images, classes = data.fashion_mnist()["test"]
    inputs, prices, floor = price.make_items(images, classes, seed=2)
    error = model.predict(params, state, {name: inputs[name] for name in chosen})["price"][:, 0] - prices
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(error))), reached["joint, test"], rtol=1e-5)
    assert floor == reached["floor"]
    assert price.main([*tiny, "--resume"]) == reached


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(price.__file__).read_text(encoding="utf-8").splitlines()) < 150
