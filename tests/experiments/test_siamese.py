"""Two sentences and one encoder: sharing is sharing, likeness knows no order, and a small run goes from end to end."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jgraph as jg
from experiments import data, siamese
from experiments.__main__ import EXPERIMENTS
from tests.experiments import files

WORDS = ("dog", "cat", "man", "running", "sleeping", "eats", "walked", "a", "the", "not")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made-up pairs whose score is how many words they share: 96 to train, 24 to validate and 24 to test."""
    random, made = np.random.default_rng(0), dict[str, list[tuple[str, str, float]]]()
    for part, count in (("train", 96), ("trial", 24), ("test", 24)):
        sides = [[set(random.choice(WORDS, 5)) for _ in range(count)] for _ in range(2)]
        made[part] = [(" ".join(a), " ".join(b), 1 + len(a & b)) for a, b in zip(*sides, strict=True)]
    made["test"][0] = "A zebra runs", "The zebra is running", 4.5
    files.sick(tmp_path, made)
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path))
    return tmp_path


def sentences(rows: int, seed: int) -> np.ndarray:
    numbers = np.random.default_rng(seed).integers(2, 30, (rows, siamese.LENGTH), dtype=np.int32)
    numbers[:, 6:] = 0
    return numbers


@pytest.mark.slow
def test_one_encoder_is_one_set_of_weights_and_knows_no_order() -> None:
    one, two = siamese.draw(30), siamese.draw(30, shared=False)
    assert set(one.params_spec) == {"encoder", "bend", "score"}
    assert set(two.params_spec) == {"encoder", "other-encoder", "bend", "score"}
    assert [node.call for node in one.nodes if node.path == "encoder"] == [0, 1]
    pair, turned = ({n: sentences(4, s) for n, s in zip(("first", "second"), o, strict=True)} for o in ((1, 2), (2, 1)))
    for model, same in ((one, True), (two, False)):
        params, state = model.init(jax.random.key(0))
        before, after = (model.apply(params, state, inputs)[0]["score"] for inputs in (pair, turned))
        assert np.array_equal(before, after) == same


@pytest.mark.slow
def test_a_sentence_is_wholly_like_itself_and_padding_is_not_read() -> None:
    encoder = siamese.draw_encoder(30, "encoder")
    params, state = encoder.init(jax.random.key(0))
    words = sentences(3, 0)
    features, _ = encoder.apply(params, state, words)
    np.testing.assert_array_equal(siamese.likeness(features, features), np.ones((3, 1)))
    other, _ = encoder.apply(params, state, sentences(3, 1))
    np.testing.assert_allclose(
        siamese.likeness(features, other)[:, 0], np.exp(-abs(features - other).sum(-1)), rtol=1e-6
    )
    blank = params | {"words": {"embeddings": params["words"]["embeddings"].at[0].set(1e3)}}
    np.testing.assert_array_equal(features, encoder.apply(blank, state, words)[0])


def test_a_word_is_its_stem_and_an_unknown_one_is_the_same_everywhere(small: Path) -> None:
    assert [siamese.stem(word) for word in ("walking", "walked", "walks", "is", "red")] == [*["walk"] * 3, "is", "red"]
    codes = {"a": 2, "the": 3, "is": 4}
    inputs, targets = siamese.arrays_of(data.sick()["test"], codes)
    first, second = inputs["first"][0], inputs["second"][0]
    assert first[0] == 2
    assert second[0] == 3
    assert first[1] == second[1] >= 5, "the zebra"
    assert first[1] < 5 + siamese.SPARE
    assert targets["score"].shape == (24, 1)


@pytest.mark.slow
def test_a_small_run_leaves_all_that_it_says_and_goes_on(small: Path, capsys: pytest.CaptureFixture) -> None:
    folder = small / "run"
    tiny = ["--epochs", "2", "--ways", "shared", "--folder", str(folder)]
    figures = siamese.main(tiny)
    measured = [
        f"{part}{name}" for part in ("", "trial, ") for name in ("Pearson", "Spearman", "MSE", "MSE without the line")
    ]
    assert set(figures) == {f"shared, {what}" for what in measured}
    assert EXPERIMENTS["siamese"].figure in figures
    assert json.loads((folder / "figures.json").read_text())["reached"] == figures
    assert "MaLSTM 0.882" in capsys.readouterr().out
    assert {"curves.png", "log.csv", "tensorboard"} <= {path.name for path in (folder / "shared").iterdir()}
    model, params, state = jg.load(folder / "shared", step="best", averaged=True, allow=[siamese.likeness])
    pairs = data.sick()
    inputs, targets = siamese.arrays_of(pairs["test"], siamese.codes_of(pairs["train"]))
    said = model.predict(params, state, inputs)["score"]
    r = np.corrcoef(said[:, 0], targets["score"][:, 0])[0, 1]
    np.testing.assert_allclose(figures["shared, Pearson"], r, rtol=1e-3)
    assert siamese.main([*tiny, "--resume"]) == figures


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(siamese.__file__).read_text(encoding="utf-8").splitlines()) < 150
