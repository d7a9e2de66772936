"""The look-alike of CuPy: as strict as CuPy, and with nothing that CuPy does not have."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import re
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest

from tests.device import fake_arrays, fake_cupy, simulator
from tests.device.fake_errors import CUDARuntimeError

f32, i32 = np.float32, np.int32
missing = simulator.unavailable()
needs_compiler = pytest.mark.skipif(missing is not None, reason=str(missing))
SAXPY = """
extern "C" __global__ void saxpy(float a, const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""


@pytest.fixture
def stream(cupy):
    """A stream that captures, and is the current one."""
    made = cupy.cuda.Stream(non_blocking=True)
    with made:
        made.begin_capture()
        yield made
        if made.is_capturing():
            with contextlib.suppress(CUDARuntimeError):  # invalid, where a call was refused
                made.end_capture()


class TestInstall:
    def test_import_finds_the_look_alike_and_then_not(self):
        before = {name: sys.modules.get(name) for name in ("cupy", "cupyx", "cupy.cuda")}
        with fake_cupy.installed() as cupy:
            import cupyx

            assert importlib.import_module("cupy.cuda.runtime") is cupy.cuda.runtime
            assert importlib.util.find_spec("cupy") is not None
            assert cupyx.zeros_pinned(3).tolist() == [0, 0, 0]
            with fake_cupy.installed() as again:
                assert again is cupy
            assert sys.modules["cupy"] is cupy, "the inner one does not end the outer one"
            with fake_cupy.suspended():
                assert sys.modules.get("cupy") is before["cupy"]
            assert sys.modules["cupy"] is cupy
        assert {name: sys.modules.get(name) for name in before} == before

    def test_machine_without_a_driver(self):
        with fake_cupy.installed(device_error=35) as cupy:
            assert not cupy.cuda.is_available()
            assert cupy.cuda.runtime.driverGetVersion() == 0
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="InsufficientDriver"):
                cupy.cuda.runtime.getDeviceCount()
        with fake_cupy.installed() as cupy:
            assert cupy.cuda.is_available()
            assert cupy.cuda.runtime.getDeviceCount() == 1

    def test_device(self, cupy):
        runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
        assert device.compute_capability == "90"
        assert runtime.getDeviceProperties(0)["name"] == b"Fake GPU"
        free, total = runtime.memGetInfo()
        pool = cupy.get_default_memory_pool()
        used = pool.used_bytes()
        x = cupy.zeros(1000, f32)
        assert pool.used_bytes() - used == free - runtime.memGetInfo()[0] == x.nbytes == 4000
        del x
        assert runtime.memGetInfo() == (free, total)
        with pytest.raises(CUDARuntimeError, match="invalid device"):
            cupy.cuda.Device(1)


