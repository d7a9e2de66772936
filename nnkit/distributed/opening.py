"""Making the communicator of this process."""

from __future__ import annotations

from nnkit.distributed import launch
from nnkit.distributed.alone import Alone
from nnkit.distributed.contract import Communicator

COMPRESSIONS = (None, "float16", "bfloat16")
_made: Communicator | None = None


def communicator(timeout: float = 60.0, compress: str | None = None) -> Communicator:
    """Meet the other ranks of this run, and return what connects this one with them.

    mpiexec, srun and torchrun say how many processes there are, as RANK, WORLD_SIZE, MASTER_ADDR
    and MASTER_PORT do; a process that was started alone is the only rank. On GPUs, this comes
    before the first use of CUDA: each rank gets the GPU of its number on its machine. A process has
    one communicator: asked again, this returns the same.

    A rank that raises, is killed, or has not answered for `timeout` seconds (while others waited
    for it, or in giving signs of life) ends the run: RankError on all others, which names it.

    `compress` is "float16" or "bfloat16": float32 arrays of 1,024 numbers and more, which are
    gradients, are sent in 16 bits and added up in float32 (by NCCL: in 16 bits); all others
    are exact. Ranks without MPI trust those who know NNKIT_SECRET, or where that is not set what
    the launcher says: start them in a network of your own.
    """
    global _made  # noqa: PLW0603
    if not timeout > 0:
        raise ValueError(f"timeout must be a positive number of seconds, not {timeout!r}")
    if compress not in COMPRESSIONS:
        raise ValueError(f'compress must be None, "float16" or "bfloat16", not {compress!r}')
    if _made is None:
        found = launch.read()
        if found.by == "alone":
            _made = Alone()
        else:
            from nnkit.distributed import several  # what a process alone need not wait for

            _made = several.meet(found, timeout, compress)
    return _made
