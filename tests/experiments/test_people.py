"""One record, three outputs: who sees which column, what a number becomes, and a small run from end to end."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jgraph as jg
from experiments import data, people
from experiments.__main__ import EXPERIMENTS
from tests.experiments import files

TEXTS = {
    "workclass": ("Private", "State-gov"),
    "education": ("Bachelors", "HS-grad", "11th"),
    "marital-status": ("Divorced", "Never-married"),
    "occupation": ("Sales", "Tech-support"),
    "relationship": ("Husband", "Wife", "Own-child"),
    "race": ("White", "Black"),
    "sex": ("Male", "Female"),
    "native-country": ("United-States", "Cuba"),
    "income": ("<=50K", ">50K"),
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up census: 60 rows to train and validate, 20 to test, and one with an unknown value in each."""
    random, rows = np.random.default_rng(0), dict[str, list[tuple]]()
    for part, count in (("train", 60), ("test", 20)):
        rows[part] = []
        for row in range(count + 1):
            person = {name: random.choice(TEXTS.get(name, range(17, 90))) for name in data.COLUMNS}
            person |= {"capital-gain": random.choice([0, 0, 7688, 99999]), "capital-loss": random.choice([0, 19])}
            rows[part].append(tuple((person | ({"workclass": "?"} if row == 0 else {})).values()))
    files.adult(tmp_path, rows)
    monkeypatch.setenv("JGRAPH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def drawn(small: Path) -> tuple[jg.Model, dict, dict, dict]:
    rows = data.adult()
    tables = people.tables_of(rows["train"], bins=4)
    model = people.draw(tables, (40.0, 10.0))
    params, state = model.init(jax.random.key(0))
    return model, tables, params, state


def test_age_and_sex_are_not_told_from_what_gives_them_away(drawn: tuple) -> None:
    model, tables, params, state = drawn
    inputs, targets = people.arrays_of(data.adult()["test"], tables)
    assert len(targets["age"]) == 20
    before, _ = model.apply(params, state, inputs)
    for name in people.OWN:
        after, _ = model.apply(params, state, inputs | {name: inputs[name][::-1]})
        np.testing.assert_array_equal(before["age"], after["age"])
        np.testing.assert_array_equal(before["sex"], after["sex"])
        assert not np.array_equal(before["income"], after["income"]), name
    for name in people.SHARED:
        after, _ = model.apply(params, state, inputs | {name: inputs[name][::-1]})
        assert not np.array_equal(before["age"], after["age"]), name


def test_a_number_fills_its_bins_and_a_strange_text_has_a_place(drawn: tuple) -> None:
    _, tables, _, _ = drawn
    edges = tables["capital-gain"]
    assert edges[0] == 0
    assert edges[1] == 7688, "bins are those of the gains above 0"
    number, (filled, place) = people.read("capital-gain", edges, 1)
    reading = jg.Model(number, [jg.Model(number, filled).output_of("clip"), place])
    params, state = reading.init(jax.random.key(0))
    (share, _), _ = reading.apply(params, state, np.array([0.0, 3844.0, 7688.0, 2e5], np.float32))
    np.testing.assert_allclose(share[:, 0], [0.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(share.sum(-1), [0.0, 0.5, 1.0, len(edges) - 1])

    strange = data.adult()["test"]
    strange["race"] = np.full(20, "Martian")
    inputs, _ = people.arrays_of(strange, tables)
    assert set(inputs["race"]) == {2}


@pytest.mark.slow
def test_a_small_run_leaves_all_that_it_says_and_goes_on(small: Path, capsys: pytest.CaptureFixture) -> None:
    folder = small / "run"
    tiny = ["--epochs", "2", "--ways", "equal,gradnorm", "--folder", str(folder)]
    reached = people.main(tiny)
    assert {"income, % wrong", "equal, test: sex, % wrong", "gradnorm, validation: age, RMSE in years"} <= set(reached)
    assert EXPERIMENTS["people"].figure in reached
    assert json.loads((folder / "figures.json").read_text())["reached"] == reached
    for way in ("equal", "gradnorm"):
        assert {"curves.png", "log.csv", "tensorboard"} <= {path.name for path in (folder / way).iterdir()}
        model, _, _ = jg.load(folder / way, step="best", averaged=True)
        assert list(model.outputs) == ["age", "income", "sex"]
    assert "14.05" in capsys.readouterr().out
    assert people.main([*tiny, "--resume"]) == reached


def test_it_reads_from_top_to_bottom_in_under_150_lines() -> None:
    assert len(Path(people.__file__).read_text(encoding="utf-8").splitlines()) < 150
