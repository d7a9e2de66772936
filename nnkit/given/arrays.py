"""Whatever can be given for an array: the one place where it becomes one.

Other libraries' objects are known by NumPy's and the array API's protocols, tables and sparse
matrices by the classes of libraries that are imported already. None is imported for this.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import numpy as np

from nnkit.given import columns
from nnkit.given.masks import refuse_masked
from nnkit.given.rows import Rows
from nnkit.reasons import reason

HOST = (1, 3)
"""DLPack's numbers of what lies in a computer's own memory, the second pinned for CUDA."""

PROTOCOLS = ("__array__", "__dlpack__", "__array_interface__", "__cuda_array_interface__")
"""What makes something an array of whatever library."""


def taken(given: Any) -> Any:
    """Return what was given as a NumPy array; `Rows` of a sparse matrix; arrays on a device as is.

    Nothing is copied where the memory can be shared: NumPy arrays and memory maps, arrays in host
    memory with `__array__` or `__dlpack__`, such as PyTorch's and JAX's, and columns of numbers in
    one piece. Lists, tables and numbers of another layout are copied.

    Raises TypeError, with the remedy, for tensors that require a gradient, for masked numbers and
    for what cannot become an array; ValueError for columns in which values are missing.
    """
    if isinstance(given, np.ndarray | Rows):
        return given
    if (table := columns.read(given)) is not None:
        return table
    if _is_sparse(given):
        return _rows(given)
    if getattr(given, "requires_grad", None) is True:
        raise TypeError(
            f"{_kind(given)} that requires a gradient was given, and nnkit computes none for it: "
            "give x.detach()"
        )
    if on_device(given):
        return given
    refuse_masked(given)
    return _read(given)


def dense(given: Any) -> Any:
    """Return what `taken` does, with a sparse matrix as a NumPy array."""
    array = taken(given)
    return array[:] if isinstance(array, Rows) else array


def on_host(given: Any, backend: str) -> np.ndarray[Any, Any]:
    """Return what `dense` does; raises TypeError, with the remedy, for an array on a device."""
    array = dense(given)
    if not isinstance(array, np.ndarray):
        moved = {"cupy": "with array.get()", "torch": "with array.cpu()"}
        what = "a CuPy array" if _library(array) == "cupy" else f"{_kind(array)} on a device"
        raise TypeError(
            f"{what} was given to the {backend} backend: "
            f"move the model with model.to('cupy'), or the array "
            f"{moved.get(_library(array), 'to the host')}"
        )
    return array


def on_device(given: Any) -> bool:
    """Whether it is an array in the memory of a GPU or the like."""
    if isinstance(given, np.ndarray):
        return False
    if _library(given) == "cupy":
        return True
    device = getattr(given, "__dlpack_device__", None)
    if device is None:
        return hasattr(given, "__cuda_array_interface__")
    with suppress(Exception):  # an array that lies on several devices, for instance
        return device()[0] not in HOST
    return False


def is_array(given: Any) -> bool:
    """Whether it is an array, a table or a sparse matrix; lists and numbers are not."""
    kinds = isinstance(given, np.ndarray | Rows) or _is_sparse(given) or columns.is_one(given)
    return kinds or any(hasattr(type(given), name) for name in PROTOCOLS)


def _read(given: Any) -> np.ndarray[Any, Any]:
    """Return an array in host memory, or a list of numbers, as NumPy's."""
    only_dlpack = hasattr(given, "__dlpack__") and not hasattr(given, "__array__")
    try:
        return np.from_dlpack(given) if only_dlpack else np.asarray(given)
    except Exception as error:
        if not any(hasattr(given, name) for name in PROTOCOLS):
            raise
        half = "bfloat16" in str(getattr(given, "dtype", ""))
        remedy = "give x.float()" if half else "convert it to a NumPy array"
        raise TypeError(
            f"{_kind(given)} was given, which NumPy cannot read: {remedy} ({reason(error)})"
        ) from error


def _is_sparse(given: Any) -> bool:
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(given))


def _rows(matrix: Any) -> Rows | np.ndarray[Any, Any]:
    """Return a sparse matrix as rows; bytes in it are counts, not those of images."""
    if matrix.ndim != 2:
        array: np.ndarray[Any, Any] = matrix.toarray()
        return array
    rows = matrix.tocsr()
    if not rows.has_canonical_format:  # some numbers are sums of several that are stored
        rows = rows.copy()
        rows.sum_duplicates()
    return Rows(rows, np.int16 if matrix.dtype == np.uint8 else None)


def _library(given: Any) -> str:
    return type(given).__module__.partition(".")[0]


def _kind(given: Any) -> str:
    return f"a {_library(given)}.{type(given).__name__}"
