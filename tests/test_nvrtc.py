"""NVRTC accepts every CUDA kernel, for every dtype and GPU; all keep their numbers in registers."""

from __future__ import annotations

import os
import re
import sys

import pytest

from nnkit.kernels import cuda
from tests.conftest import LARGE
from tests.device import fake_cupy
from tests.device.nvrtc import compile_nvrtc, unavailable


@pytest.fixture(scope="module", autouse=True)
def _nvrtc() -> None:
    if reason := unavailable():
        pytest.skip(reason)


SMALL = """
extern "C" __global__ void sum(const REAL* x, REAL* y) {
    __shared__ REAL s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) for (int i = 0; i < 64; i++) y[0] += s[i];
}
"""


TARGETS = [("float32", "sm_80")]
if os.environ.get(LARGE):
    TARGETS = [("float64", "sm_90"), ("float16", "sm_80"), ("bfloat16", "sm_90")]
"""Each dtype once and each GPU in two; those of `make test-large` are the others."""


READ_LITTLE = {"augment", "batch_norm_merge", "gather_scaled"}
"""Kernels that read bytes, or numbers that lie anywhere."""
WRITE_LITTLE = {
    "batch_norm_merge",
    "batch_norm_moments",
    "batch_norm_sums",
    "bias_gradient",
    "convolution_backward_weights",
    "layer_norm_parameter_gradients",
    "sum_of_squares",
}
"""Kernels that write a row or a number."""


FILES_FOR = [(dtype, arch, name) for dtype, arch in TARGETS for name in cuda.files_for(dtype)]


@pytest.mark.parametrize(("dtype", "arch", "name"), FILES_FOR)
def test_kernels_compute_in_registers_and_access_16_bytes_at_a_time(name, dtype, arch):
    """A GPU has no longer accesses, and the compiler does make them."""
    ptx, machine_code, kernels = compile_nvrtc(cuda.source(name), arch, cuda.options(dtype))
    assert kernels, "the compiler names no kernel"
    assert machine_code.startswith(b"\x7fELF")
    in_memory = {k: used for k, used in kernels.items() if used["spill"] or used["stack"]}
    assert in_memory == {}, "spilled registers, or arrays that are not indexed by constants"
    assert all(used["shared"] <= 48 * 1024 for used in kernels.values())
    texts = {entry.partition("(")[0]: entry for entry in ptx.split(".visible .entry ")[1:]}
    assert texts.keys() == kernels.keys()
    texts.pop("advance", None)
    for kernel, text in texts.items():
        if kernel not in READ_LITTLE:
            assert re.search(r"ld\.global[.\w]*\.v4\.u32", text), kernel
        if kernel not in WRITE_LITTLE:
            assert re.search(r"st\.global[.\w]*\.v4\.u32", text), kernel


def test_usage_is_reported():
    kernels = compile_nvrtc(SMALL, "sm_80", ("-DREAL=double",)).kernels
    assert kernels["sum"].keys() == {"registers", "spill", "shared", "stack"}
    assert kernels["sum"]["shared"] == 512
    assert 8 <= kernels["sum"]["registers"] <= 255
    assert kernels["sum"]["stack"] == kernels["sum"]["spill"] == 0


def test_spills_are_reported():
    body = " ".join(f"float v{i} = x[{i}];" for i in range(64))
    total = " + ".join(f"v{i} * v{(i * 7 + 1) % 64}" for i in range(64))
    bounds = "__launch_bounds__(1024, 2)"  # 32 registers a thread
    source = (
        f'extern "C" __global__ void {bounds} k(volatile float* x) {{ {body} x[0] = {total}; }}'
    )
    kernels = compile_nvrtc(source, "sm_80").kernels
    assert kernels["k"]["spill"] > 0


def test_errors_carry_the_log():
    with pytest.raises(
        AssertionError, match=r"kernel\.cu\(1\): error: identifier .REAL. is undefi"
    ):
        compile_nvrtc(SMALL.strip(), "sm_80")


def test_the_look_alike_of_cupy_is_not_in_the_way():
    with fake_cupy.installed() as cupy:
        compile_nvrtc(SMALL, "compute_80", ("-DREAL=float",))
        assert sys.modules["cupy"] is cupy
