"""What only the CUDA backend promises: any thread order, whole accesses, no waiting, clear errors.

That its operations are right is tested in operations/ too, where it may run on a GPU. Here
it always runs on the simulator, which decides in which order a kernel's threads take their turns.
"""

from __future__ import annotations

import ctypes
import linecache
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nnkit
from bench.launches import counted, kernel_names
from nnkit import dtypes
from nnkit.backends import cupy as module
from nnkit.backends.contract import CaptureError, Norm, Running
from nnkit.backends.cupy import CupyBackend, capturing, cublaslt
from nnkit.backends.cupy.graphs import STEPS_PER_GRAPH, Capture
from nnkit.backends.cupy.grids import sums, team
from nnkit.backends.cupy.launching import BLOCKS_PER_MULTIPROCESSOR
from nnkit.kernels import cuda
from nnkit.kernels.table import ACTIVATIONS
from nnkit.training.steps import CaptureWarning
from tests.conftest import DTYPES
from tests.device import compiler, fake_cublaslt, fake_cupy, simulator
from tests.helpers import (
    ALWAYS_FLOAT64,
    REFERENCE,
    Check,
    assert_close,
    counters,
    place,
    random_array,
)
from tests.operations.samples import LOG, linear, operations, random_labels
from tests.operations.shared import OTHER_KINDS

pytestmark = pytest.mark.skipif(
    simulator.unavailable() is not None, reason=str(simulator.unavailable())
)

ULPS = 24
WIDE = 1500
"""More columns than the lanes of a warp hold, in either dtype."""


def _create(library: type = fake_cublaslt.Library) -> CupyBackend:
    with fake_cupy.installed(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(cublaslt, "load_library", library)
        return module.create()


GRIDS = "small grids", "usual grids"


@pytest.fixture(scope="module", params=GRIDS)
def gpu(request: pytest.FixtureRequest) -> tuple[CupyBackend, str]:
    """A backend, and how its arrays lie in memory.

    In small grids each thread has to come back for more, and a block for more rows.
    """
    backend = _create()
    if request.param == "usual grids":
        return backend, "contiguous"
    backend.launcher.most_blocks = 3
    return backend, "offset"


@pytest.fixture(scope="module")
def usual() -> CupyBackend:
    return _create()


# --------------------------------------------------------------------- every operation, every order


SHAPES = [(1, 1), (3, 31), (33, 3), (1, 1000), (5, 130), (290, 70), (7, WIDE)]
MANY = 5000
"""Elements of which not each of the kinds that share their loops is tried."""


@pytest.mark.parametrize(
    ("gpu", "dtype", "shape"),
    [
        (GRIDS[(i + j) % 2], dtype, shape)
        for i, dtype in enumerate(DTYPES)
        for j, shape in enumerate(SHAPES)
    ],
    indirect=["gpu", "dtype"],
    ids=str,
)
def test_operations_in_every_thread_order(gpu, dtype, shape):
    """Every order gives the right result, and the same bits."""
    backend, layout = gpu
    check = Check(backend, dtype, layout)
    listed = operations(np.random.default_rng(7), shape)
    assert len(listed) >= 25
    for name, (run, inputs, outputs, *options) in listed.items():
        if np.prod(shape) > MANY and name.partition(" ")[2] in OTHER_KINDS:
            continue
        first, *others = simulator.ORDERS
        with simulator.thread_order(first):
            got = check(run, inputs, outputs, ulps=ULPS, **(options[0] if options else {}))
        for order in others:
            with simulator.thread_order(order):
                again = check.outputs(run, inputs, outputs)
            for output, array in got.items():
                assert again[output].tobytes() == array.tobytes(), (name, output, order)


def test_every_kernel_runs_in_those_tests(usual, monkeypatch):
    with counted(usual) as launches:
        for blocks, shape in product((3, usual.launcher.most_blocks), SHAPES):
            monkeypatch.setattr(usual.launcher, "most_blocks", blocks)
            for run, inputs, outputs, *_ in operations(np.random.default_rng(7), shape).values():
                hosts = {
                    k: v if isinstance(v, np.ndarray) else np.zeros(v) for k, v in outputs.items()
                }
                arrays = {k: _to_device(usual, k, v) for k, v in (inputs | hosts).items()}
                run(usual, SimpleNamespace(**arrays))
        for blocks in (8 * BLOCKS_PER_MULTIPROCESSOR, 132 * BLOCKS_PER_MULTIPROCESSOR):
            monkeypatch.setattr(usual.launcher, "most_blocks", blocks)
            usual.matmul(*(usual.zeros(shape, np.float32) for shape in ((130, 5), (5, 70))))
    assert kernel_names() - launches.keys() == set()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)], ids=str)
def test_nothing_is_launched_for_no_elements(usual, dtype, shape):
    for name, (run, inputs, outputs, *_) in operations(np.random.default_rng(7), shape).items():
        if not shape[1] or {"log", "norm2", "at"} & outputs.keys():
            continue  # labels of nothing, or a number that is written all the same
        if "_norm_" in name:
            continue  # numbers of columns, which rows do not change
        before = simulator.launch_count
        Check(usual, dtype)(run, inputs, outputs)
        sums = {"dbias", "dslope"} & outputs.keys() and not name.startswith("convolution")
        sums_of_no_rows = 2 if sums else 0  # zeros, in both runs
        assert simulator.launch_count - before == sums_of_no_rows, name


