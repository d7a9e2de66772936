"""Matrix products through cuBLASLt, which may be called while a CUDA stream captures.

CuPy's own cuBLAS calls refuse that. For every shape, the first product asks cuBLASLt for its best
algorithm and keeps the answer, so that no later one asks again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnkit.backends.contract import Array
from nnkit.backends.cupy.cublaslt import REALS, CublasLt, Epilogue, RefusedError
from nnkit.backends.cupy.plans import WORKSPACE_BYTES, Plan, key, make_plan, point_to

VECTOR_ALIGNMENT = 16
"""Bytes of which an epilogue's vector has to be at a multiple.

At others some algorithms of cuBLASLt 13.1 end in a misaligned address, on an H100.
"""


class Multiplier:
    """Products of CuPy matrices on the current stream."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self.cublaslt = CublasLt(cupy)
        self._workspace = cupy.empty(WORKSPACE_BYTES, np.uint8)
        self.plans: dict[tuple[Any, ...], Plan | None] = {}

    def matmul(self, a: Array, b: Array, out: Array) -> bool:
        """``out = a @ b`` for matrices whose rows lie in one piece each, or their columns.

        Of three dimensions they are as many products at once. Returns False, and leaves it to the
        caller, where cuBLASLt refuses. That is decided at the first product of a shape.
        """
        if not a.size or not b.size:
            out.fill(0)
            return True
        return self._carry_out(key(a, b, out), partial(make_plan, self.cublaslt), a, b, out)

    def fused(self, epilogue: Epilogue, a: Array, b: Array, out: Array, vector: Array) -> bool:
        """Carry out `matmul` and an epilogue at once, if that can be done.

        Returns False, and leaves all to the caller, for empty matrices, for a vector that is not
        aligned, of which the heuristics know nothing, and where cuBLASLt has no algorithm for it
        that keeps NaN. That is decided at the first product of a shape.
        """
        if not a.size or not b.size or vector.data.ptr % VECTOR_ALIGNMENT:
            return False
        make = partial(self._plan_fused, epilogue)
        return self._carry_out(key(a, b, out, epilogue, vector), make, a, b, out, vector)

    def _carry_out(
        self, shape: tuple[Any, ...], make: Callable[..., Plan | None], *arrays: Array
    ) -> bool:
        """Carry out a planned product, the plan being made first, and proved, where there is none.

        Only the first product of a shape may be refused: later ones may be in a graph.
        """
        if shape in self.plans:
            plan = self.plans[shape]
            if plan is not None:
                self._run(plan, *arrays)
            return plan is not None
        try:
            plan = make(*arrays)
            if plan is not None:
                self._run(plan, *arrays)
        except RefusedError:
            plan = None
        self.plans[shape] = plan
        return plan is not None

    def _plan_fused(
        self, epilogue: Epilogue, a: Array, b: Array, out: Array, vector: Array
    ) -> Plan | None:
        """Plan an epilogue, and have it prove that a bias of NaN reaches every output.

        What ReLU makes of NaN is not documented and up to each algorithm.
        """
        plan = make_plan(self.cublaslt, a, b, out, epilogue, vector)
        if epilogue is Epilogue.BIAS_GRADIENT:
            return plan
        self._run(plan, a, b, out, self._cupy.full_like(vector, np.nan))
        return plan if bool(self._cupy.isnan(out).all()) else None

    def _run(self, plan: Plan, a: Array, b: Array, out: Array, vector: Array | None = None) -> None:
        """Issue a planned product. The vector's address is read now, also while capturing."""
        if vector is not None:
            point_to(self.cublaslt, plan.description, vector)
        scalar = REALS[out.dtype.name].scalar
        one, zero = scalar(1), scalar(0)
        target = ctypes.c_void_p(out.data.ptr)
        # cuBLASLt counts columns first, so it is given out.T = b.T @ a.T.
        self.cublaslt.call(
            "cublasLtMatmul",
            self.cublaslt.handle,
            plan.description,
            ctypes.byref(one),
            ctypes.c_void_p(b.data.ptr),
            plan.b,
            ctypes.c_void_p(a.data.ptr),
            plan.a,
            ctypes.byref(zero),
            target,
            plan.out,
            target,
            plan.out,
            ctypes.byref(plan.algorithm),
            ctypes.c_void_p(self._workspace.data.ptr),
            ctypes.c_size_t(WORKSPACE_BYTES),
            ctypes.c_void_p(self._cupy.cuda.get_current_stream().ptr),
        )
