"""Launching the kernels of kernels/cuda, which are compiled when first needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.contract import Array
from nnkit.backends.cupy.turns import Turns
from nnkit.kernels import cuda

BLOCKS_PER_MULTIPROCESSOR = 8
"""Blocks of THREADS that fill one; larger grids would only make more partial sums."""


class Launcher:
    """The kernels, and the scratch memory that they share."""

    def __init__(self, cupy: Any, turns: Turns) -> None:
        self._cupy, self._turns = cupy, turns
        multiprocessors: int = cupy.cuda.Device().attributes["MultiProcessorCount"]
        self.most_blocks = BLOCKS_PER_MULTIPROCESSOR * multiprocessors
        self._modules: dict[tuple[str, np.dtype[Any]], Any] = {}
        self._kernels: dict[tuple[str, np.dtype[Any]], Any] = {}
        self._buffers: dict[tuple[int, np.dtype[Any], str], Array] = {}

    def launch(
        self,
        file: str,
        name: str,
        dtype: np.dtype[Any],
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
    ) -> None:
        """Launch a kernel. Scalars are NumPy's: a Python number would arrive as 64 bits."""
        kernel = self._kernels.get((name, dtype))
        if kernel is None:
            kernel = self._kernels[name, dtype] = self._module(file, dtype).get_function(name)
        with self._turns.lock:
            self._turns.take()
            kernel(grid, block, args)

    def _module(self, file: str, dtype: np.dtype[Any]) -> Any:
        if dtype.name not in cuda.DTYPES:
            raise TypeError(f"the cupy backend computes in {' or '.join(cuda.DTYPES)}, not {dtype}")
        if (file, dtype) not in self._modules:
            self._modules[file, dtype] = self._cupy.RawModule(
                code=cuda.source(file), options=cuda.options(dtype.name)
            )
        return self._modules[file, dtype]

    def scratch(self, size: int, dtype: Any, use: str = "sums") -> Array:
        """Return memory that begins as zeros and is kept: captured steps hold its address.

        Whatever has the same size, dtype and `use` shares it.
        """
        key = size, np.dtype(dtype), use
        if key not in self._buffers:
            with self._turns.lock:
                self._turns.take()
                if key not in self._buffers:  # another thread may have been faster
                    self._buffers[key] = self._cupy.zeros(size, dtype)
        return self._buffers[key]