@pytest.mark.parametrize("order", simulator.ORDERS)
@pytest.mark.parametrize("size", [0, 1, 1000, 5000])
def test_sums_of_squares_in_every_thread_order(gpu, dtype, size, order):
    """The order of a grid's blocks does not change the bits."""
    backend, layout = gpu
    x, norm2 = random_array(np.random.default_rng(7), size), np.array([3.0])
    with simulator.thread_order(order):
        for start in (True, False):
            Check(backend, dtype, layout)(
                lambda b, a, start=start: b.sum_of_squares(a.x, a.norm2, start),
                {"x": x},
                {"norm2": norm2},
                scale=0,
            )


def test_a_loss_of_no_rows_is_nan(usual):
    log = usual.zeros((1, 2), np.float64)
    z = usual.empty((0, 3), np.float32)
    labels = usual.empty(0, np.int32)
    usual.softmax_cross_entropy(z, labels, z, log, counters(usual))
    assert np.isnan(usual.to_numpy(log)[0, 0])
    assert usual.to_numpy(log)[0, 1] == 0


def _team_borders() -> Iterator[tuple[str, int, str]]:
    for dtype, packs in (("float32", 4), ("float64", 2)):
        for columns, suffix in ((1, ""), (32, ""), (256, "_long"), (257, "_wide"), (1100, "_wide")):
            yield dtype, columns * packs, suffix
        yield dtype, 32 * packs + 1, "_long"


@pytest.mark.parametrize(("dtype", "columns", "suffix"), list(_team_borders()))
def test_rows_at_the_borders_of_the_teams(usual, dtype, columns, suffix):
    """One pack for each lane, eight packs, a block: each takes over where the one before ends."""
    assert team(5, columns, np.dtype(dtype), usual.launcher.most_blocks)[0] == suffix
    rng = np.random.default_rng(columns)
    z = random_array(rng, (3, columns)) * 4
    z[1, rng.integers(columns)] = -np.inf
    z[2] = z[2, 0]
    labels = np.array([z[0].argmax(), z[1].argmax(), 0], np.int32)
    for target in (labels, np.eye(columns)[labels]):
        got = Check(usual, np.dtype(dtype))(
            lambda b, a: b.softmax_cross_entropy(a.z, a.t, a.dz, a.log, counters(b, 2)),
            {"z": z, "t": target},
            {"dz": z.shape, "log": LOG},
            ulps=ULPS,
        )
        assert got["log"][2, 1] == 3, "the first of equals is the prediction"


@pytest.mark.parametrize("shape", [(60, 5), (9, 300), (9, WIDE)], ids=str)
def test_answers_are_counted_as_numpy_would(usual, dtype, shape):
    """The first of equals is the answer and NaN the largest, in the logits and in the target."""
    rng = np.random.default_rng(3)
    z = rng.choice([0, 1, np.nan], shape, p=[0.5, 0.4, 0.1]).astype(dtype)
    target = rng.integers(0, 2, shape).astype(dtype)
    labels = np.where(rng.random(len(z)) < 0.5, z.argmax(axis=1), random_labels(rng, shape))
    log, dz = usual.zeros((1, 2), np.float64), usual.empty(shape, dtype)
    for t, answers in ((target, target.argmax(axis=1)), (labels.astype(np.int32), labels)):
        usual.softmax_cross_entropy(usual.asarray(z), usual.asarray(t), dz, log, counters(usual))
        assert usual.to_numpy(log)[0, 1] == (z.argmax(axis=1) == answers).sum()


def test_column_sums_by_more_blocks_than_one_adds_up_at_once(usual):
    dy = np.random.default_rng(4).integers(-9, 9, (1200, 512)).astype(np.float32)
    dbias = usual.empty(512, np.float32)
    usual.bias_gradient(usual.asarray(dy), dbias)
    assert usual.to_numpy(dbias).tolist() == dy.sum(axis=0).tolist()


@pytest.mark.parametrize(
    ("shape", "grid", "block"),
    [
        ((128, 128), (16, 1), (2, 128)),
        ((2100, 10), (2, 5), (2, 128)),
        ((1024, 1024), (8, 8), (32, 8)),
        ((1, 1), (1, 1), (1, 256)),
    ],
    ids=str,
)
def test_sums_of_small_matrices_are_divided_among_more_blocks(usual, shape, grid, block):
    """A quarter of the multiprocessors is enough."""
    assert sums(*shape, np.dtype(np.float32), usual.launcher.most_blocks) == (grid, block)


@pytest.mark.parametrize(("rows", "blocks"), [(128, 1), (129, 3)])
def test_two_blocks_do_not_wait_for_each_other_s_loss(usual, monkeypatch, rows, blocks):
    grids, launch = [], usual.launcher.launch
    monkeypatch.setattr(
        usual.launcher, "launch", lambda *a: grids.append(a[3]) or launch(*a), raising=False
    )
    z, labels = np.eye(rows, 10, dtype=np.float32), np.zeros(rows, np.int32)
    log = usual.zeros((1, 2), np.float64)
    given = usual.asarray(z), usual.asarray(labels), usual.asarray(z)
    usual.softmax_cross_entropy(*given, log, counters(usual))
    assert grids == [(blocks,)]
    assert usual.to_numpy(log)[0, 1] == 1 + rows - 10


