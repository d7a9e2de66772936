"""The CUDA-on-CPU simulator itself: it computes what a GPU would, and notices what goes wrong."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.device import compiler, memory, simulator
from tests.device.simulator import KernelError, RawModule, thread_order

missing = simulator.unavailable()
pytestmark = pytest.mark.skipif(missing is not None, reason=str(missing))
each_order = pytest.mark.parametrize("order", simulator.ORDERS)

f32, f64, i32, i64, u32 = np.float32, np.float64, np.int32, np.int64, np.uint32

PRELUDE = """
template <typename T> __device__ T block_sum(T value) {
    __shared__ T s[32];
    s[threadIdx.x & 31] = value;
    __syncthreads();
    T sum = 0;
    for (int i = 0; i < 32; i++) sum += s[i];
    __syncthreads();
    return sum;
}
template <typename T> __device__ T unset() { __shared__ T s[32]; return s[threadIdx.x]; }
__device__ __noinline__ float deep(int n) { return n == 0 ? 0.0f : 1.0f + deep(n - 1) * 2.0f; }
"""

BODIES = {
    "square": "x[t] = (float)(t * t);",
    "geometry": "x[(threadIdx.z * 2 + threadIdx.y) * 4 + threadIdx.x]"
    " = threadIdx.x + 10 * blockDim.y + 100 * blockDim.z + 1000 * gridDim.y + 10000 * blockIdx.y;",
    "race": "__shared__ float s[64]; s[t] = t; x[t] = t > 0 ? s[t - 1] : 0.0f;",
    "barrier": "__shared__ float s[64]; s[t] = t; __syncthreads(); x[t] = t > 0 ? s[t - 1] : 0.0f;",
    "early_overwrite": "__shared__ float s[2]; for (int i = 1; i < 3; i++) {"
    " float v = __shfl_sync(~0u, (t + 1.0f) * i, 0); if (t % 32 == 0) s[t / 32] = v;"
    " __syncthreads(); x[t] += s[1 - t / 32]; }",
    "arrivals": "x[1 + (int)atomicAdd(x, 1.0f)] = blockIdx.x * blockDim.x + t;",
    "two_visits": "x[1 + (int)atomicAdd(x, 1.0f)] = blockIdx.x; __syncthreads();"
    " x[1 + (int)atomicAdd(x, 1.0f)] = blockIdx.x;",
    "submasks": "float v = t; if (t >= 16) v += __shfl_xor_sync(0xffff0000u, v, 1);"
    " x[t] = v + __shfl_xor_sync(0xffffffffu, v, 16);",
    "segments": "x[t] = __shfl_down_sync(0xffffffffu, (float)t, 3, 8)"
    " + 100 * __shfl_up_sync(0xffffffffu, (float)t, 3, 8)"
    " + 10000 * __shfl_sync(0xffffffffu, (float)t, 2, 8);",
    "wide_shuffle": "double v = __shfl_xor_sync(0xffffffffu, t + 1e-12, 1);"
    " x[t] = (v - (t ^ 1)) * 1e12;",
    "votes": "x[t] = __popc(__ballot_sync(0xffffffffu, t % 3 == 0))"
    " + 100 * __any_sync(0xffffffffu, t == 5) + 1000 * __all_sync(0xffffffffu, t < 31);",
    "block_votes": "x[t] = __syncthreads_count(t % 2) + 100 * __syncthreads_or(t == 5)"
    " + 1000 * __syncthreads_and(t >= 0) + 10000 * __syncthreads_and(t > 0);",
    "early_exit": "if (t % 4) return; __syncthreads(); x[t] = 1;",
    "template_shared": "x[t] = block_sum((float)t) + block_sum(2);",
    "dynamic": "extern __shared__ __align__(16) float s[];"
    " s[t] = t; __syncthreads(); x[t] = s[31 - t];",
    "template_unset": "x[t] = unset<float>();",
    "dynamic_unset": "extern __shared__ double s[]; x[t] = s[t];",
    "static_unset": "__shared__ float s[32]; x[t] = s[t];",
    "read_around": "x[t] = x[t + 64];",
}

MISTAKES = {
    "divergent": ("if (t < 16)\n __syncthreads();\n else\n __syncthreads();", "divergent barrier"),
    "deadlock": ("if (t < 16) __syncthreads(); else __syncwarp();", "16 threads wait at __syncth"),
    "gone_lane": ("if (t < 8) x[t] = __shfl_xor_sync(~0u, t, 16);", "lane 0 shuffles from lane 16"),
    "unmasked": ("if (t < 16) x[t] = __shfl_sync(0xffffu, t, 20);", "lane 0 shuffles from lane 20"),
    "not_in_mask": ("__syncwarp(0xfffeu);", "mask 0x0000fffe lacks the calling lane"),
    "far_write": ("x[1ll << 40] = 1;", "illegal memory access"),
    "null_read": ("x[t] = *(volatile float*)nullptr;", r"illegal .*; block \(0, 0, 0\), thr"),
    "recursion": ("x[t] = deep(1 << 30);", "stack overflow"),
    "overflow": ("__syncthreads(); if (t == 3) x[t] = deep(6000);", "stack overflow.* thread 3"),
    "misaligned": ("reinterpret_cast<float4*>(x + 1)[0].x = 1;", "misaligned .* needs 16 bytes"),
    "static_beyond": ("__shared__ float s[32]; s[t + 1] = 1; x[t] = s[0];", "index 32 is out"),
    "dynamic_beyond": ("extern __shared__ float s[]; s[32] = 1;", "write to byte 128 of 128 bytes"),
    "zero_divisor": ("x[t] = 1 / (int)x[t];", "division by zero"),
    "long_shift": ("x[t] = 1u << (32 + t);", "shift by"),
    "asserted": ("assert(t < 5);", r"assertion t < 5 failed; .*thread \(5, 0, 0\)"),
    "trapped": ("if (t == 3) __trap();", r"__trap\(\); .*thread \(3, 0, 0\)"),
    "overrun": ("if (t == 0) x[64] = 1;", "writes byte 256 of argument 0, which has 256 bytes"),
    "underrun": ("if (t == 0) x[-3] = 1;", "writes byte -12 of argument 0"),
}


def source(bodies: dict[str, str]) -> str:
    """Make one kernel of each body; all take an array x and know the thread's index t."""
    kernels = [
        f'extern "C" __global__ void {name}(float* x) {{ int t = threadIdx.x; {body}\n}}'
        for name, body in bodies.items()
    ]
    return "\n".join([PRELUDE, *kernels])


