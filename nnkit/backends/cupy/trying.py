"""Whether cuBLASLt, as it is found here, gives NumPy's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.cupy.cublaslt import Epilogue
from nnkit.backends.cupy.multiplying import Multiplier
from nnkit.dtypes import arithmetic


def products_agree(multiplier: Multiplier, cupy: Any, dtype: Any) -> bool:
    """Whether products of small integers, and of transposed views, are exact."""
    a, b = np.arange(15).reshape(5, 3) % 7, np.arange(12).reshape(3, 4) % 5
    try:
        out = cupy.empty((5, 4), dtype)
        for left in (cupy.asarray(a, dtype), cupy.asarray(a.T.copy(), dtype).T):
            for right in (cupy.asarray(b, dtype), cupy.asarray(b.T.copy(), dtype).T):
                out.fill(np.nan)
                done = multiplier.matmul(left, right, out)
                got = cupy.asnumpy(out).astype(np.float64)
                if not (done and np.array_equal(got, a @ b)):
                    return False
    except Exception:
        return False
    return True


def epilogue_agrees(multiplier: Multiplier, cupy: Any, epilogue: Epilogue, dtype: Any) -> bool:
    """Whether an epilogue is carried out, and gives NumPy's numbers, NaN and infinity too."""
    real = arithmetic(dtype)
    bias = np.array([0, 0, 0, np.nan, -np.inf, -9999, 99]).astype(dtype)
    carried_out = False
    for n, k in ((4, 5), (4, 1), (1, 5)):
        a = np.arange(1, n * k + 1).reshape(n, k).astype(dtype)
        b = np.arange(7 * k).reshape(k, 7).astype(dtype)
        b[0, :3] = np.nan, -np.inf, np.inf
        with np.errstate(invalid="ignore"):
            want, vector = a.astype(real) @ b.astype(real), b.astype(real).sum(axis=0)
        if epilogue is not Epilogue.BIAS_GRADIENT:
            want, vector = want + bias.astype(real), bias
        if epilogue is Epilogue.RELU_BIAS:
            want = np.maximum(want, 0)
        right = [x.astype(dtype).astype(real) for x in (want, vector)]
        for left in (cupy.asarray(a), cupy.asarray(a.T.copy()).T):
            got, read = cupy.empty((n, 7), dtype), cupy.asarray(bias)
            try:
                done = multiplier.fused(epilogue, left, cupy.asarray(b), got, read)
                results = [cupy.asnumpy(x).astype(real) for x in (got, read)]
            except Exception:
                return False
            pairs = zip(results, right, strict=True)
            if done and not all(np.array_equal(x, y, equal_nan=True) for x, y in pairs):
                return False
            carried_out = carried_out or done
    return carried_out