class TestStrictness:
    def test_no_implicit_conversion(self, cupy):
        a = cupy.zeros(3, f32)
        for convert in (np.asarray, np.array, lambda x: np.zeros(3).__iadd__(x)):
            with pytest.raises(TypeError, match=r"Implicit conversion|Unsupported|out must be"):
                convert(a)

    @pytest.mark.parametrize(
        "mix",
        [
            lambda cp, a, b: a + b,
            lambda cp, a, b: b * a,
            lambda cp, a, b: cp.maximum(a, b),
            lambda cp, a, b: cp.where(a > 0, a, b),
            lambda cp, a, b: cp.add(a, a, out=b),
            lambda cp, a, b: a.__iadd__(b),
            lambda cp, a, b: cp.matmul(a.reshape(1, 3), b.reshape(3, 1)),
            lambda cp, a, b: cp.concatenate([a, b]),
            lambda cp, a, b: a.__setitem__(slice(None), b),
            lambda cp, a, b: a.fill(b),
        ],
    )
    def test_no_mixing_with_numpy_arrays(self, cupy, mix):
        with pytest.raises((TypeError, ValueError), match=r"[Uu]nsupported|out must be|non-scalar"):
            mix(cupy, cupy.zeros(3, f32), np.ones(3, f32))

    def test_no_parameters_that_cupy_lacks(self, cupy):
        a = cupy.zeros(3, f32)
        with pytest.raises(TypeError, match="where"):
            cupy.add(a, a, where=a > 0)
        with pytest.raises(TypeError, match="initial"):
            a.max(initial=0)
        with pytest.raises(TypeError, match="mode"):
            cupy.take(a, 0, mode="clip")
        with pytest.raises(AttributeError, match="nanmean_of_nothing"):
            cupy.nanmean_of_nothing(a)
        with pytest.raises(ValueError, match="Unsupported dtype"):
            cupy.asarray(["a"])

    def test_scalars_cannot_be_indices_of_the_host(self, cupy):
        with pytest.raises(TypeError):
            range(cupy.asarray(3))

    def test_uninitialised_arrays_show(self, cupy):
        assert np.isnan(cupy.empty((2, 3), f32).get()).all()
        assert (cupy.empty(4, i32).get() == -1).all()
        assert (cupy.empty_like(cupy.zeros(4, np.uint8)).get() == 255).all()
        assert np.isnan(importlib.import_module("cupyx").empty_pinned(2)).all()

    def test_host_arrays_must_fit(self, cupy):
        a = cupy.zeros((2, 3), f32)
        with pytest.raises(TypeError, match="float64 array cannot be set to float32"):
            a.set(np.zeros((2, 3)))
        with pytest.raises(ValueError, match="Shape mismatch"):
            a.set(np.zeros(6, f32))
        with pytest.raises(ValueError, match="Shape mismatch"):
            a.get(out=np.zeros(6, f32))
        with pytest.raises(RuntimeError, match="non-contiguous"):
            a[:, ::2].set(np.zeros((2, 2), f32))


class TestArrays:
    def test_views_share_memory(self, cupy):
        host = np.arange(24, dtype=f32).reshape(2, 3, 4)
        a = cupy.asarray(host)
        views = {
            "T": (a.T, host.T),
            "slice": (a[:, 1:, ::2], host[:, 1:, ::2]),
            "element": (a[1, 2, 3], host[1, 2, 3]),
            "row": (a[1], host[1]),
            "new axis": (a[:, None], host[:, None]),
            "reshape": (a.reshape(6, -1), host.reshape(6, -1)),
            "ravel": (a.ravel(), host.ravel()),
            "swapaxes": (a.swapaxes(0, 1), host.swapaxes(0, 1)),
            "function": (cupy.broadcast_to(a, (5, 2, 3, 4)), np.broadcast_to(host, (5, 2, 3, 4))),
            "bytes": (a.view(np.uint8), host.view(np.uint8)),
        }
        with fake_cupy.count() as made:
            assert all(cupy.shares_memory(view, a) for view, _ in views.values())
        assert made.allocations == made.operations == made.device_to_host == 0
        for name, (view, want) in views.items():
            np.testing.assert_array_equal(view.get(), want, err_msg=name)
            assert view.base is a
            assert view.flags.c_contiguous == want.flags.c_contiguous
        views["element"][0][...] = 7
        assert float(a[-1, -1, -1]) == 7
        assert not cupy.shares_memory(a.T.ravel(), a)
        assert not cupy.shares_memory(a[[0, 1]], a)

    def test_same_values_as_numpy(self, cupy, rng):
        host = rng.standard_normal((4, 5)).astype(f32)
        index, mask = np.array([2, 0, 2]), host > 0
        a, device_index = cupy.asarray(host), cupy.asarray(index)
        pairs = [
            (a.sum(axis=0), host.sum(axis=0)),
            (a.max(), host.max()),
            (a.argmax(axis=1), host.argmax(axis=1)),
            (cupy.exp(a) - a / 2, np.exp(host) - host / 2),
            (np.float32(2) * a**2, np.float32(2) * host**2),
            (1 - a, 1 - host),
            (a @ a.T, host @ host.T),
            (a[device_index], host[index]),
            (a[index], host[index]),
            (a[a > 0], host[mask]),
            (cupy.where(a > 0, a, 0), np.where(mask, host, 0)),
            (cupy.concatenate([a, a], axis=1), np.concatenate([host, host], axis=1)),
            (a.astype(np.float64), host.astype(np.float64)),
            (a.clip(-1, 1).mean(axis=1, keepdims=True), host.clip(-1, 1).mean(1, keepdims=True)),
            (cupy.arange(2, 9, 3, dtype=i32), np.arange(2, 9, 3, dtype=i32)),
            (cupy.full((2, 2), 3, f32), np.full((2, 2), 3, f32)),
            (np.tanh(a), np.tanh(host)),
            (cupy.array([a[0], a[1]]), host[:2]),
        ]
        for number, (got, want) in enumerate(pairs):
            assert isinstance(got, cupy.ndarray), number
            assert got.dtype == want.dtype, number
            np.testing.assert_array_equal(got.get(), want, err_msg=str(number))

    def test_in_place(self, cupy):
        a, b = cupy.zeros(4, f32), cupy.arange(4, dtype=f32)
        with fake_cupy.count() as made:
            a += b
            cupy.multiply(a, 2, out=a)
            a[1:] -= 1
            a[b > 2] = 9
            cupy.copyto(a[:1], b[3:])
        assert a.tolist() == [3, 1, 3, 9]
        assert (made.allocations, made.operations) == (1, 6), "b > 2 is a new array"

    def test_transfers_are_counted(self, cupy):
        host = np.ones((2, 2), f32)
        with fake_cupy.count() as made:
            a = cupy.asarray(host)
            a.set(host)
            a[[0, 1]] = 3
        assert (made.host_to_device, made.device_to_host) == (3, 0)
        with fake_cupy.count() as made:
            a.get()
            float(a[0, 0])
            bool(a.any())
            a[a > 0]
            repr(a)
        assert (made.host_to_device, made.device_to_host) == (0, 5)
        with fake_cupy.count() as made:
            assert cupy.asarray(a) is a
            assert cupy.asarray(3.0).ndim == 0
            a.fill(1)
        assert (made.host_to_device, made.device_to_host) == (0, 0)

    def test_no_numpy_warnings(self, cupy):
        a = cupy.log(cupy.zeros(2, f32)) * 0
        assert np.isnan(a.get()).all()
        a.astype(i32)


