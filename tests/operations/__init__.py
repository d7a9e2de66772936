"""The conformance suite: every operation, on every backend, against the float64 reference.

A file for each of ``kernels/numba``, with the values of its operations: at every size, at extremes,
against other formulas. What holds for all operations (layouts, no rows, NaN, large arrays) is in
`test_every_operation`, made of the declarations and the sample calls in `samples`.
"""

from __future__ import annotations

from importlib import import_module
from inspect import isfunction
from pathlib import Path


def functions_of(family: str) -> set[str]:
    """Return the names of the test functions in a family's file."""
    module = import_module(f"{__name__}.test_{family}")
    return {name for name, value in vars(module).items() if isfunction(value)}


def families() -> list[str]:
    """Return the names of all files."""
    return sorted(
        path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")
    )
