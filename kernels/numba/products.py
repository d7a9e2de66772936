"""Matrix products by BLAS, through Numba, so that they can be on a tape."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.jit import kernel


@kernel
def nn(a: Any, b: Any, out: Any) -> None:
    """``out = a @ b`` for C-contiguous matrices."""
    np.dot(a, b, out)


@kernel
def tn(a: Any, b: Any, out: Any) -> None:
    """``out = a.T @ b``."""
    np.dot(a.T, b, out)


@kernel
def nt(a: Any, b: Any, out: Any) -> None:
    """``out = a @ b.T``."""
    np.dot(a, b.T, out)


@kernel
def tt(a: Any, b: Any, out: Any) -> None:
    """``out = a.T @ b.T``."""
    np.dot(a.T, b.T, out)