def run(name: str, size: int = 64, grid: tuple = (1,), block: tuple = (32,), shared_mem: int = 0):
    """Run one of the kernels above on an array of zeros."""
    kernels = BODIES if name in BODIES else {name: body for name, (body, _) in MISTAKES.items()}
    x = memory.allocate(size, f32)
    x.fill(0)
    module = RawModule(code=source(kernels))
    module.get_function(name)(grid, block, (x,), shared_mem=shared_mem)
    return x


lanes = np.arange(32)


class TestThreads:
    """Threads, blocks, and the order in which they run."""

    def test_each_thread_has_its_index(self):
        np.testing.assert_array_equal(run("square")[:32], lanes**2)

    @each_order
    def test_dimensions(self, order):
        with thread_order(order):
            x = run("geometry", block=(4, 2, 2), grid=(1, 3))
        last_block = 0 if order == "reverse" else 2
        if order != "shuffled":
            want = lanes[:16] % 4 + 20 + 200 + 3000 + 10000 * last_block
            np.testing.assert_array_equal(x[:16], want)

    def test_forward_and_reverse(self):
        np.testing.assert_array_equal(run("arrivals", grid=(3,), block=(8,))[:25], [24, *range(24)])
        with thread_order("reverse"):
            x = run("arrivals", grid=(3,), block=(8,))
        np.testing.assert_array_equal(x[:25], [24, *reversed(range(24))])

    def test_shuffled_blocks_and_threads(self):
        def arrivals(seed):
            with thread_order("shuffled", seed):
                return run("arrivals", grid=(7,), block=(8,))[1:57].reshape(7, 8).astype(int)

        first, again, other = arrivals(0), arrivals(0), arrivals(1)
        blocks, threads = first // 8, first % 8
        assert (blocks == blocks[:, :1]).all(), "a warp is not interrupted"
        assert sorted(blocks[:, 0]) == list(range(7)) != list(blocks[:, 0])
        assert (np.sort(threads) == np.arange(8)).all()
        assert len({tuple(row) for row in threads}) > 1, "each block has an order of its own"
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_blocks_alternate_when_shuffled(self):
        one_by_one = np.repeat([0, 1, 2, 3], 2).tolist()
        assert run("two_visits", grid=(4,), block=(1,))[1:9].tolist() == one_by_one
        with thread_order("shuffled"):
            visits = run("two_visits", grid=(4,), block=(1,))[1:9].tolist()
        assert sorted(visits) == one_by_one
        assert any(a != b for a, b in zip(visits[::2], visits[1::2], strict=True))

    @each_order
    def test_blocks_have_their_own_shared_memory(self, order):
        want = np.repeat(np.arange(30), 2) * 11 + 1
        body = """
        __shared__ int s;
        extern __shared__ int d[];
        if (t == 0) s = blockIdx.x;
        __syncthreads();
        if (t == 1) d[0] = s + 1;
        __syncthreads();
        x[blockIdx.x * 2 + t] = s * 10 + d[0];"""
        kernel = RawModule(code=source({"kernel": body})).get_function("kernel")
        for seed in range(5):
            x = memory.allocate(60, f32)
            with thread_order(order, seed):
                kernel((30,), (2,), (x,), shared_mem=4)
            np.testing.assert_array_equal(x, want)

    def test_order_is_restored_and_checked(self):
        with pytest.raises(ZeroDivisionError), thread_order("reverse"):
            _ = 1 // 0
        assert run("arrivals", block=(4,))[1] == 0
        with pytest.raises(ValueError, match="sideways"), thread_order("sideways"):
            pass

    def test_early_exit_does_not_block_a_barrier(self):
        np.testing.assert_array_equal(run("early_exit")[:32], lanes % 4 == 0)

    def test_ucontext_fibers(self):
        module = RawModule(code=source(BODIES), flags=("-DCOC_UCONTEXT",))
        x = np.zeros(64, f32)
        module.get_function("template_shared")((1,), (32,), (x,))
        np.testing.assert_array_equal(x[:32], 496 + 64)


