"""Products of matrices."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Out, View


def matmul(a: View, b: View, out: Out) -> None:
    np.matmul(a, b, out=out)