@pytest.mark.parametrize("columns", [7, 300, WIDE])
@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_bad_logit_spoils_its_row_only(usual, dtype, columns, place, bad):
    x = np.zeros((3, columns), dtype)
    x[1, place] = bad
    for operation in (usual.softmax, usual.log_softmax):
        y = usual.to_numpy(operation(usual.asarray(x)))
        assert np.isnan(y[1]).all()
        assert np.isfinite(y[[0, 2]]).all()


def test_the_input_of_an_activation_is_kept_where_its_gradient_needs_it(usual, monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "tanh", ACTIVATIONS["tanh"]._replace(saved="x"))
    z, y = usual.zeros((3, 5), np.float32), usual.empty((3, 5), np.float32)
    bias = usual.asarray(np.arange(5), np.float32)
    usual.bias_activation("tanh", z, bias, y)
    assert usual.to_numpy(z).tolist() == [[0, 1, 2, 3, 4]] * 3
    assert_close(usual.to_numpy(y), np.tanh([[0.0, 1, 2, 3, 4]] * 3), np.float32)


# --------------------------------------------------------------------- epilogues of cuBLASLt


class _WithoutEpilogues(fake_cublaslt.Library):
    epilogues = frozenset({fake_cublaslt.DEFAULT})


class _WithoutReLU(fake_cublaslt.Library):
    epilogues = fake_cublaslt.Library.epilogues - {fake_cublaslt.RELU_BIAS}


class _WithoutGradients(fake_cublaslt.Library):
    epilogues = fake_cublaslt.Library.epilogues - {fake_cublaslt.BGRADA}


class _GradientsOfSeveralRowsOnly(fake_cublaslt.Library):
    """As before cuBLAS 12.3.4."""

    def has_algorithm(self, about, k):
        return super().has_algorithm(about, k) and not (about.get(7) == 256 and k == 1)


class _RefusesEpiloguesWhenCalled(fake_cublaslt.Library):
    def cublasLtMatmul(self, handle, description, *rest):
        if self._objects[description.value].get(7):
            return fake_cublaslt.NOT_SUPPORTED
        return super().cublasLtMatmul(handle, description, *rest)


class _FailsWithEpilogues(fake_cublaslt.Library):
    def compute(self, left, right, out, epilogue, vector):
        if epilogue != fake_cublaslt.DEFAULT:
            raise RuntimeError("the launch failed")
        super().compute(left, right, out, epilogue, vector)


class _HidesNaN(fake_cublaslt.Library):
    def relu(self, out):
        np.fmax(out, 0, out=out)


class _HidesNaNInLargeMatrices(fake_cublaslt.Library):
    """An algorithm that the check at the start does not meet."""

    def relu(self, out):
        (np.fmax if out.size > 100 else np.maximum)(out, 0, out=out)


class _WrongGradients(fake_cublaslt.Library):
    def compute(self, left, right, out, epilogue, vector):
        super().compute(left, right, out, epilogue, vector)
        if epilogue == fake_cublaslt.BGRADA:
            vector += 1


class _BiasNotEverywhere(fake_cublaslt.Library):
    """As a bug of cuBLASLt was, of CUDA 11.1 to 11.8 on some GPUs, for some shapes."""

    def compute(self, left, right, out, epilogue, vector):
        super().compute(left, right, out, epilogue, vector)
        if epilogue == fake_cublaslt.BIAS and out.size > 100:
            out[:, -1] = left @ right[:, -1]


FUSED = {
    fake_cublaslt.Library: {"identity", "relu", "gradient"},
    _WithoutEpilogues: set(),
    _WithoutReLU: {"identity", "gradient"},
    _WithoutGradients: {"identity", "relu"},
    _GradientsOfSeveralRowsOnly: {"identity", "relu", "gradient"},
    _RefusesEpiloguesWhenCalled: set(),
    _FailsWithEpilogues: set(),
    _HidesNaN: {"identity", "gradient"},
    _HidesNaNInLargeMatrices: {"identity", "gradient"},
    _WrongGradients: {"identity", "relu"},
    _BiasNotEverywhere: {"relu", "gradient"},
}
"""What one launch does with each library, for matrices of 33 rows."""


@pytest.fixture(scope="module", params=FUSED, ids=lambda library: library.__name__)
def with_library(request: pytest.FixtureRequest) -> CupyBackend:
    return _create(request.param)


@pytest.mark.usefixtures("only_libraries")
@pytest.mark.parametrize("layout", ["contiguous", "offset", "transposed", "rows"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (5, 1, 7), (33, 17, 10)], ids=str)
def test_linear_layers_with_any_library(with_library, dtype, shape, layout):
    for run, inputs, outputs in linear(*shape).values():
        Check(with_library, dtype, layout)(run, inputs, outputs, ulps=ULPS, scale=sum(shape))