class TestSynchronization:
    """Barriers, warp intrinsics, shared memory."""

    def test_missing_barrier_shows_in_some_order(self):
        want = np.maximum(np.arange(64) - 1, 0)
        right = []
        for order in simulator.ORDERS:
            with thread_order(order):
                right.append(np.array_equal(run("race", block=(64,)), want))
                np.testing.assert_array_equal(run("barrier", block=(64,)), want)
        assert right == [True, False, False]

    def test_warps_run_ahead_of_each_other(self):
        """A missing second barrier lets one warp overwrite what another has yet to read."""
        want = np.repeat([33 + 66, 1 + 2], 32)
        for order in simulator.ORDERS:
            with thread_order(order):
                assert not np.array_equal(run("early_overwrite", block=(64,)), want)

    @each_order
    def test_different_masks_in_one_warp(self, order):
        v = np.where(lanes < 16, lanes, lanes + (lanes ^ 1))
        with thread_order(order):
            np.testing.assert_array_equal(run("submasks")[:32], v + v[lanes ^ 16])

    def test_shuffles_within_segments(self):
        first, last = lanes & ~7, lanes | 7
        down = np.where(lanes + 3 <= last, lanes + 3, lanes)
        up = np.where(lanes - 3 >= first, lanes - 3, lanes)
        want = down + 100 * up + 10000 * (first + 2)
        np.testing.assert_array_equal(run("segments")[:32], want)

    def test_shuffle_of_doubles(self):
        np.testing.assert_allclose(run("wide_shuffle")[:32], 1, rtol=0.01)

    def test_votes(self):
        np.testing.assert_array_equal(run("votes")[:32], 11 + 100)
        np.testing.assert_array_equal(run("block_votes")[:32], 16 + 100 + 1000)

    @each_order
    def test_shared_arrays_in_templates(self, order):
        with thread_order(order):
            np.testing.assert_array_equal(run("template_shared")[:32], 496 + 64)

    def test_dynamic_shared_memory(self):
        np.testing.assert_array_equal(run("dynamic", shared_mem=128)[:32], lanes[::-1])

    def test_uninitialised_memory_is_nan(self):
        assert np.isnan(run("static_unset")[:32]).all()
        assert np.isnan(run("template_unset")[:32]).all()
        assert np.isnan(run("dynamic_unset", shared_mem=256)[:32]).all()
        assert np.isnan(run("read_around")[:32]).all()


