"""The collectives of a compiled program: what the devices of a mesh tell each other, read from XLA's own text."""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

SENT: Mapping[str, Callable[[float, int], float]] = MappingProxyType(
    {
        "all-reduce": lambda size, n: 2 * size * (n - 1) / n,
        "all-gather": lambda size, n: size * (n - 1) / n,
        "reduce-scatter": lambda size, n: size * (n - 1),
        "all-to-all": lambda size, n: size * (n - 1) / n,
        "collective-permute": lambda size, n: size,
        "collective-broadcast": lambda size, n: size,
    }
)
"""The bytes that each of n devices sends at least, by the bytes of the result that one of them has."""

LINE = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.+?) ({'|'.join(SENT)})(-start)?\(", re.MULTILINE)
ARRAY = re.compile(r"\b(pred|[a-z]+[0-9]+[a-z0-9]*)\[([0-9,]*)\]")
GROUPS = re.compile(r"replica_groups=(?:\[\d+,(\d+)\]|\{\{([0-9,]*)\}|mesh\[([^\]]*)\] ?\{([^}]*)\})")
AXIS = re.compile(r"'([^']+)'(?:=(\d+)|:\(\d+\)(\d+))?")


class Collective(NamedTuple):
    """All collectives of one kind over groups of so many devices: how many, and the bytes that each device sends."""

    kind: str
    devices: int
    number: int
    sent: float


def collectives_of(text: str, devices: int) -> list[Collective]:
    """The collectives of a compiled program for so many devices; those in the body of a loop are counted once.

    >>> line = "%r = f32[8,4]{1,0} all-reduce(f32[8,4]{1,0} %x), replica_groups={{0,1,2,3}}, to_apply=%add"
    >>> collectives_of(line, 4)
    [Collective(kind='all-reduce', devices=4, number=1, sent=192.0)]
    """
    found: dict[tuple[str, int], tuple[int, float]] = {}
    for match in LINE.finditer(text):
        result, kind, started = match.groups()
        end = text.find("\n", match.end())
        size = _group(text[match.end() : end if end >= 0 else len(text)], devices)
        if size < 2 and kind != "collective-permute":
            continue
        count, sent = found.get((kind, size), (0, 0.0))
        found[kind, size] = count + 1, sent + SENT[kind](_bytes(result, bool(started) and kind != "all-reduce"), size)
    return [Collective(*about, *amounts) for about, amounts in sorted(found.items())]


def _group(rest: str, devices: int) -> int:
    """The number of devices of a group; all where none are named."""
    match = GROUPS.search(rest)
    if match is None:
        return devices
    sized, listed, mesh, named = match.groups()
    if mesh is not None:  # axes of a mesh, or parts of them: 'axis_0':(1)2
        sizes = {name: int(size) for name, size, _ in AXIS.findall(mesh)}
        return math.prod(int(part) if part else sizes[name] for name, _, part in AXIS.findall(named))
    return int(sized) if sized else len(listed.split(",")) if listed else devices


def _bytes(result: str, last: bool) -> float:
    """The bytes of a result; of one that is only begun, those of its `last` half, as the first is the input."""
    sizes = []
    for dtype, shape in ARRAY.findall(result):
        bits = 8 if dtype == "pred" else int(re.sub(r"^[a-z]+", "", dtype).split("e")[0] or 8)
        sizes.append(math.prod(map(int, filter(None, shape.split(",")))) * bits / 8)
    return sum(sizes[len(sizes) // 2 :] if last else sizes)
