"""The GPU's kernel of small products: when it is chosen, any thread order, in graphs."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnkit
from bench import small_products as bench
from bench.launches import counted
from nnkit.backends.cupy import CupyBackend, small_products
from nnkit.backends.cupy.cublaslt import Epilogue
from nnkit.backends.cupy.small_products import KERNELS, division, small
from tests.device import simulator
from tests.helpers import Check, place, random_array
from tests.operations.samples import linear
from tests.operations.shared import name, quarters
from tests.test_cupy_backend import _create

pytestmark = pytest.mark.skipif(
    simulator.unavailable() is not None, reason=str(simulator.unavailable())
)
H100 = 132
"""Multiprocessors, of the simulator too."""


@pytest.fixture(scope="module")
def gpu() -> CupyBackend:
    return _create()


LAYERS = {
    **{(n, 784, m): True for n, m in ((8, 100), (128, 128), (128, 256))},
    **{(784, 8, 100): True, (784, 128, 256): True, (256, 10, 1024): True},
    **{(256, 784, 1024): False, (784, 256, 1024): False, (1024, 256, 1024): False},
    **{(4096, 4, 4096): False, (500_000, 20, 1): False},
    (9, 10_000, 16): False,
}


@pytest.mark.parametrize("size", LAYERS, ids=name)
def test_products_that_are_small(size):
    assert small(*size, H100) == LAYERS[size]


@pytest.mark.parametrize(
    ("size", "tile", "blocks"),
    [
        ((128, 784, 128), 16, 1),
        ((8, 784, 100), 16, 6),
        ((16, 4096, 16), 16, 16),
        ((16, 500, 16), 16, 1),
        ((784, 128, 128), 32, 1),
        ((784, 128, 100), 32, 1),
        ((784, 128, 90), 16, 1),
        ((784, 128, 256), 32, 1),
        ((30_000, 20, 10), 16, 1),
    ],
    ids=name,
)
def test_how_work_is_divided(size, tile, blocks):
    assert division(*size, H100) == (tile, blocks)


def products(backend: CupyBackend, a: np.ndarray, b: np.ndarray, *layout: str) -> int:
    """Make a product, and count those of the kernel."""
    with counted(backend) as launches:
        out = backend.empty((*a.shape[:-1], b.shape[-1]), np.result_type(a, b))
        got = backend.matmul(*(place(backend, x, *layout) for x in (a, b)), out)
    np.testing.assert_array_equal(backend.to_numpy(got), a @ b)
    return sum(launches[kernel] for kernel in KERNELS.values())


def test_what_is_the_kernel_s(gpu, rng, monkeypatch):
    a, b = quarters(rng, 20, 30), quarters(rng, 30, 10)
    for dtype in (np.float32, np.float64):
        pair = a.astype(dtype), b.astype(dtype)
        assert products(gpu, *pair) == products(gpu, *pair, "transposed") == 1
        assert products(gpu, *pair, "rows") == 0
    assert products(gpu, a.astype(np.float16), b.astype(np.float16)) == 0
    assert products(gpu, a, b.astype(np.float32)) == 0
    assert products(gpu, np.stack([a, a]), np.stack([b, b])) == 0
    assert products(gpu, a[:0], b) == products(gpu, a[:, :0], b[:0]) == 0
    monkeypatch.setattr(small_products, "MOST_WORK", 0)
    assert products(gpu, a, b) == 0


def test_tf32_is_the_library_s(gpu, rng):
    """But float64 does not change."""
    a, b = quarters(rng, 4, 5), quarters(rng, 5, 3)
    nnkit.set_precision("tf32")
    try:
        assert products(gpu, a.astype(np.float32), b.astype(np.float32)) == 0
        assert products(gpu, a, b) == 1
    finally:
        nnkit.set_precision("float32")


@pytest.mark.parametrize("epilogue", Epilogue)
def test_a_vector_of_another_dtype_or_with_gaps_is_not_for_the_kernel(gpu, epilogue):
    a, b, out = (gpu.zeros(shape, np.float32) for shape in ((2, 3), (3, 4), (2, 4)))
    for vector in (gpu.zeros(4, np.float64), gpu.zeros(8, np.float32)[::2]):
        assert not small_products.multiply(gpu, a, b, out, epilogue, vector)


@pytest.mark.parametrize("blocks", [1, 3], ids=["alone", "shared"])
@pytest.mark.parametrize("tile", KERNELS)
def test_every_thread_order_gives_the_same_bits(gpu, dtype, monkeypatch, tile, blocks):
    monkeypatch.setattr(small_products, "division", lambda *_: (tile, blocks))
    check = Check(gpu, dtype, "offset")
    for run, inputs, outputs in linear(35, 40, 34).values():
        bits = set()
        for order in simulator.ORDERS:
            with simulator.thread_order(order):
                got = check(run, inputs, outputs, ulps=24, scale=109)
            bits.add(b"".join(array.tobytes() for array in got.values()))
        assert len(bits) == 1


def test_a_graph_gives_the_same_bits(gpu, dtype, rng):
    """Also where several blocks share a tile, and count themselves."""
    a, b = (gpu.asarray(random_array(rng, s, dtype)) for s in ((8, 784), (784, 20)))
    out, bias = gpu.zeros((8, 20), dtype), gpu.asarray(random_array(rng, 20, dtype))

    def step() -> None:
        gpu.linear_forward("relu", a, b, bias, out, out)

    step()
    want = gpu.to_numpy(out).tobytes()
    replay = gpu.capture(step)
    for times in (1, 17):
        out.fill(np.nan)
        replay(times)
        assert gpu.to_numpy(out).tobytes() == want


def test_they_are_timed_beside_the_library_s(gpu, monkeypatch, capsys):
    monkeypatch.setattr(bench, "get_backend", lambda name: gpu)
    monkeypatch.setattr(bench, "device_seconds", lambda call, rounds: call() or 1e-6)
    monkeypatch.setattr(bench, "DIVISIONS", ((16, 2), (32, 1)))
    bench.main(["--quick", "--divisions"])
    lines = capsys.readouterr().out.splitlines()
    found = re.findall(r"^(.*?) +(\d+x\d+x\d+) .* (\d+/\d+) +(yes|no) ", "\n".join(lines), re.M)
    assert found == [
        ("x @ W", "8x40x20", "16/1", "yes"),
        ("x.T @ dz", "40x8x20", "16/1", "yes"),
        ("x @ W", "8x20x4", "16/1", "yes"),
        ("x.T @ dz", "20x8x4", "16/1", "yes"),
        ("dz @ W.T", "8x4x20", "16/1", "yes"),
    ]
    assert re.fullmatch(r"a step of 40-20-4.*: \S+ us, with cuBLASLt alone \S+ us", lines[-1])
