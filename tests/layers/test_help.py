"""`help(jg.layers.X)` is enough to use a layer: what every docstring of a layer has to say."""

import dataclasses
import fnmatch
import inspect
import re
from typing import Any

import keras
import pytest

import jgraph as jg
from jgraph.layers.standard import Standard
from tests.test_public_names import names_of

NAMES = sorted(names_of(jg.layers))
LAYERS = [name for name in NAMES if isinstance(getattr(jg.layers, name), type)]
FUNCTIONS = sorted(set(NAMES) - set(LAYERS))

GLOSSARY = [
    word
    for line in re.findall(r"^- ((?:`[\w*]+`(?:, )?)+): ", jg.layers.__doc__ or "", re.MULTILINE)
    for word in re.findall(r"`([\w*]+)`", line)
]
"""The words that the face of the layers explains for all of them."""


def text_of(name: str) -> str:
    return inspect.getdoc(getattr(jg.layers, name)) or ""


def unexplained(name: str, words: list[str]) -> list[str]:
    """Those of the words that neither the glossary nor the docstring has."""
    own = [word for word in words if not any(fnmatch.fnmatchcase(word, pattern) for pattern in GLOSSARY)]
    return [word for word in own if not re.search(rf"\b{re.escape(word)}\b", text_of(name))]


def checks(layer: Any) -> bool:
    """Whether the class, or a base below `Standard`, raises: itself, or through a function that is made for it."""
    classes = [c for c in layer.__mro__ if issubclass(c, jg.Layer) and c not in (Standard, jg.Layer)]
    return any(re.search(r"\braise \w|\bcheck_\w+\(", inspect.getsource(c)) for c in classes)


def test_the_glossary_is_found() -> None:
    assert {"units", "activation", "*_regularizer", "name", "mask"} <= set(GLOSSARY)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_sentence_says_what_it_is(name: str) -> None:
    first = text_of(name).split("\n\n")[0]
    assert not first.startswith(f"{name}("), f"{name} has no docstring of its own"
    assert re.search(r"[.:]$", first), f"{name}: the first paragraph is no sentence: {first!r}"
    assert len(first.split()) > 3, f"{name}: {first!r} says nothing"


@pytest.mark.parametrize("name", LAYERS)
def test_every_argument_is_explained(name: str) -> None:
    missing = unexplained(name, [field.name for field in dataclasses.fields(getattr(jg.layers, name))])
    assert not missing, f"help(jg.layers.{name}) does not say what {missing} are"


@pytest.mark.parametrize("name", LAYERS)
def test_every_option_of_a_call_is_explained(name: str) -> None:
    parameters = inspect.signature(getattr(jg.layers, name).apply).parameters.values()
    missing = unexplained(name, [p.name for p in parameters if p.kind is p.KEYWORD_ONLY])
    assert not missing, f"help(jg.layers.{name}) does not say what {missing} of its call are"


@pytest.mark.parametrize("name", [name for name in LAYERS if hasattr(keras.layers, name)])
def test_the_reference_is_named(name: str) -> None:
    text = " ".join(text_of(name).split())
    assert re.search(rf"\bAs `keras\.layers\.{name}`", text), f"{name}: write 'As `keras.layers.{name}`'"


@pytest.mark.parametrize("name", [name for name in LAYERS if checks(getattr(jg.layers, name))])
def test_what_is_raised_is_listed(name: str) -> None:
    assert re.search(r"^Raises:\n +[A-Z]\w+Error: ", text_of(name), re.MULTILINE), f"{name} has no 'Raises:'"


@pytest.mark.parametrize("name", NAMES)
def test_there_is_an_example(name: str) -> None:
    assert ">>> " in text_of(name), f"{name} has no example"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_of_a_function_is_explained(name: str) -> None:
    missing = unexplained(name, list(inspect.signature(getattr(jg.layers, name)).parameters))
    assert not missing, f"help(jg.layers.{name}) does not say what {missing} are"
