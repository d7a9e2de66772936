"""Gathering a shuffled mini-batch."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import STEP, Array, Out


def gather(source: Array, order: Array, counters: Array, batch_size: int, out: Out) -> None:
    start, rows = int(counters[STEP]) * batch_size, np.full(len(out), -1)
    chosen = order[start : start + len(out)] if start >= 0 else order[:0]
    rows[: len(chosen)] = chosen
    there = (rows >= 0) & (rows < len(source))
    if there.all():
        _copy(source[rows], out)
    else:
        out[...] = np.array(np.nan if out.dtype.kind == "f" else -1).astype(out.dtype)
        part = out[there]
        _copy(source[rows[there]], part)
        out[there] = part


def _copy(rows: Array, out: Out) -> None:
    if rows.dtype == np.uint8 and out.dtype != np.uint8:
        np.multiply(rows, out.dtype.type(1 / 255), out=out)
    else:
        out[...] = rows
