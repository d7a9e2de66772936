"""Weights of rows, or None: then they are 1, and compiled code has no trace of them."""

from typing import Any

from numba import types

from nnkit.kernels.numba.codegen.jit import by_type


@by_type
def weight(weights: Any, row: Any) -> Any:
    """Weight of a row."""
    if isinstance(weights, types.NoneType):

        def one(weights: Any, row: Any) -> Any:
            return 1

        return one

    def own(weights: Any, row: Any) -> Any:
        return weights[row]

    return own


@by_type
def of_rows(weights: Any, first: Any, end: Any) -> Any:
    """Weights of some rows."""
    if isinstance(weights, types.NoneType):

        def none(weights: Any, first: Any, end: Any) -> Any:
            return None

        return none

    def part(weights: Any, first: Any, end: Any) -> Any:
        return weights[first:end]

    return part
