"""Sums on GPUs by NCCL, which are enqueued like any kernel, and so are part of a captured step."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Callable, MutableMapping
from typing import Any

from nnkit.backends.contract import Array, Backend
from nnkit.dtypes import parse
from nnkit.reasons import named_reason

KINDS = {
    "float16": "FLOAT16",
    "bfloat16": "BFLOAT16",
    "float32": "FLOAT32",
    "float64": "FLOAT64",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
}
"""NCCL's names of dtypes."""
VISIBLE = "CUDA_VISIBLE_DEVICES"


def choose_gpu(
    local_rank: int, local_size: int, environment: MutableMapping[str, str] = os.environ
) -> None:
    """Have this process see the GPU of its number among the ranks of its machine, and no other.

    Before CUDA is first used, as the variable is read then. A launcher that has given each rank a
    GPU of its own, as Slurm does if asked, is left alone.
    """
    given = environment.get(VISIBLE)
    gpus = [gpu.strip() for gpu in given.split(",")] if given else []
    if local_size > 1 and given != "" and len(gpus) != 1:
        if gpus and local_rank >= len(gpus):
            raise ValueError(
                f"{VISIBLE}={given} has no GPU for rank {local_rank} of {local_size} on this "
                f"machine: start {len(gpus)} ranks"
            )
        environment[VISIBLE] = gpus[local_rank] if gpus else str(local_rank)


class NcclSum:
    """Adds up arrays of the cupy backend, one rank for each GPU."""

    def __init__(
        self, nccl: Any, backend: Backend, meet: Callable[[Any], list[Any]], rank: int, gpu: str
    ) -> None:
        """Meet the other ranks, which must do the same, by a function that gathers."""
        self._nccl, self._backend = nccl, backend
        met = meet((nccl.get_unique_id() if rank == 0 else None, gpu))
        gpus = [theirs for _, theirs in met]
        if len(set(gpus)) < len(gpus):
            shared = next(each for each in gpus if gpus.count(each) > 1)
            sharing = " and ".join(str(i) for i, each in enumerate(gpus) if each == shared)
            raise RuntimeError(f"ranks {sharing} have the same GPU, {shared}: start one for each")
        self._ranks = nccl.NcclCommunicator(len(met), met[0][0], rank)
        self._half: dict[tuple[int, int], Array] = {}

    def add_up(self, array: Array, wire: str | None) -> None:
        """Enqueue the sum of all ranks' arrays, as "float16" or "bfloat16" if `wire` says so."""
        if wire is None:
            self._add_up(array)
            return
        half = self._half_of(array, wire)
        half[...] = array
        self._add_up(half)
        array[...] = half

    def _add_up(self, array: Array) -> None:
        place, stream = array.data.ptr, self._backend.xp.cuda.get_current_stream().ptr
        kind = getattr(self._nccl, f"NCCL_{KINDS[array.dtype.name]}")
        self._ranks.allReduce(place, place, array.size, kind, self._nccl.NCCL_SUM, stream)

    def _half_of(self, array: Array, wire: str) -> Array:
        """Memory for an array's 16-bit numbers, the same in every step."""
        key = (array.data.ptr, array.size)
        if key not in self._half:
            self._half[key] = self._backend.empty(array.shape, parse(wire))
        return self._half[key]


class Busy:
    """Whether the GPU is still at what it was at when it was last asked, which another thread does.

    It may wait there for a rank that does not come.
    """

    def __init__(self, cupy: Any) -> None:
        self._cuda = cupy.cuda
        self._event: Any = None

    def __call__(self) -> bool:
        """Ask; what is said is of all that was issued before the last call that said no."""
        if self._event is not None and not self._event.done:
            return True
        self._event = self._cuda.Event(disable_timing=True)
        self._event.record(self._cuda.Stream.null)
        return False


def gpu_in_use() -> str:
    """Name the GPU of this process, as no other is named in the whole run."""
    import cupy

    return f"{cupy.cuda.Device().pci_bus_id} of {platform.node()}"


def load() -> Any | None:
    """Return the module cupy.cuda.nccl; None, with a warning, where there is no NCCL."""
    import cupy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy's own, for the same reason
        try:
            from cupy.cuda import nccl

            if nccl.available:
                nccl.get_version()
                return nccl
            why = "CuPy finds no NCCL"
        except Exception as error:
            why = named_reason(error)
    cuda = cupy.cuda.runtime.runtimeGetVersion() // 1000
    warnings.warn(
        f"gradients go through the host, and steps are not captured: {why} (pip install "
        f"nvidia-nccl-cu{cuda}, which there is for Linux)",
        stacklevel=2,
    )
    return None
