"""What joins the branches of a network, and parts their gradients."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out, check_columns


def add(a: Array, b: Array, out: Out) -> None:
    np.add(a, b, out=out)


def put_columns(x: Array, first: int, out: Out) -> None:
    check_columns(x, first, out)
    out[..., first : first + x.shape[-1]] = x


def take_columns(x: Array, first: int, out: Out) -> None:
    check_columns(out, first, x)
    out[...] = x[..., first : first + out.shape[-1]]
