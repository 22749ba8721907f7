"""What an event file can say, as plain records, and each as the bytes of the message that TensorBoard reads.

tensorboardX gives the messages and the checksum, and nothing else of it is used.
"""

import struct
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from jgraph.ops.distribution import Distribution

VERSION = "brain.Event:2"
"""What the first record of an event file says: the format that TensorBoard reads."""

STATUSES = {"running": 3, "success": 1, "failure": 2}
"""How a session of HParams stands, by TensorBoard's numbers."""


class Scalars(NamedTuple):
    """Numbers at a step of training, by tag. The files hold them as float32."""

    step: int
    values: Mapping[str, float]


class Histograms(NamedTuple):
    """Distributions at a step of training, by tag."""

    step: int
    values: Mapping[str, Distribution]


class Picture(NamedTuple):
    """A picture as the bytes of a PNG file, with its size, and a text beside it."""

    png: bytes
    height: int
    width: int
    caption: str = ""


class Images(NamedTuple):
    """Pictures at a step of training, by tag."""

    step: int
    values: Mapping[str, Picture]


class Texts(NamedTuple):
    """Texts at a step of training, by tag, in Markdown."""

    step: int
    values: Mapping[str, str]


class GraphNode(NamedTuple):
    """A node of a drawing: `inputs` are names of others, with `:1` for their second output.

    `name` is parted by `/` into scopes. `shapes` are those of its outputs, -1 for an axis that is not known.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    facts: Mapping[str, int | str]


class Graph(NamedTuple):
    """The drawing of a model, at the step when it was drawn."""

    step: int
    nodes: tuple[GraphNode, ...]


class SessionStart(NamedTuple):
    """The hyperparameters of a run: numbers, texts and truth values by name."""

    step: int
    values: Mapping[str, float | str | bool]


class SessionEnd(NamedTuple):
    """How a run ended: one of `STATUSES`."""

    step: int
    status: str


Record = Scalars | Histograms | Images | Texts | Graph | SessionStart | SessionEnd


def version() -> bytes:
    """The message that an event file begins with."""
    return _event(file_version=VERSION)


def message(record: Record) -> bytes:
    """A record as a message, as of now."""
    if isinstance(record, Graph):
        return _event(step=record.step, graph_def=_graph(record))
    if isinstance(record, Scalars):
        values = [{"tag": tag, "simple_value": float(value)} for tag, value in record.values.items()]
    elif isinstance(record, Histograms):
        values = [{"tag": tag, "histo": _histogram(d)} for tag, d in record.values.items() if d.number]
    elif isinstance(record, Images):
        values = [_image(tag, picture) for tag, picture in record.values.items()]
    elif isinstance(record, Texts):
        values = [_text(tag, text) for tag, text in record.values.items()]
    elif isinstance(record, SessionStart):
        values = [_session("session_start_info", {"hparams": _hparams(record), "start_time_secs": time.time()})]
    else:
        ended = {"status": STATUSES[record.status], "end_time_secs": time.time()}
        values = [_session("session_end_info", ended)]
    return _event(step=record.step, summary={"value": values})


def step_of(data: bytes) -> int:
    """The step of a message."""
    from tensorboardX.proto import event_pb2

    messages: Any = event_pb2
    return messages.Event.FromString(data).step


def checksum_of(data: bytes) -> bytes:
    """The checksum that stands behind a length and a message in an event file."""
    from tensorboardX.record_writer import masked_crc32c

    return struct.pack("<I", masked_crc32c(data))


def _event(**fields: Any) -> bytes:
    """An event as of now."""
    from tensorboardX.proto import event_pb2

    messages: Any = event_pb2  # it makes its classes when it is imported
    return messages.Event(wall_time=time.time(), **fields).SerializeToString(deterministic=True)


def _histogram(found: Distribution) -> dict[str, Any]:
    """A histogram with the upper ends of its bins; where all numbers are one, one bin."""
    bins = len(found.counts)
    if found.most > found.least:
        limits = [found.least + (found.most - found.least) * (n + 1) / bins for n in range(bins - 1)] + [found.most]
        counts: tuple[int, ...] = found.counts
    else:
        limits, counts = [found.most], (found.number,)
    moments = {"min": found.least, "max": found.most, "sum": found.total, "sum_squares": found.squares}
    return {**moments, "num": found.number, "bucket_limit": limits, "bucket": counts}


def _image(tag: str, picture: Picture) -> dict[str, Any]:
    size = {"height": picture.height, "width": picture.width, "colorspace": 3}
    said = {"metadata": {"summary_description": picture.caption}} if picture.caption else {}
    return {"tag": tag, "image": {**size, "encoded_image_string": picture.png}, **said}


def _text(tag: str, text: str) -> dict[str, Any]:
    tensor = {"dtype": "DT_STRING", "tensor_shape": {}, "string_val": [text.encode()]}
    return {"tag": tag, "tensor": tensor, "metadata": {"plugin_data": {"plugin_name": "text"}}}


def _hparams(record: SessionStart) -> dict[str, Any]:
    kinds = {bool: "bool_value", str: "string_value"}
    return {name: {kinds.get(type(value), "number_value"): value} for name, value in record.values.items()}


def _session(what: str, fields: dict[str, Any]) -> dict[str, Any]:
    from tensorboardX.proto import plugin_hparams_pb2

    messages: Any = plugin_hparams_pb2
    hparams = fields.pop("hparams", {})
    content = messages.HParamsPluginData(**{what: fields})
    for name, value in hparams.items():
        for kind, given in value.items():
            setattr(content.session_start_info.hparams[name], kind, given)
    plugin = {"plugin_name": "hparams", "content": content.SerializeToString(deterministic=True)}
    return {"tag": f"_hparams_/{what}", "metadata": {"plugin_data": plugin}}


def _graph(record: Graph) -> bytes:
    from tensorboardX.proto import graph_pb2

    messages: Any = graph_pb2
    nodes = [_node(node) for node in record.nodes]
    return messages.GraphDef(node=nodes, versions={"producer": 22}).SerializeToString(deterministic=True)


def _node(node: GraphNode) -> dict[str, Any]:
    shapes = [{"dim": [{"size": size} for size in shape]} for shape in node.shapes]
    attributes: dict[str, Any] = {"_output_shapes": {"list": {"shape": shapes}}}
    for name, fact in node.facts.items():
        attributes[name] = {"i": fact} if isinstance(fact, int) else {"s": fact.encode()}
    return {"name": node.name, "op": node.op, "input": node.inputs, "attr": attributes}
