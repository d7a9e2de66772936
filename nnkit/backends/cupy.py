"""The GPU backend: CUDA kernels of our own (kernels/cuda), and cuBLAS for the matrix products.

Work is issued to CuPy's current stream and nothing waits for it. The kernels are compiled when
first needed. They share scratch memory, so that streams take turns: one that comes after another
waits, on the device, for what that one was given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import RLock, local
from typing import Any

import numpy as np

from nnkit.backends.contract import (
    Array,
    Backend,
    CaptureError,
    Norm,
    Operation,
    Out,
    Running,
    Update,
    View,
)
from nnkit.backends.cublaslt import CublasLt, Epilogue
from nnkit.backends.graphs import Capture
from nnkit.dtypes import arithmetic, available
from nnkit.kernels import cuda
from nnkit.kernels.cuda import THREADS
from nnkit.kernels.table import ACTIVATIONS, LOSSES, trainable
from nnkit.reasons import importing, named_reason

BIAS_EPILOGUES = {"identity": Epilogue.BIAS, "relu": Epilogue.RELU_BIAS}
"""Activations that cuBLASLt can carry out together with a product."""
CODES = {kind: np.int32(activation.code) for kind, activation in ACTIVATIONS.items()}
ACCESS_BYTES = 16
BLOCKS_PER_MULTIPROCESSOR = 8
"""Blocks of THREADS that fill one; larger grids would only make more partial sums."""
ROWS_PER_THREAD = 16
"""Rows that one thread adds up before a column sum is worth dividing among blocks."""
DATA_SHARE = 0.6
"""Share of the free memory that a data set may take; parameters and activations need some too."""
MOST_COPIES = 2
"""Blocks of pinned memory that are being copied: one more waits until the first is free again."""
LARGEST_BLOCK_BYTES = 4096
"""One number to compute with for each thread of a block that works on a wide row."""


class _Thread(local):
    """What a thread is capturing, if it is."""

    capture: Capture | None = None


class CupyBackend(Backend):
    """CuPy on an NVIDIA GPU. Output arrays must be C-contiguous; inputs are made so."""

    name = "cupy"
    dtypes = cuda.DTYPES

    def __init__(self) -> None:
        import cupy
        import cupyx

        self.xp = cupy
        self._empty_pinned = cupyx.empty_pinned
        multiprocessors: int = cupy.cuda.Device().attributes["MultiProcessorCount"]
        self._most_blocks = BLOCKS_PER_MULTIPROCESSOR * multiprocessors
        self._modules: dict[tuple[str, np.dtype[Any]], Any] = {}
        self._kernels: dict[tuple[str, np.dtype[Any]], Any] = {}
        self._products: CublasLt | None = None
        self._multiplied: set[np.dtype[Any]] = set()
        """Dtypes whose products cuBLASLt carries out; those of others are cuBLAS's."""
        self._epilogues: set[tuple[Epilogue, np.dtype[Any]]] = set()
        self._no_capture = "cuBLASLt has not been tried"
        self._buffers: dict[tuple[int, np.dtype[Any]], Array] = {}
        self._copying: Any = None
        self._copies: deque[tuple[Any, Any]] = deque()
        """Copies that may go on, as their events, with the memory that they read and write."""
        self._turn = RLock()  # also for a signal's handler that comes in between
        self._stream = cupy.cuda.get_current_stream()
        self._thread = _Thread()

    # ------------------------------------------------------------------ arrays

    def owns(self, array: object) -> bool:
        return isinstance(array, self.xp.ndarray)

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        known = (self.xp.ndarray, np.ndarray, np.generic, Sequence, int, float)
        if not isinstance(array, known):
            raise TypeError(
                f"a {type(array).__module__}.{type(array).__name__} was given to the cupy backend: "
                "convert it to a NumPy or CuPy array"
            )
        return self.xp.asarray(array, dtype, order="C")

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        host: np.ndarray[Any, Any] = self.xp.asnumpy(array)
        self._forget_copies()
        return host

    def room(self) -> float:
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return DATA_SHARE * float(free)

    def copy_from_host(self, host: np.ndarray[Any, Any], out: Array) -> Any:
        if self._copying is None:
            self._copying = self.xp.cuda.Stream(non_blocking=True)
        self._forget_copies(MOST_COPIES - 1)
        pinned = self._empty_pinned(host.shape, host.dtype)
        pinned[...] = host
        with self._turn:
            self._take_turn()
        self._copying.wait_event(self.xp.cuda.get_current_stream().record())
        out.set(pinned, stream=self._copying)
        copy = self._copying.record()
        self._copies.append((copy, (pinned, out)))
        return copy

    def _forget_copies(self, most: int = MOST_COPIES) -> None:
        """Let go of the memory of copies that are done, and wait until at most so many are left.

        CuPy keeps neither side of a copy: its pools would hand the memory out again at once.
        """
        while True:
            with self._turn:
                if not self._copies or (len(self._copies) <= most and not self._copies[0][0].done):
                    return
                copy, memory = self._copies.popleft()
            copy.synchronize()
            del memory

    def wait_for(self, copy: Any) -> None:
        self.xp.cuda.get_current_stream().wait_event(copy)

    def synchronize(self) -> None:
        self.xp.cuda.Device().synchronize()

    # ------------------------------------------------------------------ launching

    def _launch(
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
        with self._turn:
            self._take_turn()
            self._keep(args)
            kernel(grid, block, args)

    def _take_turn(self) -> None:
        """Have the current stream wait for all that this backend issued to another.

        Called, and the work issued, while `self._turn` is held. A stream that captures waits for
        nothing outside of its graph: launching that takes a turn.
        """
        stream = self.xp.cuda.get_current_stream()
        if stream.ptr != self._stream.ptr and not stream.is_capturing():
            stream.wait_event(self._stream.record())
            self._stream = stream

    def _keep(self, arrays: Sequence[Any]) -> None:
        """Have a graph that is being captured keep the arrays that it holds the addresses of."""
        capture = self._thread.capture
        if capture is not None:
            capture.keep(arrays)

    def _module(self, file: str, dtype: np.dtype[Any]) -> Any:
        if dtype.name not in cuda.DTYPES:
            raise TypeError(f"the cupy backend computes in {' or '.join(cuda.DTYPES)}, not {dtype}")
        if (file, dtype) not in self._modules:
            self._modules[file, dtype] = self.xp.RawModule(
                code=cuda.source(file), options=cuda.options(dtype.name)
            )
        return self._modules[file, dtype]

    def _dense(self, array: Array) -> Array:
        """Make an input contiguous, because a kernel knows nothing of strides."""
        if array.flags.c_contiguous:
            return array
        capture = self._thread.capture
        return self.xp.ascontiguousarray(array) if capture is None else capture.copy(array)

    def _scratch(self, size: int, dtype: Any) -> Array:
        """Return memory that begins as zeros and is kept: captured steps hold its address."""
        key = size, np.dtype(dtype)
        if key not in self._buffers:
            with self._turn:
                self._take_turn()
                if key not in self._buffers:  # another thread may have been faster
                    self._buffers[key] = self.xp.zeros(size, dtype)
        return self._buffers[key]

    def _blocks(self, threads: int) -> int:
        """Blocks for so many threads; kernels go on to what is left."""
        return max(1, min(-(-threads // THREADS), self._most_blocks))

    def _flat(self, file: str, name: str, array: Array, *args: Any) -> None:
        """Launch a kernel on a flat array, if it has elements, with its size as last argument."""
        size = array.size
        if size:
            grid = (self._blocks(_packs(size, array.dtype)),)
            self._launch(file, name, array.dtype, grid, (THREADS,), (*args, np.int64(size)))

    def _carry_out(self, operation: Operation, arguments: tuple[Any, ...]) -> None:
        """By the method that is named as the operation, which is given dense inputs."""
        inputs = operation.with_inputs(arguments, self._dense)
        getattr(self, f"_{operation.name}")(*inputs)

    # ------------------------------------------------------------------ products

    def _matmul(self, a: View, b: View, out: Out) -> None:
        products = self._products
        done = False
        if products is not None and self._fit(a, b, out):
            left, right = self._dense_or_transposed(a), self._dense_or_transposed(b)
            with self._turn:
                self._take_turn()
                self._keep([left, right, out])
                done = products.matmul(left, right, out)
        if not done:
            self.xp.matmul(a, b, out=out)

    def _fit(self, a: Array, b: Array, out: Array) -> bool:
        """Whether cuBLASLt multiplies such matrices: it is told of one dtype and three sizes."""
        return (
            a.dtype in self._multiplied
            and a.dtype == b.dtype == out.dtype
            and a.ndim == b.ndim == 2
            and a.shape[1] == b.shape[0]
            and out.shape == (a.shape[0], b.shape[1])
            and bool(out.flags.c_contiguous)
        )

    def _dense_or_transposed(self, array: Array) -> Array:
        flags = array.flags
        return array if flags.c_contiguous or flags.f_contiguous else self._dense(array)

    def _linear_in_one(self, kind: str, x: Array, weight: Array, bias: Array, y: Out) -> bool:
        epilogue = BIAS_EPILOGUES.get(kind)
        return epilogue is not None and self._fused(epilogue, x, weight, y, bias)

    def _gradients_in_one(self, x: Array, dz: Array, dweight: Out, dbias: Out) -> bool:
        return self._fused(Epilogue.BIAS_GRADIENT, x.T, dz, dweight, dbias)

    def _fused(self, epilogue: Epilogue, a: Array, b: Array, out: Array, vector: Array) -> bool:
        """Carry out a product and what goes with it in one launch, if cuBLASLt can do that."""
        products = self._products
        if products is None or (epilogue, out.dtype) not in self._epilogues:
            return False
        if not self._fit(a, b, out) or vector.dtype != out.dtype:
            return False
        a, b = self._dense_or_transposed(a), self._dense_or_transposed(b)
        vector = self._dense(vector)
        with self._turn:
            self._take_turn()
            self._keep([a, b, out, vector])
            return products.fused(epilogue, a, b, out, vector)

    # ------------------------------------------------------------------ capturing

    def use_cublaslt(self) -> None:
        """Carry out products by cuBLASLt from now on, so that steps can be captured.

        Where it is missing, or refuses a dtype or computes something else than NumPy, cuBLAS stays.
        Where only an epilogue does, our own kernel stays in its place.
        """
        try:
            products = CublasLt(self.xp)
        except Exception as error:
            self._no_capture = f"cuBLASLt cannot be used: {named_reason(error)}"
            return
        dtypes = available(self.dtypes)
        self._multiplied = {dtype for dtype in dtypes if self._agrees(products, dtype)}
        if not self._multiplied:
            self._no_capture = "cuBLASLt computes wrong products"
            return
        self._products = products
        self._epilogues = {
            (epilogue, dtype)
            for dtype in self._multiplied
            for epilogue in Epilogue
            if self._epilogue_agrees(products, epilogue, dtype)
        }

    @property
    def products_by(self) -> str:
        """The library that multiplies matrices, for people."""
        if self._products is None:
            return f"cuBLAS ({self._no_capture})"
        others = [dtype.name for dtype in available(self.dtypes) if dtype not in self._multiplied]
        return self._products.library + (f"; cuBLAS for {', '.join(others)}" if others else "")

    def _agrees(self, products: CublasLt, dtype: Any) -> bool:
        """Whether products of small integers, and of transposed views, are exact."""
        a, b = np.arange(15).reshape(5, 3) % 7, np.arange(12).reshape(3, 4) % 5
        try:
            out = self.empty((5, 4), dtype)
            for left in (self.asarray(a, dtype), self.asarray(a.T.copy(), dtype).T):
                for right in (self.asarray(b, dtype), self.asarray(b.T.copy(), dtype).T):
                    out.fill(np.nan)
                    done = products.matmul(left, right, out)
                    got = self.to_numpy(out).astype(np.float64)
                    if not (done and np.array_equal(got, a @ b)):
                        return False
        except Exception:
            return False
        return True

    def _epilogue_agrees(self, products: CublasLt, epilogue: Epilogue, dtype: Any) -> bool:
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
            for left in (self.asarray(a), self.asarray(a.T.copy()).T):
                got, read = self.empty((n, 7), dtype), self.asarray(bias)
                try:
                    done = products.fused(epilogue, left, self.asarray(b), got, read)
                    results = [self.to_numpy(x).astype(real) for x in (got, read)]
                except Exception:
                    return False
                pairs = zip(results, right, strict=True)
                if done and not all(np.array_equal(x, y, equal_nan=True) for x, y in pairs):
                    return False
                carried_out = carried_out or done
        return carried_out

    def capture(self, step: Callable[[], object]) -> Callable[[int], None]:
        """Capture `step` as a CUDA graph, which is launched on the current stream."""
        if self._products is None:
            raise CaptureError(self._no_capture)
        capture = self._thread.capture = Capture(self.xp)
        try:
            capture.record(step)
        finally:
            self._thread.capture = None

        def replay(times: int) -> None:
            with self._turn:
                self._take_turn()
                capture.launch(times)

        return replay

    # ------------------------------------------------------------------ activations

    def _bias_activation(self, kind: str, z: Out, bias: Array | None, y: Out, alpha: float) -> None:
        if bias is None:
            self._activation(kind, z, y, alpha)
        elif z.size:
            grid = (self._blocks(_packs(z.size, z.dtype)),)
            keep_z = np.int32(ACTIVATIONS[kind].saved == "x")
            args = CODES[kind], _real(z, alpha), z, bias, y, keep_z
            sizes = np.int64(z.size), np.int64(z.shape[-1])
            self._launch("activations", "bias_activation", z.dtype, grid, (THREADS,), args + sizes)

    def _bias_activation_backward(
        self,
        kind: str,
        dy: Array,
        saved: Array,
        dz: Out,
        dbias: Out | None,
        alpha: float,
    ) -> None:
        if dbias is None:
            self._activation_backward(kind, dy, saved, dz, alpha)
        else:
            trainable(kind)
            head = CODES[kind], _real(dz, alpha), dy, saved, dz
            self._column_sums("bias_activation_backward", head, dz.shape, dbias)

    def _activation(self, kind: str, x: Array, y: Out, alpha: float) -> None:
        args = CODES[kind], _real(y, alpha), x, y
        self._flat("activations", "activation", y, *args)

    def _activation_backward(
        self, kind: str, dy: Array, saved: Array, dx: Out, alpha: float
    ) -> None:
        trainable(kind)
        args = CODES[kind], _real(dx, alpha), dy, saved, dx
        self._flat("activations", "activation_backward", dx, *args)

    def _bias_gradient(self, dy: Array, dbias: Out) -> None:
        self._column_sums("bias_gradient", (dy,), dy.shape, dbias)

    def _prelu(self, x: Array, slope: Array, y: Out) -> None:
        columns = np.int64(slope.size)
        self._flat("activations", "prelu", y, x, slope, y, columns)

    def _prelu_backward(self, dy: Array, x: Array, slope: Array, dx: Out, dslope: Out) -> None:
        head = dy, x, slope, dx
        shape = dx.size // slope.size, slope.size
        self._column_sums("prelu_backward", head, shape, dslope)

    def _maxout(self, z: Array, bias: Array, y: Out, piece: Out) -> None:
        sizes = np.int32(z.shape[1] // y.shape[1]), np.int64(y.shape[1])
        arrays = z, bias, y, piece
        self._flat("activations", "maxout", y, *arrays, *sizes)

    def _maxout_backward(self, dy: Array, piece: Array, dz: Out) -> None:
        sizes = np.int32(dz.shape[1] // dy.shape[1]), np.int64(dy.shape[1])
        self._flat("activations", "maxout_backward", dy, dy, piece, dz, *sizes)

    def _column_sums(
        self, name: str, head: tuple[Any, ...], shape: tuple[int, int], dbias: Array
    ) -> None:
        """Launch a kernel of columns.cuh: blocks as wide as the matrix, up to a warp."""
        rows, columns = shape
        if not columns:
            return
        packs = _packs(columns, dbias.dtype)
        width = min(32, _power_of_two(packs))
        height = THREADS // width
        tiles = -(-packs // width)
        groups = min(-(-rows // (height * ROWS_PER_THREAD)), self._most_blocks // tiles)
        grid = tiles, max(1, groups)
        partial = self._scratch(grid[1] * columns, arithmetic(dbias.dtype))
        tail = dbias, np.int64(rows), np.int64(columns), partial, self._scratch(tiles, np.uint32)
        self._launch("activations", name, dbias.dtype, grid, (width, height), head + tail)

    def _softmax(self, x: Array, y: Out) -> None:
        self._rows("softmax_cross_entropy", "softmax", y, x, y)

    def _softmax_backward(self, dy: Array, y: Array, dx: Out) -> None:
        self._rows("softmax_cross_entropy", "softmax_backward", dx, dy, y, dx)

    def _log_softmax(self, x: Array, y: Out) -> None:
        self._rows("softmax_cross_entropy", "log_softmax", y, x, y)

    def _log_softmax_backward(self, dy: Array, y: Array, dx: Out) -> None:
        self._rows("softmax_cross_entropy", "log_softmax_backward", dx, dy, y, dx)

    def _rows(self, file: str, name: str, out: Array, *args: Any) -> None:
        """Launch a kernel of rows.cuh that leaves nothing but `out`."""
        if out.size:
            columns = out.shape[-1]
            rows = out.size // columns
            suffix, blocks, threads = self._team(rows, columns, out.dtype)
            sizes = np.int64(rows), np.int32(columns)
            self._launch(file, name + suffix, out.dtype, (blocks,), (threads,), args + sizes)

    def _team(self, rows: int, columns: int, dtype: np.dtype[Any]) -> tuple[str, int, int]:
        """Choose who works on a row (see rows.cuh): the kernel's suffix, blocks and threads."""
        packs = _packs(columns, dtype)
        lanes = min(32, _power_of_two(packs))
        if packs <= min(8, 2 * dtype.itemsize) * lanes:
            return "" if packs <= lanes else "_long", self._blocks(rows * lanes), THREADS
        most = LARGEST_BLOCK_BYTES // arithmetic(dtype).itemsize
        threads = min(most, _power_of_two(-(-packs // 4)))  # four packs or more for each thread
        return "_wide", max(1, min(rows, self._most_blocks)), threads

    # ------------------------------------------------------------------ containers

    def _add(self, a: Array, b: Array, out: Out) -> None:
        self._flat("containers", "add", out, a, b, out)

    def _put_columns(self, x: Array, first: int, out: Out) -> None:
        self._copy_columns("put_columns", x, out, first, narrow=x, wide=out)

    def _take_columns(self, x: Array, first: int, out: Out) -> None:
        self._copy_columns("take_columns", x, out, first, narrow=out, wide=x)

    def _copy_columns(
        self, name: str, x: Array, out: Out, first: int, narrow: Array, wide: Array
    ) -> None:
        """Launch what copies all of `narrow`, or to it. Bytes are copied, whatever the dtype."""
        if not narrow.size:
            return
        columns, itemsize = narrow.shape[-1], narrow.itemsize
        rows = narrow.size // columns
        packs = _packs(columns, narrow.dtype)
        width = min(THREADS, _power_of_two(packs))
        height = THREADS // width
        tiles = min(-(-packs // width), self._most_blocks)
        grid = tiles, min(-(-rows // height), max(1, self._most_blocks // tiles))
        sizes = first * itemsize, wide.shape[-1] * itemsize, rows, columns * itemsize
        args = x, out, *map(np.int64, sizes)
        self._launch("containers", name, np.dtype(np.float32), grid, (width, height), args)

    # ------------------------------------------------------------------ normalization

    def _batch_norm_forward(
        self, x: Array, norm: Norm, running: Running, mean: Out, var: Out, y: Out
    ) -> None:
        averages = running.mean, running.var, mean, var
        numbers = _real(x, norm.eps), _real(x, running.momentum)
        args = x, norm.gamma, norm.beta, *averages, y, *numbers
        if self._merged_columns("batch_norm_forward", x, args) > 1:
            self._batch_norm_inference(x, norm, mean, var, y)

    def _batch_norm_inference(self, x: Array, norm: Norm, mean: Array, var: Array, y: Out) -> None:
        args = x, norm.gamma, norm.beta, mean, var, y, _real(x, norm.eps)
        self._columns("batch_norm_inference", y, args)

    def _batch_norm_backward(
        self,
        dy: Array,
        x: Array,
        norm: Norm,
        mean: Array,
        var: Array,
        dgamma: Out,
        dbeta: Out,
        dx: Out,
        batch_statistics: bool,
    ) -> None:
        numbers = _real(x, norm.eps), np.int32(batch_statistics)
        args = dy, x, norm.gamma, mean, var, dgamma, dbeta, dx, *numbers
        if self._merged_columns("batch_norm_backward", dx, args) > 1:
            self._columns("batch_norm_input_gradient", dx, args)

    def _layer_norm_forward(self, x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out) -> None:
        args = x, norm.gamma, norm.beta, mean, inv_std, y, _real(x, norm.eps)
        self._rows("normalization", "layer_norm_forward", y, *args)

    def _layer_norm_backward(
        self,
        dy: Array,
        x: Array,
        norm: Norm,
        mean: Array,
        inv_std: Array,
        dgamma: Out,
        dbeta: Out,
        dx: Out,
    ) -> None:
        args = dy, x, mean, inv_std, dgamma, dbeta
        self._merged_columns("layer_norm_parameter_gradients", dx, args)
        args = dy, x, norm.gamma, mean, inv_std, dx
        self._rows("normalization", "layer_norm_backward", dx, *args)

    def _columns(
        self, name: str, like: Array, args: tuple[Any, ...], tail: tuple[Any, ...] = ()
    ) -> None:
        """Launch a kernel of normalization.cu on the columns of matrices like this one."""
        rows, columns = like.shape
        grid, block = self._tiles(rows, columns, like.dtype)
        sizes = np.int64(rows), np.int64(columns)
        self._launch("normalization", name, like.dtype, grid, block, args + sizes + tail)

    def _merged_columns(self, name: str, like: Array, args: tuple[Any, ...]) -> int:
        """Launch one that ends with merge_columns(); returns the blocks that share each column."""
        rows, columns = like.shape
        (tiles, groups), block = self._tiles(rows, columns, like.dtype)
        reals = 2 * (ACCESS_BYTES // like.dtype.itemsize) + 1  # in the larger Part, Moments
        partial = self._scratch(groups * tiles * block[0] * reals, arithmetic(like.dtype))
        self._columns(name, like, args, (partial, self._scratch(tiles, np.uint32)))
        return groups

    def _tiles(
        self, rows: int, columns: int, dtype: np.dtype[Any]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Grid and block for work on columns: wide blocks, or tall ones where those are too few.

        Two packs, 32 bytes, are the least that memory is read by.
        """
        packs = _packs(columns, dtype)
        width = min(32, _power_of_two(packs))
        multiprocessors = self._most_blocks // BLOCKS_PER_MULTIPROCESSOR
        while width > 2 and THREADS // width < rows and packs // width < multiprocessors:
            width //= 2
        height, tiles = THREADS // width, -(-packs // width)
        groups = min(-(-rows // (height * ROWS_PER_THREAD)), self._most_blocks // tiles)
        return (tiles, max(1, groups)), (width, height)

    # ------------------------------------------------------------------ losses

    def _softmax_cross_entropy(
        self, z: Array, target: Array, dz: Out, log: Out, counters: Array
    ) -> None:
        rows, columns = z.shape
        suffix, blocks, threads = self._team(rows, columns, z.dtype)
        kind = "labels" if target.ndim == 1 else "probabilities"
        args = z, target, dz, np.int64(rows), np.int32(columns)
        name = f"cross_entropy_{kind}{suffix}"
        self._loss("softmax_cross_entropy", name, dz, blocks, threads, args, log, counters)

    def _categorical_cross_entropy(
        self, y: Array, target: Array, dy: Out, log: Out, counters: Array, delta: float
    ) -> None:
        rows, columns = y.shape
        suffix, blocks, threads = self._team(rows, columns, y.dtype)
        matrices = y, target, dy
        args = *matrices, _real(y, delta), np.int64(rows), np.int32(columns)
        name = f"categorical_cross_entropy{suffix}"
        self._loss("softmax_cross_entropy", name, dy, blocks, threads, args, log, counters)

    def _elementwise_loss(
        self,
        kind: str,
        y: Array,
        target: Array,
        dy: Out,
        log: Out,
        counters: Array,
        alpha: float,
    ) -> None:
        about = LOSSES[kind]
        count = dy.size if about.mean_over == "elements" else len(dy)
        right = np.int32(about.threshold is not None), _real(dy, about.threshold or 0)
        matrices = y, target, dy
        sizes = np.int64(count), np.int64(dy.size)
        args = np.int32(about.code), *matrices, _real(dy, alpha), *right, *sizes
        blocks = self._blocks(_packs(dy.size, dy.dtype))
        self._loss("losses", "elementwise_loss", dy, blocks, THREADS, args, log, counters)

    def _loss(
        self,
        file: str,
        name: str,
        dy: Array,
        blocks: int,
        threads: int,
        args: tuple[Any, ...],
        log: Array,
        counters: Array,
    ) -> None:
        """Launch a kernel that ends with write_log() of reduce.cuh."""
        partial = self._scratch(2 * blocks, np.float64)
        tail = partial, self._scratch(1, np.uint32), log, counters
        self._launch(file, name, dy.dtype, (blocks,), (threads,), args + tail)

    # ------------------------------------------------------------------ training

    def _dropout(self, x: Array, p: float, key: int, counters: Array, out: Out) -> None:
        keys = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
        scale = _real(out, 1 / (1 - p))
        args = x, np.float32(p), scale, *keys, counters, out
        self._flat("dropout", "dropout", out, *args)

    def _sgd(
        self,
        p: Out,
        g: Array,
        velocity: Out | None,
        update: Update,
        momentum: float,
        nesterov: bool,
    ) -> None:
        rate, penalties = _rate(update), (_real(p, update.weight_decay), _real(p, update.l1))
        if velocity is None:
            self._flat("optimizers", "sgd", p, p, g, update.master, *rate, *penalties)
        else:
            args = velocity, *rate, _real(p, momentum), np.int32(nesterov), *penalties
            self._flat("optimizers", "sgd_momentum", p, p, g, update.master, *args)

    def _adaptive(
        self, p: Out, g: Array, squares: Out, update: Update, keep: float, add: float, eps: float
    ) -> None:
        numbers = keep, add, eps, update.weight_decay, update.l1
        constants = (_real(p, x) for x in numbers)
        args = p, g, update.master, squares, *_rate(update), *constants
        self._flat("optimizers", "adaptive", p, *args)

    def _adam(
        self,
        p: Out,
        g: Array,
        m: Out,
        v: Out,
        update: Update,
        beta1: float,
        beta2: float,
        eps: float,
        decoupled: bool,
    ) -> None:
        constants = (np.float64(x) for x in (beta1, beta2, eps, update.weight_decay))
        args = m, v, *_rate(update), *constants, np.int32(decoupled), _real(p, update.l1)
        self._flat("optimizers", "adam", p, p, g, update.master, *args)

    def _accumulate(self, g: Array, total: Out, weight: float, start: bool) -> None:
        args = g, total, _real(g, weight), np.int32(start)
        self._flat("gradients", "accumulate", total, *args)

    def _sum_of_squares(self, x: Array, total: Out, start: bool) -> None:
        blocks = self._blocks(_packs(x.size, x.dtype))
        scratch = self._scratch(blocks, np.float64), self._scratch(1, np.uint32)
        args = x, total, np.int32(start), *scratch, np.int64(x.size)
        self._launch("gradients", "sum_of_squares", x.dtype, (blocks,), (THREADS,), args)

    def _clip(self, x: Out, total: Array, limit: float) -> None:
        self._flat("gradients", "clip", x, x, total, np.float64(limit))

    def _gather(
        self, source: Array, order: Array, counters: Array, batch_size: int, out: Out
    ) -> None:
        if not out.size:
            return
        rows = len(out)
        if source.dtype == out.dtype:
            name, dtype, length = "gather_copy", np.dtype(np.float32), out.nbytes // rows
            units = -(-length // ACCESS_BYTES)
        elif source.dtype == np.uint8:
            name, dtype, length = "gather_scaled", out.dtype, out.size // rows
            units = _packs(length, dtype)
        else:
            raise TypeError(f"gather cannot make {out.dtype} of {source.dtype}, only of uint8")
        width = min(THREADS, _power_of_two(units))
        height = THREADS // width
        grid = (min(-(-rows // height), self._most_blocks),)
        batch = source, order, counters, np.int64(batch_size)
        args = *batch, out, np.int64(rows), np.int64(length)
        self._launch("gather", name, dtype, grid, (width, height), args)

    def _advance(self, counters: Out, step: int, updates: int, forwards: int) -> None:
        args = counters, np.int64(step), np.int64(updates), np.int64(forwards)
        self._launch("gather", "advance", np.dtype(np.float32), (1,), (1,), args)


def _rate(update: Update) -> tuple[Any, ...]:
    """Return what a kernel looks the learning rate up by."""
    return update.lr, np.int32(update.lr.size), update.counters


def _real(like: Array, number: float) -> np.generic:
    """Return a number as the kernels for arrays like this one compute with it."""
    scalar: np.generic = arithmetic(like.dtype).type(number)
    return scalar


def _packs(size: int, dtype: np.dtype[Any]) -> int:
    """Accesses of 16 bytes that `size` elements take."""
    return -(-size * dtype.itemsize // ACCESS_BYTES)


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is not below n (n >= 1)."""
    return 1 << (n - 1).bit_length()


def create() -> CupyBackend:
    """Make the backend, once it is known that a GPU really works.

    Raises ImportError or RuntimeError that says what is missing and how to get it.
    """
    cupy = _import_cupy()
    _check_driver(cupy)
    toolkit = f"pip install 'nnkit[cuda{cupy.cuda.runtime.runtimeGetVersion() // 1000}]'"
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
        right = right and backend.to_numpy(backend.matmul(two, two)).item() == 4
    except Exception as error:
        raise RuntimeError(
            f"matrix products do not work: {named_reason(error)} (if cuBLAS is missing: {toolkit})"
        ) from error
    if not right:
        raise RuntimeError("the GPU computes wrong results: check its driver and its health")
    backend.use_cublaslt()
    return backend


def _import_cupy() -> Any:
    with importing(
        *("cupy", "CuPy"),
        "CuPy is not installed: pip install 'nnkit[cuda12]', or 'nnkit[cuda13]' where nvidia-smi "
        "shows CUDA 13",
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
            f"update the driver, or pip install 'nnkit[cuda{driver}]' in CuPy's place"
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
