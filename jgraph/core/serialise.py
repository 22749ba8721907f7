"""Models as JSON: a table of layers, and for every model the flat list of its nodes; stable and versioned."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.core.flat import Record, records_of
from jgraph.core.graph import Ref
from jgraph.core.layer import Layer
from jgraph.core.names import find_class, find_function, find_layer, name_of_class, name_of_function
from jgraph.core.treatment import PLAIN, Treatment
from jgraph.errors import ArgumentError, LoadError, SaveError, listing
from jgraph.parse import parse

GIVEN = "given"
"""What stands in place of a class where the one who loads gives the layer."""

FORMAT, VERSION = "jgraph model", 2
TEXT = "the model's JSON"
BESIDE = (("$named", "items"), ("$array", "dtype", "shape"), ("$object", "fields"), ("$partial", "args", "keywords"))
"""What stands beside a tag, where something does."""


def to_json(model: Any) -> str:
    """A model as text.

    Raises:
        SaveError: it holds something that has no public name and no name of its own.
    """
    writer = Writer()
    place = writer.layer(model)
    content = {"format": FORMAT, "version": VERSION, "model": place, "layers": writer.table}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def from_json(text: str, allow: Iterable[Any], rebuild: Callable[..., Any]) -> Any:
    """A model from text; `rebuild` draws one from its records.

    Raises:
        LoadError: the text is no model, of an unknown version, or names something that was not allowed.
    """
    try:
        content = parse(text)
        known = content["format"] == FORMAT
    except (ValueError, TypeError, KeyError):
        known, content = False, {}
    if not known or content.get("version") != VERSION:
        raise LoadError(
            TEXT,
            expected=f"a {FORMAT} of version {VERSION}",
            got=f"version {content['version']!r}" if known and "version" in content else "something else",
            cure="Load it with the jgraph that saved it.",
        )
    listed = isinstance(allow, Iterable) and not isinstance(allow, str | bytes | dict)
    given = tuple(allow) if listed else ()
    if not listed or not all(map(callable, given)):
        expected, cure = "a list of classes, functions and layers", "Write allow=[Scale, my_function]."
        raise ArgumentError("allow", expected=expected, got=repr(allow), cure=cure)
    reader = _Reader(given, rebuild)
    try:
        _check_only(content, "format", "version", "model", "layers")
        for entry in content["layers"]:
            reader.layers.append(reader.layer(entry))
        model = reader.layers[content["model"]]
        model.graph  # noqa: B018 (only models have one)
        return model  # noqa: TRY300
    except LoadError:
        raise
    except Exception as error:
        raise unsound(error) from error


def unsound(error: Exception) -> LoadError:
    """The error of a model's JSON that could not be read to its end."""
    return LoadError(
        TEXT,
        expected="the entries of a whole model",
        got=f"{type(error).__name__}: {error}"[:1000],
        cure="The file is damaged, or was written for other classes than those allowed.",
    )


