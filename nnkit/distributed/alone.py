"""A run of one process."""

from __future__ import annotations

from typing import Any

from nnkit.backends.contract import Array, Backend
from nnkit.distributed.contract import Communicator


class Alone(Communicator):
    """The only rank: its sums are what it has."""

    rank, size, local_rank, local_size = 0, 1, 0, 1

    def all_reduce(self, backend: Backend, array: Array, compress: bool = False) -> None:
        """Leave the array as it is."""

    def gather(self, value: Any) -> list[Any]:
        """Return what was given, in a list."""
        return [value]

    def fail(self, reason: str) -> None:
        """Tell nobody, as there is nobody."""
