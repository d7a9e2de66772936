"""Sums whose order is free, so that the loops around them become SIMD code.

They are the only operations that the compiler may reorder: everything else is carried out as it is
written (see ``codegen/jit.py``).
"""

from typing import Any

from nnkit.kernels.numba.codegen.jit import any_order


@any_order
def plus(total: Any, term: Any) -> Any:
    """``total + term``, one of many that add up to a total in any order."""
    return total + term
