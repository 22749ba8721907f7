"""What helps to find out why a training goes wrong."""

from jgraph.debug.locate_nan import locate_nan as locate_nan
from jgraph.train.locate import Finding as Finding
