"""What a graph is, as one hash, and in what two graphs differ.

The hash is of the nodes in their order, which is the same however the drawing was written down: paths, classes and
configurations of layers, references, constants, masks, treatments, and the structure of inputs and outputs. What a
layer was called by its user, and the model's own name, do not count, as paths say it; nor does history.
"""

import dataclasses
import hashlib
import itertools
import json
from types import CellType, FunctionType
from typing import Any

from jgraph.core.flat import Record, records_of
from jgraph.core.graph import Graph
from jgraph.core.layer import Layer
from jgraph.core.serialise import Writer, unsound
from jgraph.core.treatment import Treatment
from jgraph.errors import SaveError
from jgraph.parse import parse


def fingerprint_of(graph: Graph) -> str:
    """The sha256 of a graph, as 64 hexadecimal digits.

    Raises:
        SaveError: the graph holds something that no file could say, such as a lambda.
    """
    writer = _Canonical()
    content = {
        "nodes": [writer.record(record) for record in records_of(graph)],
        "inputs": writer.value(graph.inputs, "inputs"),
        "outputs": writer.value(graph.outputs, "outputs"),
        "layers": writer.table,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _Canonical(Writer):
    """Writes what decides about a graph, and nothing else: a nested model is what its nodes in this graph are.

    `opened` are the functions whose cells are being written, as a function may hold itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[FunctionType] = []

    def layer(self, layer: Layer) -> int:
        if layer.is_graph and layer not in self.places:
            self.places[layer] = len(self.table)
            self.table.append({"class": "Model"})
        return super().layer(layer)

    def plain(self, layer: Layer) -> dict[str, Any]:
        entry = super().plain(layer)
        return {key: value for key, value in entry.items() if key != "name" or not layer.written}

    def record(self, record: Record) -> dict[str, Any]:
        if record.layer.is_graph:  # what its treatment says of dtypes and training is said by its nodes
            record = dataclasses.replace(record, treatment=Treatment(remat=record.treatment.remat))
        return {key: value for key, value in self.node(record).items() if key != "given"}

    def value(self, value: Any, where: str) -> Any:
        written = super().value(value, where)
        if isinstance(value, FunctionType) and value.__closure__ and value not in self.opened:
            self.opened.append(value)  # what it was made with is a part of what it is
            written = {**written, "made with": [self._cell(cell, where) for cell in value.__closure__]}
            self.opened.pop()
        if isinstance(value, dict):  # keywords mean the same in any order
            written["$dict"].sort(key=lambda pair: json.dumps(pair[0], sort_keys=True))
        return written

    def _cell(self, cell: CellType, where: str) -> Any:
        try:
            return self.value(cell.cell_contents, where)
        except SaveError:  # nothing can be said of it but its kind
            return type(cell.cell_contents).__name__
        except ValueError:  # nothing is in it yet
            return None


def differences(saved: str, given: str) -> dict[str, tuple[str, str]]:
    """By path, in what the nodes of two models' JSON differ, as each says it; `""` for the inputs and outputs.

    Raises:
        LoadError: a text is no model's JSON.
    """
    try:
        both = [_nodes_by_path(parse(text)) for text in (saved, given)]
    except Exception as error:
        raise unsound(error) from error
    paths = [path for path in {**both[0], **both[1]} if both[0].get(path) != both[1].get(path)]
    pairs = {path: (both[0].get(path, []), both[1].get(path, [])) for path in paths}
    return {path: (_told(saved, given), _told(given, saved)) for path, (saved, given) in pairs.items()}


def _told(calls: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """What calls of one path say where the others say something else."""
    if not calls:
        return "no node"
    found = []
    for call, other in itertools.zip_longest(calls, others[: len(calls)], fillvalue={}):
        other = other if other.get("class") == call.get("class") else {}
        found += [{key: call.get(key) for key in {**call, **other} if call.get(key) != other.get(key)}]
    texts = dict.fromkeys(json.dumps(own, sort_keys=True) for own in found if own)
    return " and ".join(texts) or f"{len(calls)} calls"


def _nodes_by_path(content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    layers, model = content["layers"], content["layers"][content["model"]]
    order = [node["path"] for node in model["nodes"]]

    def said(value: Any) -> Any:
        """A value with paths in place of references, which differ wherever a node comes or goes."""
        if isinstance(value, dict) and "$ref" in value:
            place, index = value["$ref"]
            return f"<{order[place]}{f' #{index}' if index else ''}>"
        if isinstance(value, dict):
            return {key: said(below) for key, below in value.items()}
        return [said(below) for below in value] if isinstance(value, list) else value

    found: dict[str, list[dict[str, Any]]] = {}
    for node in model["nodes"]:
        layer = layers[node["layer"]]
        kind = {"class": layer["class"], **layer.get("fields", {})}
        rest = {key: said(value) for key, value in node.items() if key not in ("path", "layer", "within", "given")}
        found.setdefault(node["path"], []).append({**kind, **rest})
    return {**found, "": [{"inputs": said(model["inputs"]), "outputs": said(model["outputs"])}]}