class TestCapture:
    def test_graph_is_recorded_and_replayed(self, cupy):
        x, y = cupy.arange(4, dtype=f32), cupy.zeros(4, f32)
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            assert stream.is_capturing()
            doubled = x * 2
            y += doubled
            y[0] = 5
            graph = stream.end_capture()
        assert y.tolist() == [0, 0, 0, 0], "capturing runs nothing"
        assert np.isnan(doubled.get()).all()
        graph.launch(stream)
        assert y.tolist() == [5, 2, 4, 6]
        x.fill(10)
        graph.launch()
        stream.synchronize()
        assert y.tolist() == [5, 22, 24, 26], "the same arrays are read and written again"

    @pytest.mark.parametrize(
        ("work", "error", "message"),
        [
            (lambda cp, a: a.get(), RuntimeError, "D2H transfers are disallowed"),
            (lambda cp, a: float(a.sum()), RuntimeError, "D2H transfers are disallowed"),
            (lambda cp, a: bool(a[0, 0]), RuntimeError, "D2H transfers are disallowed"),
            (lambda cp, a: a[a > 0], RuntimeError, "D2H transfers are disallowed"),
            (lambda cp, a: a.nonzero(), RuntimeError, "D2H transfers are disallowed"),
            (lambda cp, a: cp.unique(a), RuntimeError, "D2H transfers are disallowed"),
            (lambda cp, a: a.set(np.ones((2, 2), f32)), RuntimeError, "H2D transfers are"),
            (lambda cp, a: cp.asarray(np.ones(3)), RuntimeError, "H2D transfers are disallowed"),
            (lambda cp, a: a[[0, 1]], RuntimeError, "H2D transfers are disallowed"),
            (lambda cp, a: a @ a, NotImplementedError, "cuBLAS"),
            (lambda cp, a: cp.matmul(a, a, out=a), NotImplementedError, "cuBLAS"),
            (lambda cp, a: a.dot(a), NotImplementedError, "cuBLAS"),
            (lambda cp, a: cp.tensordot(a, a), NotImplementedError, "cuBLAS"),
            (lambda cp, a: cp.random.default_rng(0).random(3), NotImplementedError, "random"),
            (lambda cp, a: cp.cuda.Device().synchronize(), CUDARuntimeError, "900|capturing"),
            (lambda cp, a: cp.cuda.get_current_stream().synchronize(), CUDARuntimeError, "capt"),
        ],
    )
    def test_what_cannot_be_captured(self, cupy, stream, work, error, message):
        a = cupy.ones((2, 2), f32)
        with pytest.raises(error, match=message):
            work(cupy, a)

    def test_wrong_shapes_show_at_capture(self, cupy, stream):
        with pytest.raises(ValueError, match="could not be broadcast"):
            cupy.add(cupy.ones(4), 1, out=cupy.ones(3))

    def test_default_stream_cannot_capture(self, cupy):
        with pytest.raises(RuntimeError, match="default"):
            cupy.cuda.Stream.null.begin_capture()
        with pytest.raises(NotImplementedError, match="stream capture"):
            cupy.cuda.Graph()

    def test_current_stream_is_per_thread(self, cupy):
        seen = []
        with cupy.cuda.Stream() as stream:
            assert cupy.cuda.get_current_stream() is stream
            thread = threading.Thread(target=lambda: seen.append(cupy.cuda.get_current_stream()))
            thread.start()
            thread.join()
        assert seen == [cupy.cuda.Stream.null]
        assert cupy.cuda.get_current_stream() == cupy.cuda.Stream.null


