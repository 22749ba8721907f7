"""The callbacks: frozen configurations with pure hooks; what they remember is saved and resumed with the run."""

from jgraph.train.actions import Restore as Restore
from jgraph.train.actions import Save as Save
from jgraph.train.actions import ScaleLearningRate as ScaleLearningRate
from jgraph.train.actions import SetLearningRate as SetLearningRate
from jgraph.train.actions import Stop as Stop
from jgraph.train.actions import Write as Write
from jgraph.train.callback import Callback as Callback
from jgraph.train.callback import Event as Event