@pytest.mark.usefixtures("only_libraries")
def test_one_launch_does_what_the_library_can(with_library, dtype):
    fused = set()
    for name, (run, inputs, outputs) in linear(33, 17, 10).items():
        arrays = {key: with_library.asarray(value, dtype) for key, value in inputs.items()}
        arrays |= {key: with_library.empty(shape, dtype) for key, shape in outputs.items()}
        before = simulator.launch_count
        run(with_library, SimpleNamespace(**arrays))
        if simulator.launch_count == before:
            fused.add(name)
    assert fused == FUSED[type(with_library.libraries.multiplier.cublaslt.library)]


@pytest.mark.usefixtures("only_libraries")
@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("kind", ["identity", "relu"])
def test_linear_layers_keep_nan_with_any_library(with_library, dtype, kind, rows):
    x, weight = np.ones((rows, 2), dtype), np.ones((2, 5), dtype)
    x[-1, 0] = np.nan if rows > 1 else 1
    bias = np.array([np.nan, -np.inf, np.inf, -9, 9], dtype)
    arrays = map(with_library.asarray, (x, weight, bias))
    y, want = with_library.empty((rows, 5), dtype), np.empty((rows, 5), dtype)
    with_library.linear_forward(kind, *arrays, y, y)
    with np.errstate(invalid="ignore"):
        REFERENCE.linear_forward(kind, x, weight, bias, want, want)
    assert np.isnan(want).sum() == rows + 4 * (rows > 1)
    np.testing.assert_array_equal(with_library.to_numpy(y), want)


@pytest.mark.usefixtures("only_libraries")
def test_training_is_captured_with_any_library(with_library):
    rng = np.random.default_rng(9)
    x, t = rng.normal(size=(12, 20)), rng.integers(0, 4, 12)
    weights = []
    for compile in (True, False):
        layers = nnkit.Linear(20, 30), nnkit.ReLU(), nnkit.Linear(30, 4)
        model = nnkit.Sequential(*layers, backend=with_library, seed=0)
        nnkit.Trainer(model).fit(x, t, epochs=3, batch_size=4, compile=compile)
        weights.append(with_library.to_numpy(model.flat.values).tobytes())
    assert weights[0] == weights[1]


@pytest.mark.usefixtures("only_libraries")
def test_layers_of_the_same_shape_do_not_disturb_each_other(usual):
    """One plan serves both, also in a graph, which reads the biases of its own capture."""
    x, weight = usual.asarray(np.ones((2, 3)), np.float32), usual.zeros((3, 4), np.float32)
    biases = [usual.asarray(np.full(4, value), np.float32) for value in (1, 2)]
    outputs = [usual.empty((2, 4), np.float32) for _ in biases]

    def step() -> None:
        for bias, y in zip(biases, outputs, strict=True):
            usual.linear_forward("identity", x, weight, bias, y, y)

    step()
    plans = len(usual.libraries.multiplier.plans)
    replay = usual.capture(step)
    for values in ([1, 2], [3, 4]):
        for bias, value in zip(biases, values, strict=True):
            bias.fill(value)
        replay(1)
        usual.linear_forward("identity", x, weight, biases[0], outputs[1], outputs[1])
        replay(1)
        assert [usual.to_numpy(y).tolist() for y in outputs] == [[[v] * 4] * 2 for v in values]
    assert len(usual.libraries.multiplier.plans) == plans


@pytest.mark.usefixtures("only_libraries")
def test_plans_depend_on_the_alignment(usual, dtype):
    """An algorithm for aligned arrays may not be able to read others."""
    a, b, bias = np.ones((3, 8)), np.ones((8, 5)), np.arange(5)
    for layout in ("contiguous", "offset"):
        arrays = [place(usual, array.astype(dtype), layout) for array in (a, b, bias)]
        y = usual.empty((3, 5), dtype)
        before = simulator.launch_count
        usual.linear_forward("relu", *arrays, y, y)
        assert simulator.launch_count - before == (layout == "offset")  # our kernel adds the bias
        assert usual.to_numpy(y).tolist() == [[8, 9, 10, 11, 12]] * 3


# --------------------------------------------------------------------- products cuBLASLt refuses


class _KnowsNo16BitProducts(fake_cublaslt.Library):
    types = frozenset({"float32", "float64"})


class _Wrong16BitProducts(fake_cublaslt.Library):
    def compute(self, left, right, out, epilogue, vector):
        super().compute(left, right, out, epilogue, vector)
        if out.dtype.itemsize == 2:
            out[...] += 1


class _RefusesLargeProducts(fake_cublaslt.Library):
    """When they are called: the heuristics knew an algorithm."""

    def cublasLtMatmul(self, handle, description, alpha, a, layout, *rest):
        if max(self._objects[layout.value]["shape"]) > 30:
            return fake_cublaslt.NOT_SUPPORTED
        return super().cublasLtMatmul(handle, description, alpha, a, layout, *rest)


@pytest.mark.usefixtures("only_libraries")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "rows"])
@pytest.mark.parametrize(
    "library", [_KnowsNo16BitProducts, _Wrong16BitProducts, _RefusesLargeProducts]
)
def test_cublas_carries_out_what_cublaslt_does_not(library, layout, dtype, rng):
    backend = _create(library)
    for n, m, k in ((5, 4, 3), (40, 50, 60)):
        a, b = rng.integers(-3, 4, (n, k)), rng.integers(-3, 4, (k, m))
        arrays = (place(backend, x.astype(dtypes.parse(dtype)), layout) for x in (a, b))
        got = backend.to_numpy(backend.matmul(*arrays)).astype(int)
        np.testing.assert_array_equal(got, (a @ b).astype(dtypes.parse(dtype)).astype(int))


