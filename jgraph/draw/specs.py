"""Shapes and dtypes as people write them, for messages and tables."""

import re
from typing import Any

import jax

from jgraph.typing import PyTree


def show(spec: Any) -> str:
    """A spec or array as people write it, a free axis without a name as `None`.

    >>> import jax.numpy as jnp
    >>> show(jnp.ones((2, 3)))
    'float32[2, 3]'
    """
    if not (hasattr(spec, "shape") and hasattr(spec, "dtype")):
        return type(spec).__name__
    return f"{spec.dtype}[{', '.join(show_size(d) for d in spec.shape)}]"


def show_size(size: Any) -> str:
    """A size: a number, `batch`, the name of a free axis, or `None` for one without a name and what follows from it."""
    text = str(size)
    return "None" if "free_" in text or len(text) > 24 else text


def without_tokens(text: str) -> str:
    """A message of JAX with the axes that have no name as `None`, and as `None#1`, `None#2` where they are several."""
    found = list(dict.fromkeys(re.findall(r"\bfree_[0-9a-f]+_\d+\b", text)))
    if len(found) < 2:
        return text.replace(found[0], "None") if found else text
    for number, token in enumerate(found, 1):
        text = re.sub(rf"\b{token}\b", f"None#{number}", text)
    return text


def show_tree(tree: PyTree) -> str:
    """The specs of a tree, in order."""
    return ", ".join(show(leaf) for leaf in jax.tree.leaves(tree)) or "nothing"
