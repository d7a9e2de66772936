"""The real dtypes: those that networks compute in, and the half ones that are for storage only."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from nnkit.reasons import importing

HALF = ("float16", "bfloat16")
"""Dtypes of 16 bits, which the CUDA kernels load and store; they compute in float32."""


def parse(name: str) -> np.dtype[Any]:
    """Return a dtype by its name; "bfloat16" is that of the package ml_dtypes, as in CuPy.

    Raises TypeError for what is no dtype, ImportError where ml_dtypes is needed and missing or
    broken.
    """
    if name == "bfloat16":
        with importing(
            *("ml_dtypes", "ml_dtypes"),
            "bfloat16 needs the package ml_dtypes: pip install ml_dtypes",
        ):
            from ml_dtypes import bfloat16
        name = bfloat16
    return np.dtype(name)


def available(names: Iterable[str]) -> list[np.dtype[Any]]:
    """Return the dtypes of these names, but for bfloat16 where ml_dtypes cannot be used."""
    found = []
    for name in names:
        with suppress(ImportError):
            found.append(parse(name))
    return found


def of_network(dtype: Any, backend: str, offered: tuple[str, ...]) -> np.dtype[Any]:
    """Return a dtype for a network on a backend that offers these; ValueError for another."""
    name: str = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name in offered:
        return parse(name)
    if name in HALF:
        raise ValueError(
            f"the {backend} backend does not compute in {name}: choose the cupy backend, or dtype "
            f"{' or '.join(offered)}"
        )
    raise ValueError(f"dtype must be {' or '.join(offered)}, not {dtype!r}")


def arithmetic(dtype: Any) -> np.dtype[Any]:
    """Return the dtype that is computed in where arrays have this one: float32 for half ones."""
    stored = np.dtype(dtype)
    return np.dtype(np.float32) if stored.name in HALF else stored


def as_arithmetic(array: Any) -> Any:
    """Return an array in the dtype that is computed in, for array code other than the kernels."""
    return array.astype(arithmetic(array.dtype), copy=False)


def as_reals(array: Any, dtype: Any, factor: float) -> Any:
    """Multiply an array by a factor, and make it `dtype`."""
    if factor == 1:
        return array.astype(dtype, copy=False)
    real = arithmetic(dtype)
    return (array.astype(real, copy=False) * real.type(factor)).astype(dtype, copy=False)


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype holds floating-point numbers; NumPy does not count bfloat16 among them."""
    return dtype.kind == "f" or dtype.name in HALF


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype holds real numbers, integers or booleans."""
    return is_real(dtype) or dtype.kind in "iub"
