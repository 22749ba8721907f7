"""Data as rows of arrays: order, split and checks."""

from jgraph.data.rows import order_of as order_of
from jgraph.data.rows import split_rows as split_rows
