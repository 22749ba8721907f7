"""Training ends at the first step whose loss is not finite."""

from jgraph.errors import check_flag
from jgraph.train.callback import Callback


class TerminateOnNaN(Callback):
    """Stops training at the first step whose loss is NaN or infinite, and keeps the train state from before that step.

    `fit` adds one where none is given; `TerminateOnNaN(enabled=False)` switches it off. The choice is made inside the
    compiled step, on the device, so it costs no round trip to the host. `run.stopped` says which output's loss it was,
    and at which step.

    A loss may be finite while its gradients are not: the params are then lost with that step, and the next one stops.
    With `gradients=True` a step whose gradients are not finite is refused too.

    With `locate=True` a step is also refused whose update would leave params that are not finite; and the one that is
    refused is replayed, with all that its nodes hand to each other, to find where it began. `run.stopped` then names
    the node and the pass, forward, loss, backward or update, and the ranges of its inputs. Until then the params are
    looked at once a step, the last few batches are kept, and the state before a step lives until the one after it is
    known to be finite: at most one train state more. `jg.debug.locate_nan` does it by hand.

    Raises:
        ArgumentError: an argument is neither `True` nor `False`.

    >>> import jgraph as jg
    >>> jg.callbacks.TerminateOnNaN().guards(), jg.callbacks.TerminateOnNaN(enabled=False).guards()
    ('loss', None)
    """

    enabled: bool = True
    gradients: bool = False
    locate: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(type(self).__name__, enabled=self.enabled, gradients=self.gradients, locate=self.locate)

    def default_name(self) -> str:
        """Its name, without the underline that the rule would put into NaN."""
        return "terminate_on_nan"

    def guards(self) -> str | None:
        """What has to be finite for a step to be taken."""
        return None if not self.enabled else "update" if self.locate else "gradients" if self.gradients else "loss"

    def locates(self) -> bool:
        """Whether a step that was refused is replayed."""
        return self.enabled and self.locate
