"""The script that plans a language model for devices that are not there, on a small one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = [
    "--blocks",
    "1",
    "--width",
    "64",
    "--heads",
    "4",
    "--hidden",
    "128",
    "--vocabulary",
    "100",
    "--length",
    "16",
    "--batch",
    "8",
    "--devices",
    "4",
]


@pytest.mark.parametrize(("mesh", "split"), [(("4", "1"), 4), (("2", "2"), 4)], ids=["fsdp", "fsdp and rules"])
def test_a_small_model_is_planned(mesh: tuple[str, str], split: int) -> None:
    command = [sys.executable, "-m", "scripts.scale", *SMALL, "--mesh", *mesh, "--leaves"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True
    ).stdout
    gate = next(line for line in done.splitlines() if " params/block_0/gate/kernel " in line)
    whole, own = re.findall(r"([\d.]+) (?:kB|B)", gate)
    assert float(whole) == pytest.approx(split * float(own), rel=0.01)
    assert "128 tokens a step" in done
    assert "all-gather over" in done
    assert "On a TPU v5p" in done


def test_a_mesh_that_does_not_multiply_out() -> None:
    command = [sys.executable, "-m", "scripts.scale", *SMALL, "--mesh", "3", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "not one of 4 devices" in done.stderr
