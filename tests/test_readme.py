"""The README: its Python runs as it stands, its commands exist, and its map of the project is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "embedding_1" in printed
    assert "logits, before softmax" in printed
    assert re.findall(r"epoch \d/\d", printed) == ["epoch 1/2", "epoch 2/2", "epoch 3/3"]
    assert names["probabilities"].shape == (256, 500)  # pyright: ignore[reportAttributeAccessIssue]
    assert names["vectors"].shape == (64, 32)  # pyright: ignore[reportAttributeAccessIssue]
    history = names["run"].history  # pyright: ignore[reportAttributeAccessIssue]
    assert str(sorted(history)) in TEXT


def test_the_commands_of_the_readme_are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "lint"} <= targets
    assert set(re.findall(r"make ([a-z]+)\b", TEXT)) <= targets | {"it"}


def test_the_map_of_the_readme_names_what_is_there() -> None:
    for path in re.findall(r"`((?:jgraph|experiments)/[\w/.]*)`", TEXT):
        assert (ROOT / path).exists(), f"README names {path}"
