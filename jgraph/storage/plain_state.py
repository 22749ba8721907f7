"""The states of iterators as what JSON can hold, and back, value for value."""

import base64
from typing import Any

import numpy as np

from jgraph.errors import SaveError

MARK = "is"
"""The key that says of a dict what it stands for: `{"is": "bytes", "value": ...}`."""


def to_plain(state: Any, where: str) -> Any:
    """A state as what JSON can hold; bytes, tuples, arrays, and dicts with other keys than texts are marked as such.

    Raises:
        SaveError: something in it is none of these, as what would have to be pickled.

    >>> to_plain({"next": 3, "seen": b"ab"}, "data")
    {'next': 3, 'seen': {'is': 'bytes', 'value': 'YWI='}}
    """
    if state is None or type(state) in (bool, int, float, str):
        return state
    if isinstance(state, bytes):
        return _marked("bytes", base64.b64encode(state).decode())
    if isinstance(state, np.ndarray | np.generic) and state.dtype.kind in "biufc":
        content = base64.b64encode(np.ascontiguousarray(state).tobytes()).decode()
        kind = "array" if isinstance(state, np.ndarray) else "number"
        return _marked(kind, [state.dtype.str, list(state.shape), content])
    if isinstance(state, list | tuple) and type(state) in (list, tuple):
        items = [to_plain(item, f"{where}, [{place}]") for place, item in enumerate(state)]
        return items if isinstance(state, list) else _marked("tuple", items)
    if type(state) is dict:
        items = [[key, to_plain(item, f"{where}, {key!r}")] for key, item in state.items()]
        if all(type(key) is str for key in state) and MARK not in state:
            return dict(items)
        return _marked("dict", [[to_plain(key, where), item] for key, item in items])
    raise SaveError(
        where,
        expected="a state of numbers, texts, bytes, arrays of NumPy, lists, tuples and dicts, for the checkpoint",
        got=f"a {type(state).__module__}.{type(state).__qualname__}, as nothing is pickled",
        cure="Let the state of the data be made of these, or train without a Checkpoint.",
    )


def from_plain(plain: Any) -> Any:
    """The state that `to_plain` was given.

    >>> from_plain(to_plain({"next": (3, b"ab"), 1: None}, "data"))
    {'next': (3, b'ab'), 1: None}
    """
    if isinstance(plain, list):
        return [from_plain(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if MARK not in plain:
        return {key: from_plain(item) for key, item in plain.items()}
    value = plain["value"]
    match plain[MARK]:
        case "bytes":
            return base64.b64decode(value)
        case "tuple":
            return tuple(from_plain(value))
        case "dict":
            return {from_plain(key): from_plain(item) for key, item in value}
    dtype, shape, content = value
    array = np.frombuffer(base64.b64decode(content), dtype).reshape(shape).copy()
    return array if plain[MARK] == "array" else array[()]


def _marked(kind: str, value: Any) -> dict[str, Any]:
    return {MARK: kind, "value": value}
