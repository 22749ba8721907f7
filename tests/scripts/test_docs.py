"""The site of `make docs`: it is built without a warning, and examples of docstrings are code there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.docstring_examples import fenced

ROOT = Path(__file__).parents[2]


def test_examples_stand_in_fences() -> None:
    text = "Adds one.\n\n    >>> x = f(\n    ...     1)\n    >>> x\n    2\n\nMore."
    fence = "    ```pycon\n    >>> x = f(\n    ...     1)\n    >>> x\n    2\n    ```"
    assert fenced(text) == f"Adds one.\n\n{fence}\n\nMore."


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    found = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "site/reference/training.html").read_text(encoding="utf-8")
    assert "compilation_cache" in page
    assert "&gt;&gt;&gt;" in page