class TestMistakes:
    """What would crash, hang or corrupt memory on a GPU raises an error that says where."""

    @pytest.mark.parametrize("name", MISTAKES)
    def test_kernel_error(self, name):
        with pytest.raises(KernelError, match=f"^{name}: .*{MISTAKES[name][1]}"):
            run(name, shared_mem=128)

    def test_next_launch_works(self):
        for name in ("deadlock", "recursion", "overrun", "far_write"):
            with pytest.raises(KernelError):
                run(name)
        np.testing.assert_array_equal(run("square")[:32], lanes**2)

    def test_write_into_a_neighbour(self):
        x = memory.allocate(96, f32)
        x.fill(5)
        square = RawModule(code=source(BODIES)).get_function("square")
        with pytest.raises(KernelError, match="writes byte 66 of argument 0, which has 64 bytes"):
            square((1,), (32,), (x[16:32],))
        assert x[:16].tolist() == x[32:].tolist()[:16] == [5] * 16, "the damage is undone"

    def test_line_number(self):
        code = (
            '#include <cuda_fp16.h>\n\nextern "C" __global__ void k(int n) {\n\n assert(n == 1);\n}'
        )
        with pytest.raises(KernelError, match="line 5"):
            RawModule(code=code).get_function("k")((1,), (1,), (i32(0),))

    def test_endless_loop(self):
        code = 'extern "C" __global__ void spin(volatile int* x) { while (x[0] == 0) {} }'
        flags = ("-DCOC_CPU_MILLISECONDS=100",)
        spin = RawModule(code=code, flags=flags).get_function("spin")
        with pytest.raises(KernelError, match="endless loop"):
            spin((1,), (1,), (np.zeros(1, i32),))

    def test_endless_loop_around_a_barrier(self):
        code = 'extern "C" __global__ void spin(volatile int* x) { while (!x[0]) __syncthreads(); }'
        spin = RawModule(code=code, flags=("-DCOC_CPU_MILLISECONDS=100",)).get_function("spin")
        with pytest.raises(KernelError, match="endless loop"):
            spin((1,), (2,), (np.zeros(1, i32),))

    def test_huge_stack_frame(self):
        code = """
        __device__ __noinline__ void fill(volatile float* a) { a[9999] = 1; }
        extern "C" __global__ void k(float* x) { float a[10000]; fill(a); x[0] = a[9999]; }"""
        with pytest.raises(simulator.CompileError, match="frame size"):
            RawModule(code=code)

    @pytest.mark.parametrize(
        ("body", "message"),
        [("x[i]", "AddressSanitizer: use-after-poison"), ("i + 2147483548", "signed integer over")],
        ids=["read outside", "undefined"],
    )
    def test_sanitizers(self, body, message):
        """An index of 99 is all right, one of 100 a mistake that only a sanitizer can see."""
        script = f"""
import numpy as np
from tests.device import memory, simulator
code = 'extern "C" __global__ void read(float* x, int i) {{ __syncthreads(); x[0] = {body}; }}'
read = simulator.RawModule(code=code).get_function("read")
for make in (memory.allocate, np.zeros):
    read((1,), (64,), (make(100, np.float32), np.int32(99)))
print("right", flush=True)
read((1,), (64,), (memory.allocate(100, np.float32), np.int32(100)))
print("wrong")
"""
        environment = simulator.sanitizer_environment()
        if environment is None:
            pytest.skip("g++ has no libasan or no libubsan")
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        command = [sys.executable, "-c", script]
        result = subprocess.run(
            command, env=environment, text=True, capture_output=True, check=False
        )
        assert result.stdout == "right\n", result.stderr
        assert message in result.stderr and "kernel.cu:1" in result.stderr


