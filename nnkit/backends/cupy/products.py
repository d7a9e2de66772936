"""Products of matrices, and what one launch can do besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.backends.contract import Array, Out, View
from nnkit.backends.cupy.cublaslt import Epilogue
from nnkit.backends.cupy.plans import leading
from nnkit.backends.cupy.small_products import multiply

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


BIAS_EPILOGUES = {"identity": Epilogue.BIAS, "relu": Epilogue.RELU_BIAS}
"""Activations that cuBLASLt can carry out together with a product."""


def matmul(backend: CupyBackend, a: View, b: View, out: Out) -> None:
    libraries = backend.libraries
    done = multiply(backend, a, b, out)
    if not done and libraries.fit(a, b, out):
        left, right = _as_it_may_lie(backend, a), _as_it_may_lie(backend, b)
        done = libraries.multiply(left, right, out)
    if not done:
        backend.xp.matmul(a, b, out=out)


def in_one(
    backend: CupyBackend, epilogue: Epilogue, a: View, b: View, out: Out, vector: Array
) -> bool:
    """Carry out a product and what goes with it in one launch, if that can be done."""
    backend.capturing.keep((a, b, out, vector))
    if multiply(backend, a, b, out, epilogue, vector):
        return True
    libraries = backend.libraries
    if not libraries.fit(a, b, out, epilogue, vector):
        return False
    a, b = _as_it_may_lie(backend, a), _as_it_may_lie(backend, b)
    return libraries.multiply_in_one(epilogue, a, b, out, backend.capturing.dense(vector))


def _as_it_may_lie(backend: CupyBackend, array: View) -> View:
    """Make a matrix dense, unless cuBLASLt takes it as it lies."""
    return array if leading(array) is not None else backend.capturing.dense(array)
