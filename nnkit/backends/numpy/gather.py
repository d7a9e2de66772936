"""Gathering a shuffled mini-batch."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import STEP, Array, Out

UNSIGNED = {4: np.uint32, 8: np.uint64}


def gather(source: Array, order: Array, counters: Array, batch_size: int, out: Out) -> None:
    start = int(counters[STEP]) * batch_size
    rows = order[start : start + len(out)] if start >= 0 else order[:0]
    if len(rows) == len(out) and all_below(rows, len(source)):
        _copy(source[rows], out)
    else:
        _copy_what_is_there(source, rows, out)


def all_below(indices: Array, n: int) -> bool:
    """Whether indices, int32 or int64, are all from 0 to n - 1."""
    unsigned = indices.view(UNSIGNED[indices.itemsize])  # where what is negative is large
    return not indices.size or bool(np.maximum.reduce(unsigned) < n)


def _copy_what_is_there(source: Array, chosen: Array, out: Out) -> None:
    rows = np.full(len(out), -1)
    rows[: len(chosen)] = chosen
    there = (rows >= 0) & (rows < len(source))
    out[...] = np.array(np.nan if out.dtype.kind == "f" else -1).astype(out.dtype)
    part = out[there]
    _copy(source[rows[there]], part)
    out[there] = part


def _copy(rows: Array, out: Out) -> None:
    if rows.dtype == np.uint8 and out.dtype != np.uint8:
        np.multiply(rows, out.dtype.type(1 / 255), out=out)
    else:
        out[...] = rows