ALGORITHMS = """
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef REAL
#define REAL float
#endif
#define MAP(NAME, EXPRESSION)                                                          \\
    extern "C" __global__ void NAME(const REAL* __restrict__ x, REAL* y, int n) {      \\
        int i = blockIdx.x * blockDim.x + threadIdx.x;                                 \\
        if (i < n) { REAL v = x[i]; y[i] = (EXPRESSION); }                             \\
    }
MAP(map_exp, exp(v)) MAP(map_tanh, tanh(v)) MAP(map_gelu, v * normcdf(v)) MAP(map_rsqrt, rsqrt(v))
MAP(map_log1p, log1p(v)) MAP(map_max, max(v, (REAL)0)) MAP(map_isnan, isnan(v)) MAP(map_erf, erf(v))

constexpr int THREADS = 128;

__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
    return v;
}
// The maximum of all elements; the last block to finish combines the blocks' results.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
last_block_max(const float* __restrict__ x, volatile float* partial, unsigned* done, float* y,
               long long n) {
    __shared__ float warps[THREADS / 32];
    __shared__ bool last;
    const int t = threadIdx.x;
    float v = -INFINITY;
    const long long stride = (long long)gridDim.x * THREADS;
    for (long long i = blockIdx.x * (long long)THREADS + t; i < n; i += stride)
        v = fmaxf(v, __ldg(x + i));
    v = warp_max(v);
    if (t % 32 == 0) warps[t / 32] = v;
    __syncthreads();
    if (t == 0) {
        for (int w = 1; w < THREADS / 32; w++) v = fmaxf(v, warps[w]);
        partial[blockIdx.x] = v;
        __threadfence();
        last = atomicInc(done, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last || t != 0) return;
    for (int b = 0; b < gridDim.x; b++) v = fmaxf(v, partial[b]);
    *y = v;
}
// The sum of all elements; every warp writes its part, so that a barrier is needed.
extern "C" __global__ void last_block_sum(const int* x, int* partial, unsigned* done, int* y) {
    __shared__ bool last;
    const int t = threadIdx.x, warps = blockDim.x / 32;
    if (t % 32 == 0) {
        int sum = 0;
        for (int i = 0; i < 32; i++) sum += x[blockIdx.x * blockDim.x + t + i];
        partial[blockIdx.x * warps + t / 32] = sum;
    }
#ifndef NO_BARRIER
    __syncthreads();
#endif
    if (t == 0) {
        __threadfence();
        last = atomicAdd(done, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last || t != 0) return;
    for (int i = 0; i < gridDim.x * warps; i++) *y += partial[i];
}
extern "C" __global__ void vectors(const uchar4* a, const int4* b, const double2* c, float4* d) {
    const int i = threadIdx.x;
    d[i] = make_float4(a[i].w / 255.0f, b[i].y, c[i].x + c[i].y, 4.0f);
}
extern "C" __global__ void integers(unsigned a, unsigned long long b, float f, long long* y) {
    y[0] = __umulhi(a, a);
    y[1] = (long long)__umul64hi(b, b);
    y[2] = __float2int_rn(f);
    y[3] = __float2int_rn(f * 1e20f);
    y[4] = __float2int_rn(__int_as_float(0x7fc00000));
    y[5] = __float2uint_rz(-1.0f);
    y[6] = __clz(1) + 100 * __ffs(4) + 1000 * __popc(7u);
    y[7] = __brev(1u);
    y[8] = (long long)max(-1, 1) * 10 + (long long)min(2.5f, 2.0);
}
extern "C" __global__ void atomics(int* x) {
    atomicAdd(x, 2);
    atomicMax(x + 1, threadIdx.x);
    int old = x[2], seen;
    do { seen = old; old = atomicCAS(x + 2, seen, seen + 3); } while (old != seen);
    if (threadIdx.x == 7) atomicExch(x + 3, 9);
}
"""


