"""The face of jgraph: exactly the names that are documented, each with an example that runs."""

import ast
import doctest
import inspect
import types
from typing import Any

import pytest

import jgraph

# What the README documents, topic by topic. A name more or less here is a change of the contract.
DOCUMENTED = {
    "drawing": (
        "Input",
        "Model",
        "Policy",
        "carry",
        "lora",
        "merge_lora",
        "Sequential",
        "Symbol",
        "Layer",
        "layers",
        "op",
        "as_layer",
    ),
    "training": (
        "Trainer",
        "Run",
        "TrainState",
        "update_statistics",
        "find_learning_rate",
        "Loss",
        "callbacks",
        "losses",
        "metrics",
        "balance",
        "optimizers",
    ),
    "weights": ("initializers", "regularizers", "constraints"),
    "devices": ("sharding",),
    "files": ("save", "load"),
    "looking": ("inspect", "debug"),
    "other libraries": ("interop",),
    "errors": ("errors",),
}


def names_of(face: types.ModuleType) -> list[str]:
    """The names that a face lists (importing their modules binds the names of folders too, which are not listed)."""
    imports = [node for node in ast.parse(inspect.getsource(face)).body if isinstance(node, ast.ImportFrom)]
    return [alias.name for node in imports for alias in node.names]


def public() -> dict[str, Any]:
    """Every public class and function by its full name, those of sub-modules included; tables in capitals are data."""
    found = {}
    for name in names_of(jgraph):
        value = getattr(jgraph, name)
        if inspect.ismodule(value) and not hasattr(value, "__path__"):
            continue  # a file of classes, such as errors, that has tests of its own
        inner = (
            {f"{name}.{n}": getattr(value, n) for n in names_of(value)} if inspect.ismodule(value) else {name: value}
        )
        found |= {
            full: member for full, member in inner.items() if not full.split(".")[-1].isupper() or callable(member)
        }
    return found


def test_the_face_is_what_is_documented() -> None:
    assert sorted(names_of(jgraph)) == sorted(name for names in DOCUMENTED.values() for name in names)


@pytest.mark.parametrize("name", sorted(public()))
def test_every_public_name_has_an_example(name: str) -> None:
    value = public()[name]
    assert value.__module__.startswith("jgraph."), f"jgraph.{name} is defined in {value.__module__}"
    # An object that the library made, such as a metric, is explained by its class.
    examples = doctest.DocTestParser().get_examples(value.__doc__ or "")
    assert examples, f"jgraph.{name} has no example (`>>>`) in its docstring"
