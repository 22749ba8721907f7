"""Sharding: over which axes of a mesh of devices rows, params and outputs are split; given to a trainer."""

from jgraph.sharding.rules import Sharding as Sharding
from jgraph.sharding.rules import combine as combine
from jgraph.sharding.rules import data_parallel as data_parallel
from jgraph.sharding.rules import fsdp as fsdp
from jgraph.sharding.rules import tensor_parallel as tensor_parallel
