"""Making the backend: what a GPU needs is tried, and it is said what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.cupy.backend import CupyBackend
from nnkit.reasons import importing, named_reason


def create() -> CupyBackend:
    """Make the backend, once it is known that a GPU really works.

    Raises ImportError or RuntimeError that says what is missing and how to get it.
    """
    cupy = _import_cupy()
    _check_driver(cupy)
    cuda = cupy.cuda.runtime.runtimeGetVersion() // 1000
    toolkit = f"pip install 'cuda-toolkit[cublas,cudart,nvrtc]=={cuda}.*'"
    try:
        backend = CupyBackend()
        counters = backend.zeros(3, np.int64)
    except Exception as error:
        raise RuntimeError(f"the GPU cannot be used: {named_reason(error)}") from error
    try:
        backend.advance(counters, 1, 2, 3)
        right = backend.to_numpy(counters).tolist() == [1, 2, 3]
    except Exception as error:
        raise RuntimeError(
            f"CUDA kernels cannot be compiled and run: {named_reason(error)} "
            f"(if NVRTC, the compiler, is missing: {toolkit})"
        ) from error
    try:
        two = backend.asarray(np.array([[2.0]], np.float32))
        right = right and backend.to_numpy(backend.xp.matmul(two, two)).item() == 4
    except Exception as error:
        raise RuntimeError(
            f"matrix products do not work: {named_reason(error)} (if cuBLAS is missing: {toolkit})"
        ) from error
    if not right:
        raise RuntimeError("the GPU computes wrong results: check its driver and its health")
    backend.libraries.use_cublaslt()
    return backend


def _import_cupy() -> Any:
    with importing(
        *("cupy", "CuPy"),
        "CuPy is not installed: pip install 'cupy-cuda12x[ctk]', or 'cupy-cuda13x[ctk]' where "
        "nvidia-smi shows CUDA 13",
    ):
        import cupy
    if not hasattr(cupy, "ndarray"):
        place = cupy.__file__ or ", ".join(cupy.__path__)
        raise ImportError(f"what is found as cupy is not CuPy: rename or remove {place}")
    return cupy


def _check_driver(cupy: Any) -> None:
    runtime = cupy.cuda.runtime
    driver, needed = runtime.driverGetVersion() // 1000, runtime.runtimeGetVersion() // 1000
    if not driver:
        raise RuntimeError(
            "no NVIDIA driver is installed: install one (nvidia-smi must work), "
            "or choose the numba or numpy backend"
        )
    if driver < needed:
        raise RuntimeError(
            f"the NVIDIA driver supports CUDA {driver}, but CuPy was built for CUDA {needed}: "
            f"update the driver, or pip install 'cupy-cuda{driver}x[ctk]' in CuPy's place"
        )
    try:
        count, why = runtime.getDeviceCount(), "there is none"
    except RuntimeError as error:
        count, why = 0, named_reason(error)
    if not count:
        raise RuntimeError(
            f"the NVIDIA driver finds no GPU ({why}): see nvidia-smi, and whether "
            "CUDA_VISIBLE_DEVICES hides it"
        )