class Writer:
    """Writes values; `table` gathers the layers, each once, those that others hold first.

    `customs` are the things that a file names only by their own name, which must therefore be theirs alone; `given`
    are the layers of which it says no more than the name.
    """

    def __init__(self) -> None:
        self.table: list[dict[str, Any]] = []
        self.places: dict[Layer, int] = {}
        self.customs: dict[str, Any] = {}
        self.given: dict[str, Layer] = {}

    def layer(self, layer: Any) -> int:
        """The place of a layer in the table, where it is written now if it was not before."""
        if layer not in self.places:
            entry = self._model(layer) if hasattr(layer, "graph") else self.plain(layer)
            self.places[layer] = len(self.table)
            self.table.append(entry)
        return self.places[layer]

    def plain(self, layer: Layer) -> dict[str, Any]:
        """The entry of a layer that is no model."""
        if not layer.written:
            return {"class": GIVEN, "name": self._own_name(layer)}
        names = [f.name for f in dataclasses.fields(layer) if f.name != "name"]
        fields = {n: self.value(getattr(layer, n), f"{layer!r}, {n}") for n in names}
        return {"class": self._name(name_of_class, type(layer)), "name": layer.name, "fields": fields}

    def _model(self, model: Any) -> dict[str, Any]:
        graph = model.graph
        return {
            "class": "Model",
            "name": model.name,
            "nodes": [self.node(record) for record in records_of(graph)],
            "inputs": self.value(graph.inputs, "inputs"),
            "outputs": self.value(graph.outputs, "outputs"),
            "kept": sorted(graph.kept),
        }

    def _own_name(self, layer: Layer) -> str:
        if layer.name is None or self.given.setdefault(layer.name, layer) is not layer:
            raise SaveError(
                repr(layer),
                expected="a name of its own, as no file can say what else it is",
                got="none" if layer.name is None else f"{layer.name!r}, as another one in the model is called",
                cure="Write jg.as_layer(module, name='encoder'), and jg.load(path, allow=[that layer]).",
            )
        return layer.name

    def node(self, record: Record) -> dict[str, Any]:
        """The entry of a node."""
        node: dict[str, Any] = {"path": record.path, "layer": self.layer(record.layer)}
        if record.treatment != PLAIN:
            said = {n: v for n, v in vars(record.treatment).items() if v != getattr(PLAIN, n)}
            node["treatment"] = said
        if record.shape is not None:
            return {**node, "shape": list(record.shape)}
        if record.owner is not None:
            node["within"] = [record.owner, record.origin]
        if record.layer.is_graph:
            node["given"] = self.value(record.given, record.path)
        node["args"] = self.value(list(record.args), record.path)
        if record.kwargs:
            node["kwargs"] = self.value(record.kwargs, record.path)
        if record.mask is not None:
            node["mask"] = self.value(record.mask, record.path)
        return node

    def value(self, value: Any, where: str) -> Any:
        """A value as JSON can hold it; everything but numbers, texts and lists as an object with a tag."""
        if value is None or isinstance(value, (bool, str)) or (type(value) is int):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$float": str(value)}
        if isinstance(value, Ref):
            return {"$ref": [value.node, value.index]}
        if isinstance(value, Layer):
            return {"$layer": self.layer(value)}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            items = [self.value(v, where) for v in value]
            return {"$named": self._name(name_of_class, type(value)), "items": items}
        if isinstance(value, (list, tuple)):
            items = [self.value(v, where) for v in value]
            return items if isinstance(value, list) else {"$tuple": items}
        if isinstance(value, dict):
            return {"$dict": [[self.value(k, where), self.value(v, where)] for k, v in value.items()]}
        return self._rare(value, where)

    def _rare(self, value: Any, where: str) -> dict[str, Any]:
        if isinstance(value, slice):
            return {"$slice": [self.value(v, where) for v in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"$ellipsis": True}
        is_array = isinstance(value, (np.ndarray, np.generic, jax.Array))
        if is_array and not jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            array = np.asarray(value)
            items = [self.value(v, where) for v in array.ravel().tolist()]
            return {"$array": items, "dtype": str(array.dtype), "shape": list(array.shape)}
        if isinstance(value, complex):
            return {"$complex": [self.value(value.real, where), self.value(value.imag, where)]}
        if (
            isinstance(value, np.dtype)
            or (isinstance(value, type) and issubclass(value, np.generic))
            or _is_scalar_type(value)
        ):
            return {"$dtype": str(jnp.dtype(value))}
        if type(value) is functools.partial:
            function, args = self.value(value.func, where), self.value(list(value.args), where)
            return {"$partial": function, "args": args, "keywords": self.value(value.keywords, where)}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {"$object": self._name(name_of_class, type(value)), "fields": self._fields(value, where)}
        if callable(value) and not isinstance(value, type):
            return {"$function": self._name(name_of_function, value)}
        raise SaveError(
            where,
            expected="numbers, strings, arrays, dtypes, functions, layers, and containers of them",
            got=type(value).__name__,
            cure="Keep such a value out of the drawing, or write a layer with fields that can be said.",
        )

    def _name(self, name_of: Callable[[Any], str], thing: Any) -> str:
        name = name_of(thing)
        if name.startswith("custom:") and self.customs.setdefault(name, thing) is not thing:
            raise SaveError(
                repr(thing),
                expected="a name of its own",
                got=f"{name.removeprefix('custom:')!r}, as another one in the model is called",
                cure="Rename one of them, so that jg.load(path, allow=[...]) can tell them apart.",
            )
        return name

    def _fields(self, value: Any, where: str) -> dict[str, Any]:
        """The fields that differ from their defaults; a Flax module's `parent` is where it lives, not what it is."""
        chosen = [f for f in dataclasses.fields(value) if f.init and f.name != "parent"]
        return {
            f.name: self.value(getattr(value, f.name), f"{where}.{f.name}")
            for f in chosen
            if f.default is dataclasses.MISSING or getattr(value, f.name) is not f.default
        }


def _check_only(entry: dict[str, Any], *names: str) -> None:
    """Checks that an entry says nothing that would not be read."""
    if unknown := [name for name in entry if name not in names]:
        cure = "The file is not sound, or was saved by a later jgraph."
        raise LoadError(TEXT, expected=f"only {listing(names)}", got=listing(unknown, 4), cure=cure)


def _is_scalar_type(value: Any) -> bool:
    """True for `jnp.float32` and its like, which are no types of NumPy's."""
    return callable(value) and isinstance(getattr(value, "dtype", None), np.dtype) and hasattr(value, "__name__")


class _Reader:
    """Reads values; `layers` are those read so far, in the table's order."""

    def __init__(self, allow: tuple, rebuild: Callable[..., Any]) -> None:
        self.allow, self.rebuild = allow, rebuild
        self.layers: list[Any] = []

    def layer(self, entry: dict[str, Any]) -> Any:
        if entry["class"] == "Model":
            _check_only(entry, "class", "name", "nodes", "inputs", "outputs", "kept")
            records = tuple(self._record(node) for node in entry["nodes"])
            trees = self.value(entry["inputs"]), self.value(entry["outputs"])
            return self.rebuild(records, *trees, entry["name"], frozenset(entry["kept"]))
        if entry["class"] == GIVEN:
            _check_only(entry, "class", "name")
            return find_layer(entry["name"], self.allow, TEXT)
        _check_only(entry, "class", "name", "fields")
        kind = find_class(entry["class"], self.allow, TEXT)
        return kind(**{n: self.value(v) for n, v in entry["fields"].items()}, name=entry["name"])

    def _record(self, node: dict[str, Any]) -> Record:
        layer, treatment = self.layers[node["layer"]], Treatment(**node.get("treatment", {}))
        if "shape" in node:
            _check_only(node, "path", "layer", "treatment", "shape")
            return Record(layer, node["path"], (), {}, shape=tuple(node["shape"]), treatment=treatment)
        _check_only(node, "path", "layer", "treatment", "within", "given", "args", "kwargs", "mask")
        args, kwargs = tuple(self.value(node["args"])), self.value(node.get("kwargs", {"$dict": []}))
        (owner, origin), given = node.get("within", (None, None)), self.value(node.get("given"))
        mask = self.value(node.get("mask"))
        return Record(layer, node["path"], args, kwargs, mask, None, treatment, owner, origin, given)

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} without its tag")  # which is how such numbers are written
        if not isinstance(value, dict):
            return value
        tag = next(iter(value))
        content = value[tag]
        _check_only(value, tag, *(name for own, *names in BESIDE if own == tag for name in names))
        read: dict[str, Callable[[], Any]] = {
            "$float": lambda: float(content),
            "$ref": lambda: Ref(*content),
            "$layer": lambda: self.layers[content],
            "$tuple": lambda: tuple(self.value(v) for v in content),
            "$named": lambda: find_class(content, self.allow, TEXT)(*map(self.value, value["items"])),
            "$dict": lambda: {self.value(k): self.value(v) for k, v in content},
            "$slice": lambda: slice(*map(self.value, content)),
            "$ellipsis": lambda: Ellipsis,
            "$complex": lambda: complex(*map(self.value, content)),
            "$array": lambda: np.asarray(self.value(content), jnp.dtype(value["dtype"])).reshape(value["shape"]),
            "$dtype": lambda: jnp.dtype(content),
            "$object": lambda: self._object(content, value["fields"]),
            "$function": lambda: find_function(content, self.allow, TEXT),
            "$partial": lambda: self._partial(content["$function"], value),
        }
        return read[tag]()

    def _partial(self, name: str, entry: dict[str, Any]) -> Any:
        function = find_function(name, self.allow, TEXT)
        return functools.partial(function, *self.value(entry["args"]), **self.value(entry["keywords"]))

    def _object(self, name: str, fields: dict[str, Any]) -> Any:
        kind = find_class(name, self.allow, TEXT)
        return kind(**{n: self.value(v) for n, v in fields.items()})
