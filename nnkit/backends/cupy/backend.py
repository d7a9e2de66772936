"""The backend's object: its arrays, and how operations are carried out and captured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnkit.backends.contract import Array, Backend, CaptureError, Operation, Out, implementations
from nnkit.backends.cupy import (
    activations,
    augment,
    batch_norm_shares,
    containers,
    convolution,
    counters,
    dropout,
    gather,
    gradients,
    images,
    losses,
    maxout,
    normalization,
    optimizers,
    pooling,
    prelu,
    products,
    small_products,
    softmax_cross_entropy,
)
from nnkit.backends.cupy.capturing import Capturing
from nnkit.backends.cupy.cublaslt import Epilogue
from nnkit.backends.cupy.launching import Launcher
from nnkit.backends.cupy.libraries import Libraries
from nnkit.backends.cupy.memory import DATA_SHARE, HostCopies
from nnkit.backends.cupy.turns import Turns
from nnkit.dtypes import is_number
from nnkit.given import arrays
from nnkit.given.masks import refuse_masked
from nnkit.kernels import cuda

KERNELS = implementations(
    *(activations, augment, batch_norm_shares, containers, convolution, counters, dropout, gather),
    *(
        gradients,
        images,
        losses,
        maxout,
        normalization,
        optimizers,
        pooling,
        prelu,
        products,
        softmax_cross_entropy,
    ),
)
"""The function of each operation, which takes the backend and the operation's arguments."""
ANY_OUTPUT = {"matmul"}
"""Operations whose outputs may have any strides: cuBLAS takes them."""


class CupyBackend(Backend):
    """CuPy on an NVIDIA GPU. Output arrays must be C-contiguous; inputs are made so."""

    name = "cupy"
    dtypes = cuda.DTYPES

    def __init__(self) -> None:
        import cupy
        import cupyx

        self.xp = cupy
        self.turns = Turns(cupy)
        self.launcher = Launcher(cupy, self.turns)
        self.libraries = Libraries(cupy, self.turns)
        self.capturing = Capturing(cupy)
        self.copies = HostCopies(cupy, cupyx.empty_pinned, self.turns)

    # ------------------------------------------------------------------ arrays

    def owns(self, array: object) -> bool:
        return isinstance(array, self.xp.ndarray)

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        given = array
        if not self.owns(array):
            array = arrays.dense(array)
        if isinstance(array, np.ndarray):
            if array.dtype == object and not isinstance(given, np.ndarray | Sequence):
                raise TypeError(
                    f"a {type(given).__module__}.{type(given).__name__} was given to the cupy "
                    "backend: convert it to a NumPy or CuPy array"
                )
            refuse_masked(array)
            if not is_number(array.dtype):
                raise TypeError(f"numbers expected, but the input has dtype {array.dtype}")
        elif hasattr(array, "__dlpack__") and not self.owns(array):
            array = self.xp.from_dlpack(array)
        return self.xp.asarray(array, dtype, order="C")

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        host: np.ndarray[Any, Any] = self.xp.asnumpy(array)
        self.copies.forget()
        return host

    def room(self) -> float:
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return DATA_SHARE * float(free)

    def copy_from_host(self, host: np.ndarray[Any, Any], out: Array) -> Any:
        return self.copies.start(host, out)

    def wait_for(self, copy: Any) -> None:
        self.xp.cuda.get_current_stream().wait_event(copy)

    def synchronize(self) -> None:
        self.xp.cuda.Device().synchronize()

    # ------------------------------------------------------------------ operations

    def _carry_out(self, operation: Operation, arguments: tuple[Any, ...]) -> None:
        """By a kernel, which knows nothing of strides: inputs are made dense, outputs must be.

        A graph that is being captured keeps the arrays.
        """
        capturing = self.capturing
        if capturing.now is not None:
            capturing.keep(array for *_, array in operation.arrays(arguments))
        if not _dense(operation, arguments):
            _check_outputs(operation, arguments)
            arguments = operation.with_inputs(arguments, capturing.dense)
        KERNELS[operation.name](self, *arguments)

    def _linear_in_one(self, kind: str, x: Array, weight: Array, bias: Array, y: Out) -> bool:
        epilogue = products.BIAS_EPILOGUES.get(kind)
        return epilogue is not None and products.in_one(self, epilogue, x, weight, y, bias)

    def _gradients_in_one(self, x: Array, dz: Array, dweight: Out, dbias: Out) -> bool:
        return products.in_one(self, Epilogue.BIAS_GRADIENT, x.T, dz, dweight, dbias)

    def _sums_cost_nothing(self, x: Array, dz: Array, dweight: Out, dbias: Out) -> bool:
        return small_products.takes(self, x.T, dz, dweight, dbias)

    def call(self, function: Callable[[], object]) -> None:
        """Not while capturing: a graph launches nothing but what the device does."""
        if self.capturing.now is not None:
            raise CaptureError("a call of the host cannot be in a CUDA graph")
        function()

    def capture(self, step: Callable[[], object]) -> Callable[[int], None]:
        """Capture `step` as a CUDA graph, which is launched on the current stream.

        Only a product of cuBLASLt can be in it.
        """
        if self.libraries.multiplier is None:
            raise CaptureError(self.libraries.no_capture)
        capture = self.capturing.record(step)

        def replay(times: int) -> None:
            # With `self` it keeps the scratch memory, and that of the products, alive.
            with self.turns.lock:
                self.turns.take()
                capture.launch(times)

        return replay


def _dense(operation: Operation, arguments: tuple[Any, ...]) -> bool:
    """Whether all arrays are C-contiguous, but for those of any layout."""
    for i in operation.dense:
        if arguments[i] is not None and not arguments[i].flags.c_contiguous:
            return False
    for i, j in operation.dense_within:
        if arguments[i][j] is not None and not arguments[i][j].flags.c_contiguous:
            return False
    return True


def _check_outputs(operation: Operation, arguments: tuple[Any, ...]) -> None:
    """Raise ValueError for an output that a kernel would write beside."""
    for name, kind, array in operation.arrays(arguments):
        if kind == "Out" and operation.name not in ANY_OUTPUT and not array.flags.c_contiguous:
            raise ValueError(
                f"{operation.name} writes {name} (shape {array.shape}, strides {array.strides}), "
                "which must be C-contiguous, as self.new(name, shape) makes it"
            )
