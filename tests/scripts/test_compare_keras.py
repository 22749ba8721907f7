"""The comparison with Keras counts what is equal, and says what is not."""

import json
from pathlib import Path

import pytest

from scripts import compare_keras

FAMILIES = "tests.scripts.families"


def run(*arguments: str) -> int:
    return compare_keras.main([*arguments, "--jobs", "1"], FAMILIES)


def test_figures_and_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", str(tmp_path / "figures.json")) == 1
    figures = json.loads((tmp_path / "figures.json").read_text())
    layers = figures["layers"]
    assert {name: (row["cases"], row["equal"]) for name, row in layers.items()} == {
        "Add": (1, 1),
        "Dense": (3, 2),
        "GlobalAveragePooling1D": (1, 0),
    }
    assert 0 <= layers["Dense"]["largest"] <= figures["tolerance"]
    dense, pooling = (layers[name]["failures"][0] for name in ("Dense", "GlobalAveragePooling1D"))
    assert dense["case"] == "Dense(units=0) on float32[3, 5, 4]"
    assert dense["fault"].startswith("ArgumentError: Dense, units: expected positive integers, got 0.")
    assert pooling["case"] == "GlobalAveragePooling1D() on float32[3, 5, 4], mask=bool[3, 5]"
    assert pooling["fault"] == "outputs[0] differs by nan of its largest"
    printed = capsys.readouterr().out
    assert [line.split()[:3] for line in printed.splitlines()[4:8]] == [
        ["Add", "1", "1"],
        ["Dense", "3", "2"],
        ["GlobalAveragePooling1D", "1", "0"],
        ["all", "5", "3"],
    ]
    assert pooling["fault"] in printed
    assert {"LSTM", "Conv2D"} <= set(
        printed.splitlines()[-1].removeprefix("Without cases: ").removesuffix(".").split(", ")
    )


def test_one_layer_that_is_equal_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--family", "small", "--layer", "Add") == 0
    assert "Dense" not in capsys.readouterr().out


def test_a_sample_is_drawn_by_its_seed() -> None:
    plans = [compare_keras.plan([f"{FAMILIES}.small"], None, 2, seed) for seed in (0, 0, 1, 2, 3)]
    assert plans[0] == plans[1]
    assert any(plan != plans[0] for plan in plans)
    assert all(len(numbers) == 2 for plan in plans for _, numbers in plan)


def test_slices_hold_every_case_once() -> None:
    module = f"{FAMILIES}.small"
    assert compare_keras.plan([module], None, None, 0) == [(module, [0, 1, 2, 3, 4])]
    assert compare_keras.plan([module], "Dense", None, 0) == [(module, [0, 1, 4])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--family", "smal"], "there is no family smal; there are small"),
        (["--layer", "Densee"], "there are no cases of Densee"),
    ],
    ids=["family", "layer"],
)
def test_what_is_not_there_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(*arguments)
    assert message in capsys.readouterr().err