class TestCuda:
    """The language and the library of CUDA, compared with NumPy."""

    @pytest.mark.parametrize("real", ["float", "double"])
    def test_math(self, real, rng):
        dtype = f32 if real == "float" else f64
        module = RawModule(code=ALGORITHMS, options=("-std=c++17", f"-DREAL={real}"))
        x = np.append(rng.random(997), [0.0, np.inf, np.nan]).astype(dtype)
        erf = np.vectorize(math.erf)
        with np.errstate(all="ignore"):
            wants = {
                **{"exp": np.exp(x), "tanh": np.tanh(x), "log1p": np.log1p(x), "erf": erf(x)},
                **{"gelu": x * (1 + erf(x / math.sqrt(2))) / 2, "rsqrt": 1 / np.sqrt(x)},
                **{"max": np.fmax(x, 0), "isnan": np.isnan(x)},
            }
        for name, want in wants.items():
            y = np.empty_like(x)
            module.get_function(f"map_{name}")((8,), (128,), (x, y, i32(x.size)))
            np.testing.assert_allclose(y, want, rtol=8 * np.finfo(dtype).eps, err_msg=name)

    @each_order
    def test_last_block_done(self, order, rng):
        kernel = RawModule(code=ALGORITHMS).get_function("last_block_max")
        x = rng.standard_normal(10_001).astype(f32)
        partial, done = memory.allocate(7, f32), np.zeros(1, u32)
        for _ in range(2):
            y = np.zeros(1, f32)
            with thread_order(order):
                kernel((7,), (128,), (x, partial, done, y, i64(x.size)))
            assert y[0] == x.max()
            assert done[0] == 0, "the counter is ready for the next launch"

    def test_race_between_blocks_shows_when_shuffled(self, rng):
        x = rng.integers(0, 100, 7 * 128, i32)

        def is_right(seed, *options):
            kernel = RawModule(code=ALGORITHMS, options=options).get_function("last_block_sum")
            y = np.zeros(1, i32)
            with thread_order("shuffled", seed):
                kernel((7,), (128,), (x, memory.allocate(28, i32), np.zeros(1, u32), y))
            return y[0] == x.sum()

        assert all(is_right(seed) for seed in range(20))
        assert not all(is_right(seed, "-DNO_BARRIER") for seed in range(20))

    def test_vector_types(self, rng):
        a = rng.integers(0, 256, (16, 4), np.uint8)
        b = rng.integers(-9, 9, (16, 4), i32)
        c, d = rng.standard_normal((16, 2)), memory.allocate((16, 4), f32)
        RawModule(code=ALGORITHMS).get_function("vectors")((1,), (16,), (a, b, c, d))
        want = [a[:, 3] / f32(255), b[:, 1], c.sum(1), np.full(16, 4)]
        np.testing.assert_allclose(d, np.transpose(want), rtol=1e-6)

    def test_integer_intrinsics(self):
        a, b = 0xDEADBEEF, 0xFEDCBA9876543210
        y = np.zeros(9, i64)
        integers = RawModule(code=ALGORITHMS).get_function("integers")
        integers((1,), (1,), (u32(a), np.uint64(b), f32(2.5), y))
        high = b * b >> 64
        want = [a * a >> 32, high - 2**64, 2, 2**31 - 1, 0, 0, 3331, 2**31, 12]
        assert y.tolist() == want

    @each_order
    def test_atomics(self, order):
        x = np.zeros(4, i32)
        with thread_order(order):
            RawModule(code=ALGORITHMS).get_function("atomics")((2,), (32,), (x,))
        assert x.tolist() == [128, 31, 192, 9]

    def test_half_and_bfloat16(self):
        ml_dtypes = pytest.importorskip("ml_dtypes")
        code = """
        #include <cuda_fp16.h>
        #include <cuda_bf16.h>
        extern "C" __global__ void convert(const __half* h, const __nv_bfloat16* b, float* from_h,
                                           float* from_b, __half* to_h, __nv_bfloat16* to_b) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            from_h[i] = __half2float(h[i]);
            from_b[i] = __bfloat162float(b[i]);
            to_h[i] = __float2half_rn(from_b[i]);
            to_b[i] = __float2bfloat16_rn(from_b[i] * (1.0f + from_h[i] * 1.0e-5f));
        }"""
        bits = np.arange(2**16, dtype=np.uint16)
        half, upper = bits.view(np.float16), (bits.astype(u32) << 16).view(f32)
        from_h, from_b = np.zeros(2**16, f32), np.zeros(2**16, f32)
        to_h, to_b = np.zeros(2**16, np.float16), np.zeros(2**16, ml_dtypes.bfloat16)
        convert = RawModule(code=code).get_function("convert")
        convert((256,), (256,), (half, bits.view(to_b.dtype), from_h, from_b, to_h, to_b))
        np.testing.assert_array_equal(from_h, half.astype(f32))
        np.testing.assert_array_equal(from_b, upper)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(to_h, upper.astype(np.float16))
            exact = upper * (f32(1) + half.astype(f32) * f32(1e-5))
        nan = np.isnan(exact)
        low, candidates = exact.view(u32) & 0xFFFF, exact.view(u32) >> 16
        up = (low > 0x8000) | ((low == 0x8000) & (candidates % 2 == 1))
        np.testing.assert_array_equal(to_b.view(np.uint16)[~nan], (candidates + up)[~nan])
        assert np.isnan(to_b[nan].astype(f32)).all()


