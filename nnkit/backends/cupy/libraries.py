"""Which library multiplies matrices: cuBLASLt, whose products can be captured, or cuBLAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.contract import Array
from nnkit.backends.cupy.cublaslt import Epilogue
from nnkit.backends.cupy.multiplying import Multiplier
from nnkit.backends.cupy.plans import fit_together
from nnkit.backends.cupy.trying import epilogue_agrees, products_agree
from nnkit.backends.cupy.turns import Turns
from nnkit.dtypes import available
from nnkit.kernels import cuda
from nnkit.reasons import named_reason


class Libraries:
    """cuBLASLt where it is there and computes what NumPy does; the rest is left to cuBLAS."""

    def __init__(self, cupy: Any, turns: Turns) -> None:
        self._cupy, self._turns = cupy, turns
        self.multiplier: Multiplier | None = None
        self._dtypes: set[np.dtype[Any]] = set()
        """Those whose products cuBLASLt carries out."""
        self._epilogues: set[tuple[Epilogue, np.dtype[Any]]] = set()
        self.no_capture = "cuBLASLt has not been tried"

    def use_cublaslt(self) -> None:
        """Carry out products by cuBLASLt from now on, so that steps can be captured.

        Where it is missing, or refuses a dtype or computes something else than NumPy, cuBLAS stays.
        Where only an epilogue does, our own kernel stays in its place.
        """
        try:
            multiplier = Multiplier(self._cupy)
        except Exception as error:
            self.no_capture = f"cuBLASLt cannot be used: {named_reason(error)}"
            return
        dtypes = available(cuda.DTYPES)
        self._dtypes = {d for d in dtypes if products_agree(multiplier, self._cupy, d)}
        if not self._dtypes:
            self.no_capture = "cuBLASLt computes wrong products"
            return
        self.multiplier = multiplier
        self._epilogues = {
            (epilogue, dtype)
            for dtype in self._dtypes
            for epilogue in Epilogue
            if epilogue_agrees(multiplier, self._cupy, epilogue, dtype)
        }

    def __str__(self) -> str:
        """Name those that multiply matrices, for people."""
        if self.multiplier is None:
            return f"cuBLAS ({self.no_capture})"
        others = ", ".join(d.name for d in available(cuda.DTYPES) if d not in self._dtypes)
        return str(self.multiplier.cublaslt) + (f"; cuBLAS for {others}" if others else "")

    def fit(
        self,
        a: Array,
        b: Array,
        out: Array,
        epilogue: Epilogue | None = None,
        vector: Array | None = None,
    ) -> bool:
        """Whether cuBLASLt multiplies such matrices, or as many of each.

        It is told of one dtype and three sizes.
        """
        if vector is not None and (
            (epilogue, out.dtype) not in self._epilogues or vector.dtype != out.dtype
        ):
            return False
        return a.dtype in self._dtypes and fit_together(a, b, out)

    def multiply(self, a: Array, b: Array, out: Array) -> bool:
        """Carry out a product of matrices that fit, as `Multiplier.matmul` does."""
        if self.multiplier is None:
            return False
        with self._turns.lock:
            self._turns.take()
            return self.multiplier.matmul(a, b, out)

    def multiply_in_one(
        self, epilogue: Epilogue, a: Array, b: Array, out: Array, vector: Array
    ) -> bool:
        """Do as `multiply`, as `Multiplier.fused` does."""
        if self.multiplier is None:
            return False
        with self._turns.lock:
            self._turns.take()
            return self.multiplier.fused(epilogue, a, b, out, vector)
