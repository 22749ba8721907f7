"""The callbacks: frozen configurations with pure hooks; what they remember is saved and resumed with the run."""

from jgraph.callbacks.checkpoint import Checkpoint as Checkpoint
from jgraph.callbacks.csv_logger import CSVLogger as CSVLogger
from jgraph.callbacks.early_stopping import EarlyStopping as EarlyStopping
from jgraph.callbacks.functions import on_epoch_begin as on_epoch_begin
from jgraph.callbacks.functions import on_epoch_end as on_epoch_end
from jgraph.callbacks.functions import on_exception as on_exception
from jgraph.callbacks.functions import on_step_begin as on_step_begin
from jgraph.callbacks.functions import on_step_end as on_step_end
from jgraph.callbacks.functions import on_train_begin as on_train_begin
from jgraph.callbacks.functions import on_train_end as on_train_end
from jgraph.callbacks.plateau import RaiseLROnPlateau as RaiseLROnPlateau
from jgraph.callbacks.plateau import ReduceLROnPlateau as ReduceLROnPlateau
from jgraph.callbacks.progress_bar import ProgressBar as ProgressBar
from jgraph.callbacks.scheduler import LearningRateScheduler as LearningRateScheduler
from jgraph.callbacks.tensorboard import TensorBoard as TensorBoard
from jgraph.callbacks.terminate_on_nan import TerminateOnNaN as TerminateOnNaN
from jgraph.train.actions import Restore as Restore
from jgraph.train.actions import Save as Save
from jgraph.train.actions import ScaleLearningRate as ScaleLearningRate
from jgraph.train.actions import SetLearningRate as SetLearningRate
from jgraph.train.actions import Stop as Stop
from jgraph.train.actions import Write as Write
from jgraph.train.callback import Callback as Callback
from jgraph.train.callback import Event as Event
