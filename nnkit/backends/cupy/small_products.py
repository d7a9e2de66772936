"""Products that are too small for cuBLASLt to fill a GPU, by a kernel of our own: products.cu.

cuBLASLt's tiles are large, so that few multiprocessors have one, and each goes through the whole
depth alone. Ours are of 16 or 32 rows and columns, and eight warps divide the depth of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out, View
from nnkit.backends.cupy.cublaslt import Epilogue
from nnkit.backends.cupy.launching import BLOCKS_PER_MULTIPROCESSOR
from nnkit.backends.cupy.plans import fit_together, is_transposed
from nnkit.backends.precision import get_precision
from nnkit.kernels.cuda import THREADS

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend

MOST_WORK = 1 << 19
"""Multiplications for each multiprocessor, those of whole tiles: two blocks of 16 x 16 x 1,024."""
MOST_RESULTS = 64 * 64
"""Numbers of the result for each: with more, all have a tile of cuBLASLt's."""
MOST_DEPTH = 4096
DEPTH_OF_BLOCK = 128
"""The least that is worth a block of its own, where several share a tile."""
LEAST_BLOCKS, MOST_BLOCKS = 4, 16
"""Of those that share a tile. Adding up what they have takes a microsecond: two do not save it."""
KERNELS = {16: "product_of_small_tiles", 32: "product_of_large_tiles"}
"""By rows and columns of a tile."""


def small(n: int, k: int, m: int, multiprocessors: int) -> bool:
    """Whether a product (n, k) @ (k, m) takes our kernel less time than cuBLASLt's.

    It does where cuBLASLt leaves multiprocessors without work. Of a large product, ours would
    read each number from memory more often; of a narrow one, most of its tiles would be empty.
    """
    results = 256 * _tiles(n, m, 16)
    few = results <= MOST_RESULTS * multiprocessors
    return few and k <= MOST_DEPTH and results * k <= MOST_WORK * multiprocessors


def division(n: int, k: int, m: int, multiprocessors: int) -> tuple[int, int]:
    """Choose the rows and columns of a tile, and how many blocks share one.

    Large tiles, which read less, where most multiprocessors have one; else small ones, and several
    blocks for each where there is much to add up and most would be idle.
    """
    if min(n, m) > 16 and 4 * _tiles(n, m, 32) >= 3 * multiprocessors:
        return 32, 1
    blocks = min(multiprocessors // _tiles(n, m, 16), k // DEPTH_OF_BLOCK, MOST_BLOCKS)
    return 16, blocks if blocks >= LEAST_BLOCKS else 1


def _tiles(n: int, m: int, size: int) -> int:
    return -(-n // size) * -(-m // size)


def multiply(
    backend: CupyBackend,
    a: View,
    b: View,
    out: Out,
    epilogue: Epilogue | None = None,
    vector: Array | None = None,
) -> bool:
    """``out = a @ b``, and an epilogue, if that is for our kernel.

    Returns False where it is not: see `takes`.
    """
    if not takes(backend, a, b, out, vector):
        return False
    (n, k), m, multiprocessors = a.shape, b.shape[1], _multiprocessors(backend)
    tile, blocks = division(n, k, m, multiprocessors)
    grid = -(-m // tile), -(-n // tile), blocks
    slices = -(-k * a.itemsize // 64)
    bias, sums = (None, vector) if epilogue is Epilogue.BIAS_GRADIENT else (vector, None)
    tiles, shared = grid[0] * grid[1], blocks > 1
    launcher = backend.launcher
    args = (
        *(_lying(a), _lying(b), out, bias, np.int32(epilogue is Epilogue.RELU_BIAS), sums),
        *map(np.int32, (n, k, m, not is_transposed(a), is_transposed(b), -(-slices // blocks))),
        launcher.scratch(blocks * tiles * (tile + 1) * tile, out.dtype) if shared else None,
        launcher.scratch(tiles, np.uint32) if shared else None,
    )
    launcher.launch("products", KERNELS[tile], out.dtype, grid, (THREADS,), args)
    return True


def takes(backend: CupyBackend, a: View, b: View, out: Out, vector: Array | None) -> bool:
    """Whether a product is for our kernel.

    It is not where it has more than two dimensions, rows with gaps between them, empty matrices,
    another dtype than float32 and float64, where TF32 is asked for, or where it is not `small`.
    """
    if not _kernel_can(a, b, out, vector):
        return False
    (n, k), m = a.shape, b.shape[1]
    return small(n, k, m, _multiprocessors(backend))


def _multiprocessors(backend: CupyBackend) -> int:
    return backend.launcher.most_blocks // BLOCKS_PER_MULTIPROCESSOR


def _lying(matrix: View) -> Array:
    """Return a matrix as it lies in memory, row by row."""
    return matrix.T if is_transposed(matrix) else matrix


def _kernel_can(a: View, b: View, out: Out, vector: Array | None) -> bool:
    """Whether matrices and vector are such as the kernel reads and writes."""
    return (
        fit_together(a, b, out)
        and a.ndim == 2
        and all(x.flags.c_contiguous for x in (_lying(a), _lying(b), out))
        and out.dtype.name in ("float32", "float64")
        and (vector is None or (vector.dtype == out.dtype and vector.flags.c_contiguous))
        and (out.dtype.name != "float32" or get_precision() == "float32")
        and bool(a.size and b.size)
    )
