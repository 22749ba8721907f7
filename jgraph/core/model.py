"""The model: a drawing made into a layer. It holds a flat tuple of nodes and is itself a pair of pure functions."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax

from jgraph.core import edit
from jgraph.core.blocks import blocks_of
from jgraph.core.feed import bind
from jgraph.core.find import given_to, node_at
from jgraph.core.fingerprint import fingerprint_of
from jgraph.core.flat import Record, leaf_at, records_of, redraw
from jgraph.core.graph import Graph, Node, Ref, flatten, specs_of
from jgraph.core.layer import InputLayer, Layer
from jgraph.core.lookups import index_range_of
from jgraph.core.nest import draw_within, with_masks
from jgraph.core.pictured import Pictured
from jgraph.core.policy import Policy, frozen_of, trainable
from jgraph.core.predict import predict, predict_batches
from jgraph.core.run import constrained, initialize, regularization, run
from jgraph.core.select import select
from jgraph.core.serialise import from_json, to_json
from jgraph.core.summary import summarize
from jgraph.core.treatment import Treatment
from jgraph.errors import ArgumentError, listing
from jgraph.tree import check_keys, match
from jgraph.typing import Array, Key, Params, PyTree, State


class Model(Pictured, Layer):
    """The graph between input and output symbols, as a layer: it can be initialised, applied, called and nested.

    Inputs and outputs are any pytree of symbols (one symbol, a list, a dict, nested). Layers get their names here,
    once: explicit names first, then the class in snake case, numbered depth first from the outputs.

    Raises:
        GraphError: an output depends on an input that is not among `inputs`; the input is named.
        KeyMismatchError: the keys of a dict are of two kinds, or hold a '/'.
        GraphError: what a policy makes one block is read from outside before its end.
        NameClashError: two layers have the same name.
        ShapeError: a shared layer is used on inputs that need different weights.
        SymbolError: something in `inputs` or `outputs` is no symbol.

    >>> import jax, jax.numpy as jnp, jgraph as jg
    >>> left, right = jg.Input((4,), name="left"), jg.Input((4,), name="right")
    >>> tower = jg.layers.Dense(3, name="tower")
    >>> model = jg.Model({"left": left, "right": right}, {"distance": abs(tower(left) - tower(right))})
    >>> params, state = model.init(jax.random.key(0))
    >>> jax.tree.map(jnp.shape, params)
    {'tower': {'bias': (3,), 'kernel': (4, 3)}}
    >>> outputs, state = model.apply(params, state, {"left": jnp.ones((2, 4)), "right": jnp.zeros((2, 4))})
    >>> outputs["distance"].shape
    (2, 3)
    """

    graph: Graph

    is_graph = True

    def __init__(
        self, inputs: PyTree, outputs: PyTree, *, policy: Policy | None = None, name: str | None = None
    ) -> None:
        object.__setattr__(self, "name", name)
        self.__post_init__()
        where = f"Model {name!r}" if name else "Model"
        check_keys(inputs, f"{where}, inputs", named=True)
        check_keys(outputs, f"{where}, outputs", named=True)
        object.__setattr__(self, "graph", flatten(inputs, outputs, where))
        blocks_of(self.nodes)  # a block that cannot be one is refused now
        if policy is not None:
            object.__setattr__(self, "graph", self.with_policy(policy).graph)

    # What a model consists of

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All calls in topological order."""
        return self.graph.nodes

    @functools.cached_property
    def inputs(self) -> PyTree:
        """The input symbols, with their names, in the structure the model was drawn with."""
        return jax.tree.map(self.graph.symbol, self.graph.inputs)

    @functools.cached_property
    def outputs(self) -> PyTree:
        """The output symbols, with their names, in the structure the model was drawn with."""
        return jax.tree.map(self.graph.symbol, self.graph.outputs)

    @functools.cached_property
    def layers(self) -> Mapping[str, Layer]:
        """Every layer by its path, inputs and nested models included, in topological order."""
        return MappingProxyType({node.path: node.layer for node in self.nodes if node.call == 0})

    @functools.cached_property
    def params_spec(self) -> PyTree:
        """The tree of specs that `params` must match."""
        return specs_of(self.nodes, "params")

    @functools.cached_property
    def state_spec(self) -> PyTree:
        """The tree of specs that `state` must match."""
        return specs_of(self.nodes, "state")

    @property
    def mixes_rows(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """True where any call in the model may mix the rows of a batch."""
        given = ((*n.args, *n.kwargs.values()) for n in self.nodes)
        symbols = jax.tree.map(lambda leaf: self.graph.symbol(leaf) if isinstance(leaf, Ref) else leaf, list(given))
        return any(n.layer.mixes(*s) for n, s in zip(self.nodes, symbols, strict=True) if not n.layer.is_graph)

    def index_range(self) -> int | None:
        """That of the layers that look the model's one input up."""
        return index_range_of(self.graph)

    def init(self, key: Key, *specs: Any) -> tuple[Params, State]:
        """Makes `(params, state)`, nested by path; layers without arrays are absent. `specs` are known already.

        A layer's start values depend on the key and its path alone.
        """
        del specs
        return initialize(self.nodes, key)

    def regularization(self, params: Params) -> Array | float:
        """What its trained layers add to the loss for their params."""
        return regularization(self.nodes, params)

    def constrain(self, params: Params) -> Params:
        """The params with those of its trained layers brought back to what their constraints allow."""
        return constrained(self.nodes, params)

    def frozen(self, params: Params) -> tuple[tuple[str, ...], ...]:
        """Where the params are that are never trained."""
        del params
        return tuple(frozen_of(self.nodes))

    def apply(
        self, params: Params, state: State, inputs: PyTree, *, train: bool = False, key: Key | None = None
    ) -> tuple[PyTree, State]:
        """Computes `(outputs, state)`, outputs in the structure they were drawn with.

        Raises:
            KeyMismatchError: a key of inputs, params or state is missing or one too many.
            ShapeError, DTypeError: an array does not fit.
            SymbolError: a symbol is given where an array belongs.
            RandomKeyError: `train=True` without a key, where a layer draws random numbers.
        """
        self._check(params, state)
        return self._run(params, state, bind(self.graph, inputs, repr(self)), train, key)

    def __call__(self, *inputs: PyTree, mask: Any = None, **kwargs: Any) -> PyTree:
        """Draws the model's nodes into the caller's graph, on the same weights, and returns the outputs' symbols.

        `mask` sets the inputs' masks by hand: one symbol for a single input, else a list or tuple in the inputs' order,
        `None` where an input keeps its own.

        Raises:
            KeyMismatchError, ShapeError, DTypeError, SymbolError: the symbols do not fit the model's inputs.
            ArgumentError: there are other arguments, or masks for other inputs.
        """
        if len(inputs) != 1 or kwargs:
            raise ArgumentError(
                repr(self),
                expected="one tree of symbols, as the inputs were drawn, and perhaps a mask",
                got=f"{len(inputs)} arguments" + (f" and {listing(kwargs)}" if kwargs else ""),
                cure="Give several inputs as one list or dict.",
            )
        return draw_within(self, self, with_masks(inputs[0], mask, repr(self)))

    def predict(
        self, params: Params, state: State, inputs: PyTree, *, batch_size: int = 32, out: PyTree = None
    ) -> PyTree:
        """Outputs for any number of rows as NumPy arrays, computed in batches by one compiled program.

        A last batch that is not full is filled up where no layer mixes rows. Outputs have the dtypes that they were
        drawn with. With `out`, arrays such as a `np.memmap` in their structure, they are written there and returned.

        Raises:
            ArgumentError: `batch_size` is not a positive integer, or `out` is of another shape or dtype.
            ShapeError, DataError: an output has no batch axis; an index is out of range. All errors of `apply`.
        """
        self._check(params, state)
        return predict(self, self.program, (params, state), inputs, batch_size, out)

    def predict_batches(
        self, params: Params, state: State, batches: Any, *, batch_size: int | None = None
    ) -> Iterator[PyTree]:
        """Outputs batch by batch, as NumPy arrays: of arrays, cut by `batch_size` (32), or of an iterable of inputs.

        Of an iterable, each batch's outputs are given before the next batch is asked for, so it may never end.

        Raises:
            As `predict`, and DataError: `batches` is neither. An error in a batch names its number.

        >>> import jax, jgraph as jg, numpy as np
        >>> model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3)])
        >>> [y.shape for y in model.predict_batches(*model.init(jax.random.key(0)), np.ones((5, 4)), batch_size=4)]
        [(4, 3), (1, 3)]
        """
        self._check(params, state)
        return predict_batches(self, self.program, (params, state), batches, batch_size)

    @functools.cached_property
    def program(self) -> Any:
        """Compiled, from params, state and inputs by node to outputs; what prediction runs."""
        return jax.jit(lambda params, state, fed: self._run(params, state, fed, False, None)[0])

    def _check(self, params: Params, state: State) -> None:
        cure = "Give exactly this model's own tree; a sub-model takes its part by sub.select(tree, of=model)."
        match(params, self.params_spec, f"{self!r}, params", cure)
        match(state, self.state_spec, f"{self!r}, state", cure)

    def _run(
        self, params: Params, state: State, fed: dict[int, Array], train: bool, key: Key | None
    ) -> tuple[PyTree, State]:
        values, state, _ = run(self.nodes, fed, params, state, train, key)
        return jax.tree.map(lambda ref: values[ref.node][ref.index], self.graph.outputs), state

    # Reading and cutting

    def output_of(self, path: str, call: int | None = None) -> PyTree:
        """The output symbols of the layer or nested model at a path, from which sub-models can be cut.

        Raises:
            PathError: there is no such path, or the layer was called several times and `call` does not say which.
        """
        place, node = node_at(self, path, call, "output_of")
        return jax.tree.unflatten(node.inference.tree, self.graph.symbols[place])

    def input_of(self, path: str, call: int | None = None) -> PyTree:
        """The symbols that the layer or nested model at a path was called on: one, or a tuple of several arguments.

        Of a layer called with keywords, `(arguments, keywords)`.

        Raises:
            PathError: as for `output_of`. GraphError: it is an input, or the graph was cut inside of it.
        """
        _, node = node_at(self, path, call, "input_of")
        return jax.tree.map(lambda leaf: self.graph.symbol(leaf) if isinstance(leaf, Ref) else leaf, given_to(node))

    # Editing: each gives a new model, and leaves this one as it is

    def replace(self, path: str, layer: Any) -> "Model":
        """The model with another layer at a path, in all its calls, on whatever the old one was called on.

        The new layer stands at the old path, unless it has a name. A function in its place is called on the symbols
        and draws what is to stand there: `model.replace("block", lambda x: jg.layers.add([x, dense(x)]))`.
        What is new is trained, even where the old layer was frozen; it keeps the path's dtypes and `remat`.

        Raises:
            PathError, ShapeError, GraphError, NameClashError: no such path; the new layer does not fit.

        >>> import jgraph as jg
        >>> model = jg.Sequential([jg.Input((4,)), jg.layers.Dense(3), jg.layers.Dense(2)])
        >>> model.replace("dense_1", jg.layers.Dense(5)).outputs
        <Symbol float32[batch, 5]>
        """
        return edit.replace(self, path, layer)

    def insert_after(self, path: str, layer: Layer, call: int | None = None) -> "Model":
        """The model with a layer, which is trained, between the one at a path and all that reads its outputs.

        Raises:
            PathError: no such path, or several calls and none is named. ShapeError, GraphError, NameClashError.
        """
        return edit.insert_after(self, path, layer, call)

    def remove(self, path: str, call: int | None = None) -> "Model":
        """The model without the layer at a path: what read its outputs reads its inputs.

        Raises:
            PathError: as for `insert_after`. GraphError: its outputs are more or less than its inputs, or in another
            structure; the graph holds only a part of the nested model that it is, or is in. ShapeError: what follows
            cannot take the input.
        """
        return edit.remove(self, path, call)

    def prune(self, *paths: str) -> "Model":
        """The model without the layers at these paths and all that then has nothing to read.

        A list or dict that held a cut branch goes on without it, as do `Concatenate` and the outputs; an input that
        only cut branches read is no input any more. So it is with what a nested model is given and gives, in all calls.

        Raises:
            PathError: no such path. GraphError: nothing would be left. ShapeError: what is left does not fit.
        """
        return edit.prune(self, *paths)

    def freeze(self, *patterns: str) -> "Model":
        """The model in which the layers that match are not trained: `Policy({pattern: {"trainable": False}})`.

        Raises:
            PathError, ArgumentError: no pattern, or one that matches nothing that could be trained.
        """
        return self.with_policy(trainable(False, patterns, "freeze"))

    def unfreeze(self, *patterns: str) -> "Model":
        """The model in which the layers that match are trained again; raises as `freeze` does."""
        return self.with_policy(trainable(True, patterns, "unfreeze"))

    def with_policy(self, policy: Policy) -> "Model":
        """The model with the settings of a policy; what the policy does not speak of stays as it was.

        Raises:
            PathError, ArgumentError: a rule matches nothing, or two say different things of one layer.
            GraphError: what is to be computed again as one block is read from outside before its end.
        """
        if not isinstance(policy, Policy):
            raise ArgumentError(
                f"{self!r}, policy", expected="a jg.Policy", got=repr(policy), cure="Write jg.Policy({...})."
            )
        settings = {row.path: row.settings for row in policy.plan(self).rows}
        return self.with_treatments([dataclasses.replace(n.treatment, **settings.get(n.path, {})) for n in self.nodes])

    def with_treatments(self, treatments: Sequence[Treatment]) -> "Model":
        """The model with one treatment for each of its nodes; what a policy, or an edit, has found out."""
        if all(new == node.treatment for new, node in zip(treatments, self.nodes, strict=True)):
            return self
        pairs = zip(records_of(self.graph), treatments, strict=True)
        records = tuple(dataclasses.replace(record, treatment=new) for record, new in pairs)
        given = {(p, 0): self.graph.symbols[p][0] for p, n in enumerate(self.nodes) if isinstance(n.layer, InputLayer)}
        return rebuild(records, self.graph.inputs, self.graph.outputs, self.name, self.graph.kept, given)

    def select(self, tree: PyTree, of: "Model | None" = None) -> PyTree:
        """The model's part of another model's `params` or `state`: by layer where the two share them, else by path.

        Raises:
            KeyMismatchError: the tree has no such part, or nothing says which part belongs to which layer.
            ArgumentError: `of` is no model.
        """
        return select(self, tree, of)

    def summary(self, *, expand_nested: bool = True, sizes: int | Mapping[str, int] | None = None) -> str:
        """A table of the nodes: layer, shape, params, operations and activation bytes of one row of the batch; totals.

        `expand_nested=False` shows each nested model as one row; `sizes` are those of free axes, one number or by name.

        Raises: ArgumentError: `sizes` name no free axis. ShapeError: a layer cannot take them.
        """
        return summarize(self.graph, self.name or "Model", expand_nested, sizes)

    # Copies and files

    @functools.cached_property
    def fingerprint(self) -> str:
        """The sha256 of what the graph is: the same however the drawing was written down, in any process.

        Paths, classes, configurations, references, constants, masks and treatments decide; saved with every model and
        checkpoint.

        Raises:
            SaveError: the model holds something without a name, such as a lambda.
        """
        return fingerprint_of(self.graph)

    def to_json(self) -> str:
        """The architecture as text: stable, versioned, naming only public things.

        Raises:
            SaveError: the model holds something without a name, such as a lambda.
        """
        return to_json(self)

    @staticmethod
    def from_json(text: str, allow: Iterable[Any] = ()) -> "Model":
        """The model that `to_json` wrote; layers and functions from outside of jgraph and JAX are given in `allow`.

        Raises:
            LoadError: the text is no model, of another version, or names something that was not allowed.
        """
        return from_json(text, allow, rebuild)

    def __reduce__(self) -> tuple:
        graph = self.graph
        return rebuild, (records_of(graph), graph.inputs, graph.outputs, self.name, graph.kept)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"Model({name}{len(self.nodes)} nodes)"


def rebuild(
    records: Sequence[Record],
    inputs: PyTree,
    outputs: PyTree,
    name: str | None,
    kept: frozenset[str],
    given: dict[tuple[int, int], Any] | None = None,
) -> Model:
    """A model from its flat records: draws every call again, under the name it had, perhaps on `given` inputs."""
    symbols = redraw(records, given)
    read = functools.partial(jax.tree.map, lambda ref: leaf_at(symbols, ref))
    model = Model(read(inputs), read(outputs), name=name)
    object.__setattr__(model, "graph", dataclasses.replace(model.graph, kept=kept))
    return model
