"""To other libraries: models as modules of theirs."""

from jgraph.layers.flax_module import to_linen as to_linen
