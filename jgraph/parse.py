"""JSON that anyone may have written: what it says, where it says one thing only."""

import json
from typing import Any


def parse(text: str) -> Any:
    """What a text of JSON says.

    Raises:
        ValueError: it is no JSON, nests too deep to be read, or an object in it has a key twice.

    >>> parse('{"a": [1, NaN]}')
    {'a': [1, nan]}
    >>> parse('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: the key 'a' stands twice in one object
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("the text nests too deep") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(
            f"the key {next(key for key in keys if keys.count(key) > 1)[:80]!r} stands twice in one object"
        )
    return found