@needs_compiler
class TestKernels:
    @pytest.fixture
    def saxpy(self, cupy):
        return cupy.RawModule(code=SAXPY, options=("-std=c++17",)).get_function("saxpy")

    def test_launch(self, cupy, saxpy):
        x, y = cupy.arange(100, dtype=f32), cupy.ones(100, f32)
        before = simulator.launch_count
        saxpy((4,), (32,), (f32(2), x, y, i32(100)))
        np.testing.assert_array_equal(y.get(), 1 + 2 * np.arange(100))
        assert simulator.launch_count == before + 1

    def test_launch_in_a_graph(self, cupy, saxpy):
        x, y = cupy.arange(8, dtype=f32), cupy.ones(8, f32)
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            saxpy((1,), (8,), (f32(2), x, y, i32(8)))
            graph = stream.end_capture()
        assert y.tolist() == [1] * 8
        graph.launch(stream)
        graph.launch(stream)
        np.testing.assert_array_equal(y.get(), 1 + 4 * np.arange(8))

    @pytest.mark.parametrize(
        ("position", "value", "message"),
        [
            (0, 2.0, "takes float32, not float64"),
            (1, np.ones(8, f32), "numpy.ndarray of shape"),
            (1, np.ones(1, f32), "takes a pointer"),
            (3, 8, "takes int32, not int64"),
        ],
    )
    def test_wrong_arguments(self, cupy, saxpy, position, value, message):
        args = [f32(2), cupy.ones(8, f32), cupy.ones(8, f32), i32(8)]
        args[position] = value
        with pytest.raises(TypeError, match=message):
            saxpy((1,), (8,), args)

    def test_views_with_gaps(self, cupy, saxpy, stream):
        wide = cupy.ones((8, 8), f32)
        for view in (wide.T, wide[:, ::2], wide[:, 0]):
            with pytest.raises(TypeError, match="C-contiguous"):
                saxpy((1,), (8,), (f32(2), view, wide, i32(8)))

    def test_write_outside_an_array(self, cupy, saxpy):
        x, y = cupy.ones(100, f32), cupy.ones(100, f32)
        with pytest.raises(simulator.KernelError, match="writes byte 82 of argument 2"):
            saxpy((1,), (32,), (f32(2), x, y[10:30], i32(21)))
        assert y.tolist() == [*[1] * 10, *[3] * 20, *[1] * 70]

    def test_compile_error(self, cupy):
        compiler = importlib.import_module("cupy.cuda.compiler")
        with pytest.raises(compiler.CompileException, match="undeclared") as raised:
            cupy.RawModule(code='extern "C" __global__ void k() { undeclared; }').get_function("k")
        assert "kernel.cu:1" in str(raised.value)

    def test_shared_memory_limit(self, cupy):
        code = 'extern "C" __global__ void k() { extern __shared__ float s[]; s[0] = 1; }'
        kernel = cupy.RawKernel(code, "k")
        with pytest.raises(simulator.KernelError, match="49152"):
            kernel((1,), (1,), (), shared_mem=60_000)
        kernel.max_dynamic_shared_size_bytes = 60_000
        kernel((1,), (1,), (), shared_mem=60_000)


