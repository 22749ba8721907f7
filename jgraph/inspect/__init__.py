"""Looking at a model and a run: what a step needs, what each node takes, and a page that tells of a whole run."""

from jgraph.inspect.budget import Budget as Budget
from jgraph.inspect.budget import budget as budget
from jgraph.inspect.recompute import Recompute as Recompute
from jgraph.inspect.report import report as report
from jgraph.inspect.timing import NodeTime as NodeTime
from jgraph.inspect.timing import Timings as Timings
from jgraph.inspect.timing import measure as measure
