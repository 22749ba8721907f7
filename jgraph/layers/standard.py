"""What jgraph's own layers share: arguments checked by their names, weights penalised and constrained by theirs."""

from typing import Any, ClassVar

import jax

from jgraph.constraints import constraint
from jgraph.core.layer import Layer
from jgraph.layers.checks import check_fields
from jgraph.regularizers import regularizer
from jgraph.tree import leaves_with_names
from jgraph.typing import Array, Params, PyTree


class Standard(Layer):
    """A layer of jgraph's own.

    A field is checked by its name when the layer is made (`check_fields`). A weight `kernel` belongs to the fields
    `kernel_initializer`, `kernel_regularizer` and `kernel_constraint`, a weight `recurrent_kernel` to
    `recurrent_regularizer` and so on, wherever in the params it is; `fields_of` says where a name is another.
    """

    fields_of: ClassVar[dict[str, str]] = {}
    """Names of weights whose fields do not begin with that name: `{"kernel": "depthwise"}`."""

    checks_itself: ClassVar[tuple[str, ...]] = ()
    """Fields that `check_fields` leaves to the layer, as more is allowed there: groups=-1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self)

    def penalizes(self) -> bool:
        """True where activities are regularized."""
        return getattr(self, "activity_regularizer", None) is not None or type(self).penalty is not Standard.penalty

    def penalty(self, params: Params, inputs: tuple, outputs: PyTree) -> Array | float:
        """The activity regularizer's, summed over all outputs, for an average row (Keras' rule)."""
        del params, inputs
        function = regularizer(getattr(self, "activity_regularizer", None))
        return sum((function(y) / y.shape[0] for y in jax.tree.leaves(outputs)), start=0.0)

    def regularizes(self) -> bool:
        """True where weights are regularized."""
        own = type(self).regularization is not Standard.regularization
        return own or self._has("regularizer", besides="activity_regularizer")

    def regularization(self, params: Params) -> Array | float:
        """The regularizers' sum over the weights."""
        total: Array | float = 0.0
        for path, leaf in leaves_with_names(params):
            total = total + regularizer(self._field(path, "regularizer"))(leaf)
        return total

    def constrains(self) -> bool:
        """True where weights are constrained."""
        return self._has("constraint") or type(self).constrain is not Standard.constrain

    def constrain(self, params: Params) -> Params:
        """Every weight through its constraint."""
        leaves, tree = jax.tree.flatten(params)
        names = [path for path, _ in leaves_with_names(params)]
        pairs = zip(names, leaves, strict=True)
        return jax.tree.unflatten(tree, [constraint(self._field(path, "constraint"))(leaf) for path, leaf in pairs])

    def _has(self, kind: str, besides: str = "") -> bool:
        fields = vars(self)
        return any(n.endswith(f"_{kind}") and n != besides and v is not None for n, v in fields.items())

    def _field(self, path: str, kind: str) -> Any:
        """The field of that kind for the weight at a path."""
        leaf = path.rpartition("/")[2]
        return getattr(self, f"{self.fields_of.get(leaf, leaf.removesuffix('_kernel'))}_{kind}", None)
