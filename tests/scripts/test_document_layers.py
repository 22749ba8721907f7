"""The pages of docs/layers are what the docstrings say, and their examples are those that run as doctests."""

import doctest
import re
import types
import xml.etree.ElementTree as ElementTree

import pytest

import jgraph as jg
from scripts.document_layers import FAMILIES, FOLDER, WIDTH, members_of, modules_of, pages
from tests.test_public_names import names_of

PAGES = pages()
TEXTS = {name: text for name, text in PAGES.items() if name.endswith(".md")}
CODE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
EVERY_PAGE = pytest.mark.parametrize("name", sorted(TEXTS))


@pytest.mark.parametrize("face", [jg.layers, jg.initializers], ids=lambda face: face.__name__)
def test_everything_is_on_one_page(face: types.ModuleType) -> None:
    values = [value for title in FAMILIES for value in members_of(title).values()]
    found = [value.__name__ for value in values if value.__module__.startswith(f"{face.__name__}.")]
    missing = {name: vars(face)[name].__module__ for name in set(names_of(face)) - set(found)}
    assert not missing, f"no page has {missing}: add the modules to FAMILIES of scripts/document_layers.py"
    assert len(found) == len(set(found))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_what_the_docstrings_say(name: str) -> None:
    file = FOLDER / name
    assert file.exists(), f"docs/layers/{name} is missing: run make docs"
    assert file.read_text(encoding="utf-8") == PAGES[name], f"docs/layers/{name} is not up to date: run make docs"


def test_no_page_is_left_over() -> None:
    left_over = {file.name for file in FOLDER.iterdir()} - set(PAGES)
    assert not left_over, f"{left_over} are made from nothing: run make docs"


@pytest.mark.parametrize("title", FAMILIES)
def test_the_examples_of_a_page_run(title: str) -> None:
    """Each is an example of a docstring of jgraph, word for word: as such it runs, and has no need to run twice."""
    finder, parser = doctest.DocTestFinder(), doctest.DocTestParser()
    tested = {(e.source, e.want) for m in modules_of(title) for test in finder.find(m) for e in test.examples}
    name = next(name for name, text in TEXTS.items() if text.startswith(f"# {title}\n"))
    shown = [code for language, code in CODE.findall(TEXTS[name]) if language == "pycon"]
    examples = {(e.source, e.want) for code in shown for e in parser.get_examples(code)}
    assert examples <= tested
    assert examples or not members_of(title)


@EVERY_PAGE
def test_a_page_reads_well(name: str) -> None:
    """No line is too long (but rows of tables, which cannot be broken), and something stands below every heading."""
    text = CODE.sub("code\n", TEXTS[name])
    rows = [row for row in TEXTS[name].split("\n") if not row.startswith("|")]
    assert [row for row in rows if len(row) > WIDTH] == []
    assert re.findall(r"^#+ .*\n+(?=#|\Z)", text, re.MULTILINE) == []
    assert text.count("`") % 2 == 0
    assert "```" not in text


@EVERY_PAGE
def test_links_lead_somewhere(name: str) -> None:
    text = CODE.sub("", TEXTS[name])
    labels = dict(re.findall(r"^\[(.+)\]: (\S+)$", text, re.MULTILINE))
    targets = [*re.findall(r"\]\(([^)]+)\)", text), *labels.values()]
    assert {label.lower() for label in labels} == {x.lower() for x in re.findall(r"^\| \[(.+?)\] ", text, re.MULTILINE)}
    assert len({label.lower() for label in labels}) == len(labels)
    for file, _, anchor in (target.partition("#") for target in targets):
        assert (file or name) in PAGES
        headings = re.findall(r"^#+ (.*)$", TEXTS[file or name], re.MULTILINE) if anchor else []
        assert not anchor or anchor.split("-")[0] in {h.lower().removesuffix("()") for h in headings}


def test_the_picture_of_activations_is_a_picture() -> None:
    root = ElementTree.fromstring(PAGES["activation.svg"])
    named = {
        text for element in root.iter() if element.tag.endswith("text") for text in (element.text or "").split(", ")
    }
    assert {"relu", "gelu", "silu", "swish"} <= named
    assert named.isdisjoint({"softmax", "log_softmax"})
