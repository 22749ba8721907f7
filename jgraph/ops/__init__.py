"""The functions that layers are made of, which saved models may name."""

from jgraph.ops.convolve import convolve as convolve
from jgraph.ops.convolve import convolve_channels as convolve_channels
from jgraph.ops.convolve import convolve_transposed as convolve_transposed
from jgraph.ops.indexing import getitem as getitem
from jgraph.ops.pool import average_pool as average_pool
from jgraph.ops.pool import max_pool as max_pool