# ------------------------------------------------------------------ against CuPy itself


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    """The modules of CuPy itself that the look-alike imitates; none needs a GPU or driver."""
    with fake_cupy.suspended():
        pytest.importorskip("cupy")
        return {name: importlib.import_module(name) for name in fake_cupy._modules()}


def _parameters(function: Any) -> list[str] | None:
    """Return a function's parameter names; Cython writes them into the docstring."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        signature = re.match(r"[\w.]+\((.*)\)", (function.__doc__ or "").partition("\n")[0])
    if signature is None:
        return None
    parts = [part.split("=")[0].split()[-1] for part in signature[1].split(",") if part.strip()]
    return [name for part in parts if (name := part.strip("\\*/"))]


def _missing(fake: Any, genuine: Any) -> list[str]:
    """Return the parameters that the look-alike accepts and CuPy does not."""
    theirs = _parameters(genuine)
    ours = getattr(fake, "parameters", None) or _parameters(fake)
    if theirs is None or ours is None or {"args", "arys", "kwargs"} & {*theirs, *ours}:
        return []
    return [name for name in ours if name not in theirs]


def test_parameters_are_read():
    assert _parameters(lambda a, *, b=1: None) == ["a", "b"]
    cython = types.SimpleNamespace(__doc__="f(self, int axis=None, out=None) -> ndarray\n\nText.")
    assert _parameters(cython) == ["self", "axis", "out"]


def test_every_name_exists_in_cupy(real):
    absent = [
        f"{module}.{name}"
        for module, content in fake_cupy._modules().items()
        for name in vars(content)
        if not name.startswith("__") and not hasattr(real[module], name)
    ]
    assert absent == []


def test_every_parameter_exists_in_cupy(real):
    wrong = {
        f"{module}.{name}": missing
        for module, content in fake_cupy._modules().items()
        for name, value in vars(content).items()
        if not name.startswith("__") and callable(value)
        if (missing := _missing(value, getattr(real[module], name)))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "path",
    [
        *("cupy.ndarray", "cupy.RawModule", "cupy.RawKernel", "cupy.cuda.Stream"),
        *("cupy.cuda.Event", "cupy.cuda.Graph", "cupy.cuda.Device", "cupy.cuda.MemoryPool"),
        *("cupy.cuda.PinnedMemoryPool", "cupy.cuda.MemoryPointer", "cupy.random.Generator"),
        "cupy.cuda.compiler.CompileException",
    ],
)
def test_every_method_exists_in_cupy(real, path):
    module, _, name = path.rpartition(".")
    fake, genuine = getattr(fake_cupy._modules()[module], name), getattr(real[module], name)
    public = [attribute for attribute in dir(fake) if not attribute.startswith("_")]
    assert [attribute for attribute in public if not hasattr(genuine, attribute)] == []
    wrong = {
        attribute: missing
        for attribute in public
        if callable(getattr(fake, attribute))
        if (missing := _missing(getattr(fake, attribute), getattr(genuine, attribute)))
    }
    assert wrong == {}


def test_numpy_functions_that_are_forwarded_exist_in_numpy():
    names = {
        *fake_arrays.FUNCTIONS,
        *fake_arrays.VIEWS,
        *fake_arrays.UFUNCS.split(),
        *fake_arrays.CUBLAS,
    }
    assert [name for name in names if not hasattr(np, name)] == []
