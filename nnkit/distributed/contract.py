"""What ranks need of each other, whoever carries it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from nnkit.backends.contract import Array, Backend


class Communicator(ABC):
    """The ranks of a run: as many processes as `size`, numbered from 0.

    Every method that all ranks take part in returns on all of them or raises on all of them:
    `RankError`, which names the rank that ended, and why.
    """

    rank: int
    """This process's number, from 0."""
    size: int
    """How many processes there are, at least 1."""
    local_rank: int
    """This process's number among those of its machine, which chooses its GPU and its cores."""
    local_size: int
    """How many of the processes are on this machine."""

    @abstractmethod
    def all_reduce(self, backend: Backend, array: Array, compress: bool = False) -> None:
        """Replace a C-contiguous array of the backend by the sum of all ranks' arrays.

        The sum has one order, so that all ranks receive the same bits. In a step that is being
        captured it is part of the step. What may be sent in fewer bits, where the communicator was
        made to, says `compress`: gradients do, counts and statistics must be exact.
        """

    @abstractmethod
    def gather(self, value: Any) -> list[Any]:
        """Return what all ranks gave, in their order, on all of them: any values of the host."""

    @abstractmethod
    def fail(self, reason: str) -> None:
        """Have all other ranks end, with this rank's number and this reason."""


class RankError(RuntimeError):
    """Another rank has ended, or does not answer: this one cannot go on alone."""


def share(rows: int, rank: int, size: int) -> slice:
    """A rank's part of so many rows: consecutive ones, as many as the others have, or one fewer."""
    return slice(rows * rank // size, rows * (rank + 1) // size)
