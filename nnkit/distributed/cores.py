"""Cores for the ranks of a machine: each gets its share, or they would be in each other's way."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from nnkit.kernels.cores import LOCAL_SIZES, cores_of_rank

LIMITS = (
    *("NNKIT_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)
"""Where a user, or torchrun, says how many threads there should be."""


def share_cores(local_size: int, environment: MutableMapping[str, str] = os.environ) -> None:
    """Have kernels, and NumPy's BLAS, use this rank's share of the cores and no more.

    Kernels read it from the environment when their backend is made.
    """
    environment[LOCAL_SIZES[0]] = str(local_size)
    if local_size > 1 and not any(environment.get(name) for name in LIMITS):
        from threadpoolctl import threadpool_limits  # which nothing else needs

        threadpool_limits(cores_of_rank(), user_api="blas")
