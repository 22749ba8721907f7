"""Examples of docstrings as code on the pages of `make docs`: an extension of the reader that mkdocstrings has."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n\1\S.*)*", re.MULTILINE)
"""From a prompt to the next empty line, with what is printed."""


def fenced(text: str) -> str:
    """A docstring's text whose examples stand in fences, as Markdown reads code."""

    def in_fence(found: re.Match[str]) -> str:
        return f"{found[1]}```pycon\n{found[0]}\n{found[1]}```"

    return EXAMPLE.sub(in_fence, text)


class Examples(griffe.Extension):
    """Puts the examples of every docstring in fences."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object that is read."""
        del kwargs
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