def test_a_dtype_that_cublaslt_gets_wrong_is_left_to_cublas():
    backend = _create(_Wrong16BitProducts)
    name = "cuBLASLt 12.9.1, /fake/libcublasLt.so.12"
    assert str(backend.libraries) == f"{name}; cuBLAS for float16, bfloat16"
    assert str(_create().libraries) == name


def test_without_cublaslt_it_is_said_why():
    def missing(major):
        raise OSError(f"libcublasLt.so.{major}: cannot open shared object file")

    backend = _create(missing)
    assert str(backend.libraries) == (
        "cuBLAS (cuBLASLt cannot be used: OSError: libcublasLt.so.12: cannot open shared object "
        "file)"
    )
    with pytest.raises(CaptureError, match=r"^cuBLASLt cannot be used: OSError: libcublasLt"):
        backend.capture(lambda: None)


@pytest.mark.parametrize("library", [_KnowsNo16BitProducts, _RefusesLargeProducts])
def test_training_goes_on_uncaptured_where_a_product_is_cublas_s(library, rng):
    backend = _create(library)
    model = nnkit.Sequential(
        nnkit.Linear(40, 35), nnkit.ReLU(), nnkit.Linear(35, 3), backend=backend, dtype="float16"
    )
    with pytest.warns(CaptureWarning, match=r"layer 0: Linear.*calling cuBLAS API during stream"):
        nnkit.Trainer(model).fit(rng.normal(size=(30, 40)), rng.integers(0, 3, 30), 2, 10)


@pytest.fixture
def libraries(tmp_path) -> Callable[..., Path]:
    """Return a function that builds a shared library with the version of cuBLASLt it is given."""

    def build(file: str, version: int) -> Path:
        source = f"unsigned long cublasLtGetVersion(void) {{ return {version}; }}"
        (tmp_path / "source.cpp").write_text(f'extern "C" {source}\n')
        command = [compiler.COMPILER, "-shared", "-fPIC", f"-Wl,-soname,{file}"]
        path = tmp_path / f"{version}" / file
        path.parent.mkdir()
        subprocess.run([*command, tmp_path / "source.cpp", "-o", path], check=True)
        return path

    return build


def test_the_cublaslt_of_cupy_s_cuda_is_taken(libraries, monkeypatch):
    """Where that of another framework lies beside it, and has been loaded first."""
    other = libraries("libcublasLt.so.23", 230001)
    right = libraries("libcublasLt.so.22", 220905)
    for path in (other, right):
        ctypes.CDLL(str(path))
    found = cublaslt.load_library(22)
    assert (found.version, found.path) == ("22.9.5", str(right))


def test_a_cublaslt_of_another_cuda_is_refused(libraries, monkeypatch):
    """Where cuBLAS has loaded none, what is searched for may be of any version."""
    pathfinder = pytest.importorskip("cuda.pathfinder")
    wrong = SimpleNamespace(abs_path=str(libraries("libcublasLt.so.25", 250000)))
    monkeypatch.setattr(pathfinder, "load_nvidia_dynamic_lib", lambda name: wrong)
    with pytest.raises(OSError, match=r"so\.25 is cuBLASLt 25\.0\.0, but CuPy is for CUDA 24: pip"):
        cublaslt.load_library(24)


# --------------------------------------------------------------------- no waiting, no allocating


def _all_operations(backend: CupyBackend) -> tuple[Callable[[], None], dict[str, Any]]:
    """Return a function that runs every operation but the products, and the outputs by name."""
    work, results = [], {}
    for name, (run, inputs, outputs, *_) in operations(np.random.default_rng(7), (6, 33)).items():
        arrays = {key: _to_device(backend, key, value) for key, value in inputs.items()}
        for key, value in outputs.items():
            host = value if isinstance(value, np.ndarray) else np.zeros(value)
            results[f"{name}: {key}"] = arrays[key] = _to_device(backend, key, host)
        work.append((run, SimpleNamespace(**arrays)))
    results["counters"] = at = counters(backend, 1, 5, 9)

    def step() -> None:
        for run, arrays in work:
            run(backend, arrays)
        backend.advance(at, 1, 1, 1)

    return step, results


def _to_device(backend: CupyBackend, name: str, host: np.ndarray) -> Any:
    is_real = host.dtype.kind == "f" and name not in ALWAYS_FLOAT64
    return backend.asarray(host, np.float32 if is_real else host.dtype)


def test_operations_transfer_and_allocate_nothing(usual):
    step, _ = _all_operations(usual)
    step()
    before = simulator.launch_count
    with fake_cupy.count() as made:
        step()
    assert simulator.launch_count - before > 25
    assert made == fake_cupy.runtime.Counters()


