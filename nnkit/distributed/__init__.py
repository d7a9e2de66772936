"""Training on several processes, ranks: each has the model and a share of every batch."""

from nnkit.distributed.contract import Communicator

__all__ = ["Communicator"]
