"""Balances: how much each of several losses counts, found while training; given to a trainer as `loss_weights`."""

from jgraph.balance.averages import DWA as DWA
from jgraph.balance.balance import Balance as Balance
from jgraph.balance.conflicts import PCGrad as PCGrad
from jgraph.balance.norms import GradNorm as GradNorm
from jgraph.balance.uncertainty import Uncertainty as Uncertainty