def test_operations_can_be_captured(usual):
    """A replayed graph computes from what is in the arrays then, and leaves the same bits."""
    (captured, results), (plain, expected) = _all_operations(usual), _all_operations(usual)
    captured()
    with usual.xp.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        captured()
        graph = stream.end_capture()
    for array in results.values():
        assert usual.to_numpy(array).size
    for _ in range(2):
        graph.launch(stream)
    for _ in range(3):
        plain()
    for name, array in results.items():
        same = usual.to_numpy(array).tobytes() == usual.to_numpy(expected[name]).tobytes()
        assert same, name
    assert usual.to_numpy(results["counters"]).tolist() == [4, 8, 12]


# --------------------------------------------------------------------- what cannot be captured


class _Calls(nnkit.Layer):
    """A layer that says it can be captured, and in a captured step does something else."""

    capturable = True

    def __init__(self, call: Callable[[Any, Any], object]) -> None:
        self.call = call

    def forward(self, x):
        self.call(self, x)
        return x

    def backward(self, dy):
        return dy


REFUSED = {
    "a number read": (lambda self, x: float(x[0, 0]), "D2H transfers are disallowed"),
    "an array sent": (
        lambda self, x: self.backend.asarray(np.ones(3, "f")),
        "H2D transfers are disallowed|an array is made in every step",
    ),
    "an array made": (
        lambda self, x: x + 1,
        r"an array is made in every step: compute into arrays that self\.new\(name, shape\) keep",
    ),
    "a copy": (lambda self, x: x.copy(), "an array is made in every step"),
    "a wait": (lambda self, x: self.backend.synchronize(), "cudaErrorStreamCaptureUnsupported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_cannot_be_captured_is_named(usual, rng, name):
    """The step then runs uncaptured, with the right result, and nothing is left capturing."""
    call, why = REFUSED[name]
    x, t = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    weights = []
    for compile in (True, False):
        layers = nnkit.Linear(6, 8), _Calls(call), nnkit.Linear(8, 3)
        model = nnkit.Sequential(*layers, backend=usual, seed=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            nnkit.Trainer(model).fit(x, t, 2, 10, compile=compile)
        weights.append(usual.to_numpy(model.flat.values).tobytes())
        messages = [str(warning.message) for warning in caught]
        assert len(messages) == compile
        for message in messages:
            assert "layer 1: _Calls(): `self.call(self, x)` (test_cupy_backend.py, line " in message
            assert re.search(why, message)
    assert weights[0] == weights[1]
    usual.synchronize()
    z = usual.zeros(4, np.float32)
    usual.capture(lambda: usual.activation("relu", z, z))(1)


def test_a_loss_that_cannot_be_captured_is_named(usual, rng):
    class Peeking(nnkit.MeanSquaredError):
        capturable = True

        def measure(self, backend, y, *rest):
            float(y[0, 0])
            super().measure(backend, y, *rest)

    model = nnkit.Sequential(nnkit.Linear(6, 3), backend=usual, seed=0)
    with pytest.warns(CaptureWarning, match=r"loss Peeking\(\): `float\(y\[0, 0\]\)` "):
        nnkit.Trainer(model, Peeking()).fit(
            rng.normal(size=(40, 6)), rng.normal(size=(40, 3)), 1, 10
        )


def test_an_output_that_is_not_dense_is_refused(usual):
    """A kernel would write beside it; inputs, and what cuBLAS writes, may lie in any way."""
    x, wide = usual.zeros((3, 4), np.float32), usual.zeros((3, 8), np.float32)
    message = (
        r"^softmax writes y \(shape \(3, 4\), strides \(32, 8\)\), which must be C-contiguous, as "
    )
    with pytest.raises(ValueError, match=message):
        usual.softmax(x, wide[:, ::2])
    mean, strided = usual.zeros(4, np.float32), usual.zeros(8, np.float32)[::2]
    norm, running = Norm(mean, mean, 1e-5), Running(mean, strided, 0.1)
    with pytest.raises(ValueError, match=r"^batch_norm_forward writes running\.var \("):
        usual.batch_norm_forward("identity", x, norm, running, mean, mean, x)
    usual.matmul(
        usual.asarray(np.ones((3, 2), "f")), usual.asarray(np.ones((2, 4), "f")), wide[:, ::2]
    )
    assert usual.to_numpy(wide).tolist() == [[2, 0] * 4] * 3


def test_copies_of_captured_steps_are_kept(usual):
    """A view is made contiguous in each step, in memory that the graph alone writes to."""
    x, y = usual.asarray(np.arange(12.0).reshape(3, 4)), usual.empty((4, 3), np.float64)

    def step() -> None:
        usual.activation("relu", x.T, y)

    step()
    replay = usual.capture(step)
    x[...] = 2
    others = [usual.zeros((4, 3), np.float64) for _ in range(40)]
    replay(17)
    assert usual.to_numpy(y).tolist() == [[2] * 3] * 4
    assert all(not usual.to_numpy(other).any() for other in others)


def _first_captured(usual, layer):
    """Train a layer for two steps, of which the second is captured; return the warnings."""
    model = nnkit.Sequential(nnkit.Linear(6, 8), layer, nnkit.Linear(8, 3), backend=usual, seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nnkit.Trainer(model).fit(np.ones((20, 6)), np.zeros(20, int), 1, 10)
    return [str(warning.message) for warning in caught]


def test_the_line_of_a_notebook_s_cell_is_named(usual):
    """It is in no file; Python knows it from the notebook."""
    code = "def call(self, x):\n    return x + 1\n"
    linecache.cache["<cell 3>"] = len(code), None, code.splitlines(keepends=True), "<cell 3>"
    cell: dict[str, Any] = {}
    exec(compile(code, "<cell 3>", "exec"), cell)
    layer = type("Cell", (_Calls,), {"capturable": True, "forward": cell["call"]})(None)
    (message,) = _first_captured(usual, layer)
    assert "layer 1: Cell(): `return x + 1` (<cell 3>, line 2): an array is made" in message


@pytest.mark.parametrize("cause", [None, RuntimeError("as of CUDA")])
def test_an_error_of_the_users_own_is_raised(usual, cause):
    """It is not taken for something that cannot be captured, but where that has caused it."""
    calls = []

    def call(self, x):
        calls.append(x)
        if len(calls) == 3:  # the model's check, the first step, and that which is captured
            raise ValueError("the user's own") from cause

    if cause is None:
        with pytest.raises(ValueError, match="the user's own"):
            _first_captured(usual, _Calls(call))
    else:
        assert "RuntimeError: as of CUDA" in _first_captured(usual, _Calls(call))[0]


def test_the_memory_of_a_graph_is_given_back(usual, monkeypatch):
    """CuPy's pools keep what they have when they are forgotten."""
    pool, given_back = usual.xp.cuda.MemoryPool, []

    class Pool(pool):
        def free_all_blocks(self, stream=None):
            given_back.append(self)

    monkeypatch.setattr(usual.xp.cuda, "MemoryPool", Pool)
    y = usual.zeros(4, np.float64)
    replay = usual.capture(lambda: usual.activation("relu", y, y))
    replay(3)
    assert not given_back
    del replay
    assert len(given_back) == 1


def test_a_graph_keeps_what_it_was_given_and_not_its_copies(usual, monkeypatch):
    """The copies of one step may lie where those of the step before have been."""
    made = []
    monkeypatch.setattr(capturing, "Capture", lambda cupy: made.append(Capture(cupy)) or made[0])
    x, y = usual.zeros((3, 4), np.float64), usual.zeros((4, 3), np.float64)
    w, z = usual.zeros((3, 8), np.float64)[:, ::2], usual.zeros((4, 4), np.float64)

    def step() -> None:
        usual.activation("relu", x.T, y)
        usual.matmul(y, w, z)

    step()
    replay = usual.capture(step)
    kept = {array.data.ptr for array in made[0]._kept.values()}
    assert kept == {array.data.ptr for array in (x, y, w, z)}
    replay(1)


@pytest.mark.parametrize("call", ["to_numpy", "softmax"])
def test_a_signal_may_come_at_any_time(usual, call):
    """Its handler may save the model, while the thread it interrupts is issuing work."""
    x = usual.zeros((2, 3), np.float64)

    def handler() -> None:
        with usual.turns.lock:
            getattr(usual, call)(x)

    thread = threading.Thread(target=handler, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_another_thread_may_work_while_a_step_is_captured(usual):
    """On the default stream, which a blocking stream that captures would forbid (error 906)."""
    x, y = usual.asarray(np.arange(4.0)), usual.zeros(4, np.float64)
    z, seen = usual.empty(4, np.float64), []

    def other() -> None:
        seen.append(usual.to_numpy(usual.softmax(x.reshape(1, 4))).sum())

    def step() -> None:
        usual.activation("relu", x, z)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        usual.accumulate(z, y, 1.0, False)

    step()
    replay = usual.capture(step)
    replay(20)
    assert usual.to_numpy(y).tolist() == [0, 21, 42, 63]
    np.testing.assert_allclose(seen, np.ones(1 + 1 + STEPS_PER_GRAPH))


def test_an_interrupted_capture_leaves_nothing_behind(usual):
    def step() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        usual.capture(step)
    usual.synchronize()


# --------------------------------------------------------------------- arrays


def test_asarray_refuses_arrays_of_other_libraries(usual):
    tensor = type("Tensor", (), {"__module__": "torch"})()
    with pytest.raises(TypeError, match=r"^a torch\.Tensor was given to the cupy backend: convert"):
        usual.asarray(tensor)


def test_other_dtypes_are_refused(usual):
    x = usual.zeros(4, np.int16)
    with pytest.raises(TypeError, match="computes in float32 or float64 or float16 or bfloat16, "):
        usual.activation("relu", x)


def test_gather_does_not_convert(usual):
    source, out = usual.zeros((4, 2), np.float64), usual.empty((2, 2), np.float32)
    order = usual.asarray(np.arange(4))
    with pytest.raises(TypeError, match="cannot make float32 of float64"):
        usual.gather(source, order, counters(usual), 2, out)


# --------------------------------------------------------------------- sources


@pytest.mark.parametrize("name", cuda.FILES)
def test_a_source_is_one_string_with_each_header_once(name):
    code = cuda.source(name)
    files = re.findall(r'^#line 1 "(.*)"$', code, re.MULTILINE)
    assert files[0] == f"{name}.cu"
    assert "common.cuh" in files
    assert len(files) == len(set(files))
    assert '#include "' not in code


def test_options_name_the_types():
    assert "-DREAL=float" in cuda.options("float32")
    assert "-DREAL=double" in cuda.options("float64")
    assert {"-DSTORE=__half", "-DREAL=float", "-DHEADER=<cuda_fp16.h>"} < {*cuda.options("float16")}
    with pytest.raises(KeyError):
        cuda.options("int32")


def test_compiler_messages_name_the_file_and_line(usual):
    """Where a header was put in place of its #include, the lines after it keep their numbers."""
    code = cuda.source("losses").replace(
        "const REAL difference =", "const REAL difference = oops +"
    )
    lines = cuda.source("losses").split('#line 4 "losses.cu"\n')[1].splitlines()
    number = 4 + next(i for i, line in enumerate(lines) if "const REAL difference =" in line)
    with pytest.raises(simulator.CompileError, match=rf"losses\.cu:{number}:.*oops"):
        simulator.RawModule(code=code, options=cuda.options("float32"))


# --------------------------------------------------------------------- what may be missing


@pytest.fixture
def fake() -> Iterator[Any]:
    with fake_cupy.installed() as cupy:
        yield cupy


def test_no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError) as error:
        module.create()
    assert str(error.value) == (
        "CuPy is not installed: pip install 'cupy-cuda12x[ctk]', or 'cupy-cuda13x[ctk]' where "
        "nvidia-smi shows CUDA 13"
    )


def test_cupy_that_cannot_be_imported(monkeypatch, tmp_path):
    package = tmp_path / "cupy"
    package.mkdir()
    banner = "raise ImportError('=====\\nFailed to import CuPy.')"
    (package / "__init__.py").write_text(
        f"try:\n    raise ImportError('libc.so: no such file')\nexcept ImportError as e:\n"
        f"    {banner} from e\n"
    )
    with fake_cupy.suspended(), monkeypatch.context() as patch:
        patch.delitem(sys.modules, "cupy", raising=False)
        patch.syspath_prepend(tmp_path)
        with pytest.raises(ImportError) as error:
            module.create()
    assert str(error.value) == (
        "CuPy is installed but cannot be imported: ImportError: libc.so: no such file"
    )


def test_no_driver(fake, monkeypatch):
    monkeypatch.setattr(fake.cuda.runtime, "driverGetVersion", lambda: 0)
    with pytest.raises(RuntimeError) as error:
        module.create()
    assert str(error.value) == (
        "no NVIDIA driver is installed: install one (nvidia-smi must work), or choose the numba or "
        "numpy backend"
    )


def test_old_driver(fake, monkeypatch):
    monkeypatch.setattr(fake.cuda.runtime, "driverGetVersion", lambda: 12080)
    monkeypatch.setattr(fake.cuda.runtime, "runtimeGetVersion", lambda: 13000)
    with pytest.raises(RuntimeError) as error:
        module.create()
    assert str(error.value) == (
        "the NVIDIA driver supports CUDA 12, but CuPy was built for CUDA 13: update the driver, or "
        "pip install 'cupy-cuda12x[ctk]' in CuPy's place"
    )


def test_no_gpu():
    with fake_cupy.installed(device_error=100), pytest.raises(RuntimeError) as error:
        module.create()
    assert str(error.value) == (
        "the NVIDIA driver finds no GPU (CUDARuntimeError: cudaErrorNoDevice: no CUDA-capable "
        "device is detected): see nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides it"
    )


def test_a_count_of_no_gpus(fake, monkeypatch):
    monkeypatch.setattr(fake.cuda.runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(RuntimeError, match=r"finds no GPU \(there is none\): see nvidia-smi"):
        module.create()


def _failing(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def test_a_gpu_out_of_memory(fake, monkeypatch):
    monkeypatch.setattr(fake, "zeros", _failing(MemoryError("out of memory: 24 bytes\nlimit 0")))
    with pytest.raises(RuntimeError) as error:
        module.create()
    assert str(error.value) == "the GPU cannot be used: MemoryError: out of memory: 24 bytes"


def test_no_nvrtc(fake, monkeypatch):
    missing = RuntimeError('Failure finding "libnvrtc.so.12": No such file: libnvrtc.so.12\n\n')
    monkeypatch.setattr(fake, "RawModule", _failing(missing))
    with pytest.raises(RuntimeError) as error:
        module.create()
    assert str(error.value) == (
        'CUDA kernels cannot be compiled and run: RuntimeError: Failure finding "libnvrtc.so.12": '
        "No such file: libnvrtc.so.12 (if NVRTC, the compiler, is missing: pip install "
        "'cuda-toolkit[cublas,cudart,nvrtc]==12.*')"
    )


def test_no_cublas(fake, monkeypatch):
    missing = ImportError('Failure finding "libcublas.so.12": No such file: libcublas.so.12\n')
    monkeypatch.setattr(fake, "matmul", _failing(missing))
    with pytest.raises(RuntimeError) as error:
        module.create()
    assert str(error.value) == (
        'matrix products do not work: ImportError: Failure finding "libcublas.so.12": No such '
        "file: libcublas.so.12 (if cuBLAS is missing: pip install "
        "'cuda-toolkit[cublas,cudart,nvrtc]==12.*')"
    )


def test_wrong_results(fake, monkeypatch):
    monkeypatch.setattr(fake, "matmul", lambda a, b, out=None: a)
    with pytest.raises(RuntimeError, match="the GPU computes wrong results"):
        module.create()