class TestCalls:
    """The call surface of CuPy's RawModule, and its checks."""

    CODE = """
    extern "C" __global__ void __launch_bounds__(64)
    axpy(float a, const float* x, float* y, int n) {
        int i = threadIdx.x;
        if (i < n && x) y[i] += a * x[i];
    }
    extern "C" __global__ void anything(void* p, bool flag, long long n, double d) {}
    """

    @pytest.fixture
    def axpy(self):
        return RawModule(code=self.CODE).get_function("axpy")

    def test_right_types(self, axpy):
        x, y = np.arange(4, dtype=f32), np.ones(4, f32)
        axpy((1,), (4,), (f32(2), x, y, i32(4)))
        assert y.tolist() == [1, 3, 5, 7]
        axpy((1,), (4,), [f32(2), None, y, i32(4)])
        assert y.tolist() == [1, 3, 5, 7]
        anything = RawModule(code=self.CODE).get_function("anything")
        anything((1,), (1,), (x, np.bool_(1), 3, 0.5))

    @pytest.mark.parametrize(
        ("position", "value", "message"),
        [
            (0, 2.0, "takes float32, not float64"),
            (0, f64(2), "takes float32, not float64"),
            (0, np.ones(3, f32), "takes float32, not ndarray"),
            (1, np.ones(4), "array of float64 for a pointer to float32"),
            (1, f32(1), "takes a pointer"),
            (1, np.ones(8, f32)[::2], "C-contiguous"),
            (1, np.ones((2, 4), f32).T, "C-contiguous"),
            (3, 4, "takes int32, not int64"),
            (3, u32(4), "takes int32, not uint32"),
        ],
    )
    def test_wrong_types(self, axpy, position, value, message):
        args = [f32(2), np.ones(4, f32), np.ones(4, f32), i32(4)]
        args[position] = value
        with pytest.raises(TypeError, match=f"axpy, argument {position}: .*{message}"):
            axpy((1,), (4,), args)

    def test_read_only_output(self, axpy):
        y = np.ones(4, f32)
        y.flags.writeable = False
        axpy((1,), (4,), (f32(0), y, np.ones(4, f32), i32(4)))
        with pytest.raises(TypeError, match="argument 2: a read-only array"):
            axpy((1,), (4,), (f32(0), y, y, i32(4)))

    def test_wrong_calls(self, axpy):
        with pytest.raises(TypeError, match="takes 4 arguments, 1 were given"):
            axpy((1,), (4,), (f32(2),))
        with pytest.raises(TypeError, match="tuples"):
            axpy(1, (4,), ())
        with pytest.raises(KernelError, match="'axpby'; the module has axpy, anything"):
            RawModule(code=self.CODE).get_function("axpby")

    def test_sizes_beyond_the_limits(self, axpy):
        args = (f32(2), np.ones(4, f32), np.ones(4, f32), i32(4))
        for grid, block, shared, message in [
            ((1,), (65,), 0, r"65 threads, but __launch_bounds__\(64\)"),
            ((1,), (2, 2, 128), 0, "exceeds"),
            ((1,), (2048,), 0, "1024 threads"),
            ((1, 70_000), (1,), 0, "grid"),
            ((1,), (1,), 49_153, "max_dynamic_shared_size_bytes is 49152"),
        ]:
            with pytest.raises(KernelError, match=message):
                axpy(grid, block, args, shared_mem=shared)
        axpy.max_dynamic_shared_size_bytes = 100_000
        axpy((1,), (1,), args, shared_mem=100_000)

    def test_launches_are_counted(self, axpy):
        before = simulator.launch_count
        args = (f32(2), np.ones(4, f32), np.ones(4, f32), i32(4))
        axpy((1,), (4,), args)
        axpy((1,), (4,), args, stream=None)
        assert simulator.launch_count == before + 2

    def test_options(self):
        code = 'extern "C" __global__ void k(REAL* x) { x[0] = N; }'
        options = ("-std=c++17", "-DREAL=double", "-DN=3", "--use_fast_math", "-lineinfo")
        x = np.zeros(1)
        RawModule(code=code, options=options, backend="nvrtc").get_function("k")((1,), (1,), (x,))
        assert x[0] == 3
        with pytest.raises(simulator.CompileError, match="REAL"):
            RawModule(code=code)
        with pytest.raises(simulator.CompileError, match="--use_slow_math"):
            RawModule(code=code, options=("--use_slow_math",))
        with pytest.raises(TypeError, match="tuple"):
            RawModule(code=code, options=["-DN=3"])

    def test_concurrent_builds(self, tmp_path, monkeypatch):
        monkeypatch.setattr(compiler, "_cache_directory", lambda: tmp_path)
        code = 'extern "C" __global__ void k(float* x) { x[0] = 1; }'
        with ThreadPoolExecutor(2) as pool:
            libraries = set(pool.map(lambda _: compiler.build(code)[0], range(2)))
        assert list(tmp_path.iterdir()) == list(libraries), "one library, and no temporary files"
        written = libraries.pop().stat().st_mtime_ns
        assert compiler.build(code)[0].stat().st_mtime_ns == written, "it is not built again"
        assert compiler.build(code, ("-DA",)) == compiler.build(code), "nothing changed for g++"
