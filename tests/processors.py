"""What is run for processors with narrower vectors than this one's: a program.

With ``NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx,+avx2,+fma``, ``python -m tests.processors``
compiles products and the kernels of a small network for AVX2, compares what they compute with
NumPy's, and prints the size of a vector in bytes. With ``products`` behind it,
it leaves the network out.
"""

from __future__ import annotations

import sys

import numpy as np

import nnkit
from nnkit.backends.numba import ahead, create
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES

SHAPES = [(1, 1, 1), (5, 3, 4), (17, 33, 9), (70, 600, 530), (8, 100, 30)]
"""Rows and columns of a result, and depth."""


def check_products() -> None:
    """In both dtypes, of matrices and of transposed ones."""
    rng = np.random.default_rng(0)
    backend = create()
    for n, m, depth in SHAPES:
        for dtype, error in ((np.float32, 1e-3), (np.float64, 1e-11)):
            a, b = (rng.standard_normal(s).astype(dtype) for s in ((n, depth), (depth, m)))
            for left in (a, np.ascontiguousarray(a.T).T):
                for right in (b, np.ascontiguousarray(b.T).T):
                    assert np.abs(backend.matmul(left, right) - a @ b).max() < error


def network(backend: str) -> nnkit.Sequential:
    """A gathered and a choosing product, minimal filtering, and products of matrices."""
    return nnkit.Sequential(
        *(nnkit.Conv2d(1, 16, 5), nnkit.ReLU(), nnkit.MaxPool2d(2)),
        *(nnkit.Conv2d(16, 16, 3, padding=1), nnkit.ReLU(), nnkit.Flatten()),
        nnkit.Linear(16 * 4 * 4, 10),
        seed=0,
        backend=backend,
    )


def check_training() -> None:
    """A few captured steps leave what they leave by the reference."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((60, 12, 12, 1)).astype(np.float32), rng.integers(0, 10, 60)
    models = [network(backend) for backend in ("numba", "numpy")]
    for model in models:
        nnkit.Trainer(model, optimizer=nnkit.SGD(0.05)).fit(x, t, epochs=3, batch_size=20)
    ours, reference = (model.state() for model in models)
    for name, value in reference.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


CHECKS = {"products": check_products, "training": check_training}

if __name__ == "__main__":
    ahead.WORTH_HELP = sys.maxsize  # helpers take less time, but more of the processors'
    for name in sys.argv[1:] or CHECKS:
        CHECKS[name]()
    print(REGISTER_BYTES)
