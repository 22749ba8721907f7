"""The bench of layers: its families compute the same on all sides, its records add up, and it goes on after faults."""

import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from scripts import bench_layers
from scripts.layer_speed.clock import ROUNDS, interleaved
from scripts.layer_speed.family import Case, spread
from scripts.layer_speed.goals import best, geometric_mean, misses, ratio, share
from scripts.layer_speed.picture import draw
from scripts.layer_speed.sides import Data
from scripts.layer_speed.summary import summary
from scripts.layer_speed.worker import by_name, measure

FAMILIES = by_name(bench_layers.MODULES)
OWN = ("tests.scripts.layer_families",)
ROOF = {"flops": 100e9, "bytes": 10e9}


def record(jgraph: float, plain: float, torch: float | None = None, **more: Any) -> dict[str, Any]:
    sides = {"jgraph": jgraph, "plain": plain} | ({} if torch is None else {"torch": torch})
    rounds = {side: [seconds] * 9 for side, seconds in sides.items()}
    names = {"case": "dense batch=1", "family": "dense", "options": {}, "direction": "forward", "mode": "step"}
    return {**names, "slow": False, "recurrent": False, "roof": 0.5, "rounds": rounds, **more}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_both_sides_give_the_same_shapes(name: str) -> None:
    family = FAMILIES[name]
    for case in list(spread(family.cases(), 0))[:2]:
        work = family.work(**case.options)
        data = Data(work)
        ours, plain = (jax.eval_shape(apply, data.params, data.x) for apply in (data.apply(work), work.plain))
        assert (ours.shape, ours.dtype) == (plain.shape, plain.dtype), str(case)


def test_a_name_stands_for_one_family() -> None:
    names = [str(case) for family in FAMILIES.values() for case in family.cases()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("mode", ["step", "loop"])
@pytest.mark.parametrize("direction", ["forward", "gradient"])
def test_one_case(mode: str, direction: str) -> None:
    found = measure(FAMILIES["dense"], (small_dense(), direction, mode), ROOF)
    assert "fault" not in found
    assert found["same"]
    assert {"jgraph", "plain"} <= set(found["rounds"]) <= {"jgraph", "plain", "single", "torch"}
    assert ("single" in found["rounds"]) == (mode == "loop")
    assert len(found["rounds"]["jgraph"]) >= ROUNDS
    moved = 4 * (2 * 3 + 3 * 5 + 5 + 2 * 5)
    times = (1, 1) if direction == "forward" else (3, 2)
    assert (found["flops"], found["bytes"]) == (times[0] * 2 * 2 * 3 * 5, times[1] * moved)
    assert found["roof"] == pytest.approx(times[1] * moved / 10e9)
    json.dumps(found)


def small_dense() -> Case:
    return Case("dense", {"batch": 2, "features": 3, "units": 5, "activation": "relu"})


def test_another_result_is_a_fault() -> None:
    found = measure(by_name(OWN)["thrice"], (Case("thrice", {"batch": 1}), "forward", "step"), ROOF)
    assert found["fault"].startswith("ArithmeticError: plain differs from jgraph by 0.5 of the largest number")


def test_ratios_and_goals() -> None:
    assert ratio(record(2.0, 3.0), "plain") == 1.5
    assert math.isnan(ratio(record(2.0, 3.0), "torch"))
    assert best(record(2.0, 3.0, 1.0)) == 0.5
    assert share(record(2.0, 3.0)) == 0.25
    assert geometric_mean([1.0, 4.0, math.nan]) == pytest.approx(2.0)
    assert misses(record(1.0, 0.96, 0.1)) == []
    assert misses(record(1.0, 0.94, 0.1)) == ["plain"]
    assert misses(record(1.0, 0.5, same=True)) == []
    assert misses(record(1.0, 0.96, 2.0, slow=True)) == ["best"]
    assert misses(record(1.0, 1.0, 0.7, recurrent=True)) == ["torch"]
    scattered = record(1.0, 1.0)
    scattered["rounds"]["plain"] = [0.5, 0.5, 0.5, 0.5, 0.5, 2.0, 2.0, 2.0, 2.0]
    assert misses(scattered) == []


def test_the_summary_and_its_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [record(1.0, 2.0), record(1.0, 0.5), {**record(1.0, 1.0), "direction": "gradient"}]
    rows.append({key: value for key, value in record(1.0, 1.0).items() if key != "rounds"} | {"fault": "no"})
    forward = summary(rows)[0]
    assert (forward["cases"], forward["faults"], forward["misses"]) == (2, 1, {"plain": 1})
    assert (forward["plain"]["mean"], forward["plain"]["least"]) == pytest.approx((1.0, 0.5))
    draw(rows, tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 1000


def test_sides_take_turns() -> None:
    calls: list[str] = []

    def side(name: str) -> Any:
        return lambda count: calls.append(name) or 1.0

    found = interleaved({"a": side("a"), "b": side("b"), "c": side("c")}, rounds=2)
    assert found == {"a": [1.0, 1.0], "b": [1.0, 1.0], "c": [1.0, 1.0]}
    assert calls[3:] == ["a", "b", "c", "b", "a", "c"]


def test_the_plan_takes_families_in_turn() -> None:
    families = [FAMILIES[name] for name in ("lstm", "dense")]
    cases = list(bench_layers.planned(families, 0, 1e9))
    assert [case.family for case in cases[:4]] == ["lstm", "dense", "lstm", "dense"]
    assert len({str(case) for case in cases}) == len(cases) == sum(len(family.cases()) for family in families)
    limited = list(bench_layers.planned(families, 0, 0.1))
    assert np.all([3 * FAMILIES[c.family].work(**c.options).flops <= 1e8 for c in limited])
    assert len(limited) < len(cases)


def test_unknown_layers_are_named() -> None:
    with pytest.raises(SystemExit, match="There is no family denze; there are average_pooling1d"):
        bench_layers.main(["--layers", "denze"])


@pytest.mark.slow
def test_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.jsonl"
    words = ["--out", str(file), "--layers", "twice,deadly", "--sample", "2", "--directions", "forward"]
    assert bench_layers.main(words, OWN) == 1
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert set(lines[0]["machine"]["roofs"]) == {"flops", "bytes"}
    twice, deadly = lines[1:]
    assert "plain" in twice["rounds"]
    assert deadly["fault"] == "ended its process"
    printed = capsys.readouterr().out
    assert "2 to measure, 0 are there." in printed
    assert "ended its process" in printed
    file.write_text(file.read_text() + '{"case": "cut')
    assert bench_layers.main([*words, "--layers", "twice", "--sample", "1"], OWN) == 0
    assert "0 to measure, 1 are there." in capsys.readouterr().out
