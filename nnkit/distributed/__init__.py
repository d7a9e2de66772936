"""Training on several processes, ranks: each has the model and a share of every batch."""

from nnkit.distributed.contract import Communicator, RankError
from nnkit.distributed.launch import launched
from nnkit.distributed.opening import communicator

__all__ = ["Communicator", "RankError", "communicator", "launched"]
