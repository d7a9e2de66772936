"""What is the Numba backend's own: the cache on disk, threads, accuracy, determinism, denormals."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnkit.backends.contract import Norm, Running, Update, Window
from nnkit.backends.numba import NumbaBackend, create
from nnkit.kernels.cores import usable_cores
from nnkit.kernels.table import ACTIVATIONS, LOSSES
from tests.helpers import ALWAYS_FLOAT64, REFERENCE, poison
from tests.operations.samples import operations

numba = pytest.importorskip("numba")

from nnkit.kernels.numba import activations, formulas, losses, maths, tiles  # noqa: E402
from nnkit.kernels.numba.codegen.jit import OPTIONS  # noqa: E402
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES, X86  # noqa: E402
from nnkit.kernels.numba.runtime import tape  # noqa: E402

ROOT = Path(__file__).parents[1]
LARGE = (300, 1000)
"""Enough elements for several threads and tasks in every kernel."""


@pytest.fixture(scope="module")
def backend() -> NumbaBackend:
    return create()


@pytest.fixture
def threads(backend: NumbaBackend, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the number of threads until the end of the test, small work being enough for them."""
    monkeypatch.setattr(tape, "WORTH_A_TEAM", 1)
    return lambda n: monkeypatch.setattr(backend, "threads", n)


def run(code: str, path: Path = ROOT, **environment: str) -> str:
    """Run Python code in a fresh process, and return what it prints."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("NNKIT_", "NUMBA_"))}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path,
        env=clean | {"PYTHONPATH": str(path)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


# ---------------------------------------------------------------------- operations, large


def norm(v: dict[str, np.ndarray], gamma: str) -> Norm:
    return Norm(v[gamma], v["bias"], 1e-5)


def update(v: dict[str, np.ndarray]) -> Update:
    return Update(v["lr"], v["counters"], 0.1, 0.2)


AROUND, HALF = Window((3, 3), padding=(1, 1)), Window((2, 2), (2, 2))


def images(array: np.ndarray, *shape: int) -> np.ndarray:
    """So much of an array as these images take."""
    return array.reshape(-1)[: int(np.prod(shape))].reshape(shape)


def convolution(b: Any, v: dict[str, np.ndarray], pool: Window | None) -> None:
    x, weight, bias = images(v["x"], 50, 20, 30, 10), images(v["p"], 3, 3, 10, 10), v["bias"][:10]
    y = images(v["z"], *((50, 20, 30, 10) if pool is None else (50, 10, 15, 10)))
    place = None if pool is None else images(v["bytes"], *y.shape)
    b.convolution("relu", x, weight, bias, AROUND, 1, pool, y, place)


def convolution_backward(b: Any, v: dict[str, np.ndarray]) -> None:
    x, weight, place = (images(v[name], *shape) for name, shape in IMAGES.items())
    dy, dx = images(v["g"], *place.shape), images(v["z"], *x.shape)
    dweight, y = images(v["m"], *weight.shape), images(v["v"], *place.shape)
    given = dy, x, weight, AROUND, 1, HALF, y, place % 4
    b.convolution_backward("relu", *given, dweight, v["bias"][:10], dx)


IMAGES = {"x": (50, 20, 30, 10), "p": (3, 3, 10, 10), "bytes": (50, 10, 15, 10)}

OPERATIONS: dict[str, Callable[[Any, dict[str, np.ndarray]], None]] = {
    "bias_activation": lambda b, v: b.bias_activation("sigmoid", v["z"], v["bias"], v["z"]),
    "bias_activation_backward": lambda b, v: b.bias_activation_backward(
        "tanh", v["x"], v["p"], v["z"], v["bias"]
    ),
    "activation": lambda b, v: b.activation("tanh", v["x"], v["z"]),
    "activation_backward": lambda b, v: b.activation_backward("relu", v["x"], v["p"], v["z"]),
    "bias_gradient": lambda b, v: b.bias_gradient(v["x"], v["bias"]),
    "softmax": lambda b, v: b.softmax(v["x"], v["z"]),
    "softmax_backward": lambda b, v: b.softmax_backward(v["x"], v["p"], v["z"]),
    "log_softmax": lambda b, v: b.log_softmax(v["x"], v["z"]),
    "batch_norm_forward": lambda b, v: b.batch_norm_forward(
        *("relu", v["x"], norm(v, "bias"), Running(v["mean"], v["var"], 0.1)),
        *(v["m1"], v["m2"], v["z"]),
    ),
    "batch_norm_inference": lambda b, v: b.batch_norm_inference(
        "relu", v["x"], norm(v, "bias"), v["mean"], v["var"], v["z"]
    ),
    "batch_norm_backward": lambda b, v: b.batch_norm_backward(
        *("relu", v["p"], v["x"], v["x"], norm(v, "mean"), v["mean"], v["var"]),
        *(v["m1"], v["bias"], v["z"], True),
    ),
    "batch_norm_moments": lambda b, v: b.batch_norm_moments(
        v["x"], 1, v["flat"][: 2 * (2 * LARGE[1] + 1)].reshape(2, -1)
    ),
    "batch_norm_sums": lambda b, v: b.batch_norm_sums(
        *("relu", v["p"], v["x"], v["x"], norm(v, "mean"), v["mean"], v["var"]),
        *(v["m1"], v["bias"], v["flat"][: 2 * LARGE[1]].reshape(2, -1)),
    ),
    "batch_norm_input_gradient": lambda b, v: b.batch_norm_input_gradient(
        *("relu", v["p"], v["x"], v["x"], norm(v, "mean"), v["mean"], v["var"]),
        *(v["flat"][: 2 * LARGE[1]].reshape(2, -1), 1000, v["z"]),
    ),
    "layer_norm_forward": lambda b, v: b.layer_norm_forward(
        v["x"], norm(v, "bias"), v["n1"], v["n2"], v["z"]
    ),
    "layer_norm_backward": lambda b, v: b.layer_norm_backward(
        v["p"], v["x"], norm(v, "mean"), v["n1"], v["n2"], v["m1"], v["bias"], v["z"]
    ),
    "softmax_cross_entropy labels": lambda b, v: b.softmax_cross_entropy(
        v["x"], v["labels"], v["z"], v["log"], v["counters"]
    ),
    "softmax_cross_entropy rows": lambda b, v: b.softmax_cross_entropy(
        v["x"], v["p"], v["z"], v["log"], v["counters"]
    ),
    "categorical_cross_entropy": lambda b, v: b.categorical_cross_entropy(
        v["p"], v["onehot"], v["z"], v["log"], v["counters"], 1e-7
    ),
    "elementwise_loss": lambda b, v: b.elementwise_loss(
        "sigmoid_cross_entropy", v["x"], v["p"], v["z"], v["log"], v["counters"]
    ),
    "dropout": lambda b, v: b.dropout(v["x"], 0.3, 0xFEDCBA9876543210, v["counters"], v["z"]),
    "sgd": lambda b, v: b.sgd(v["flat"], v["g"], None, update(v), 0.0, False),
    "sgd momentum": lambda b, v: b.sgd(v["flat"], v["g"], v["m"], update(v), 0.9, True),
    "adam": lambda b, v: b.adam(
        v["flat"], v["g"], v["m"], v["v"], update(v), 0.9, 0.999, 1e-8, True
    ),
    "adaptive": lambda b, v: b.adaptive(v["flat"], v["g"], v["v"], update(v), 0.9, 0.1, 1e-3),
    "accumulate": lambda b, v: b.accumulate(v["g"], v["flat"], 0.3, False),
    "sum_of_squares": lambda b, v: b.sum_of_squares(v["flat"], v["lr"], True),
    "clip": lambda b, v: b.clip(v["g"], v["lr"], 0.05),
    "gather": lambda b, v: b.gather(v["x"], v["order"], v["counters"], 7, v["z"][:250]),
    "gather bytes": lambda b, v: b.gather(v["bytes"], v["order"], v["counters"], 7, v["z"][:250]),
    "convolution": lambda b, v: convolution(b, v, None),
    "convolution pooled": lambda b, v: convolution(b, v, HALF),
    "convolution_backward": convolution_backward,
    "max_pool": lambda b, v: b.max_pool(
        *(images(v["x"], 50, 20, 30, 10), HALF, images(v["z"], 50, 10, 15, 10)),
        images(v["bytes"], 50, 10, 15, 10),
    ),
    "max_pool_backward": lambda b, v: b.max_pool_backward(
        *(images(v["g"], 50, 10, 15, 10), images(v["bytes"], 50, 10, 15, 10) % 4, HALF),
        images(v["z"], 50, 20, 30, 10),
    ),
    "average_pool": lambda b, v: b.average_pool(
        images(v["x"], 50, 20, 30, 10), AROUND, 9, images(v["z"], 50, 20, 30, 10)
    ),
    "average_pool_backward": lambda b, v: b.average_pool_backward(
        images(v["x"], 50, 20, 30, 10), AROUND, 9, images(v["z"], 50, 20, 30, 10)
    ),
    "transpose": lambda b, v: b.transpose(images(v["x"], 50, 60, 100), images(v["z"], 50, 100, 60)),
}


def arguments() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    n, m = LARGE
    p = np.exp(rng.standard_normal(LARGE))
    size = n * m
    real = {
        "x": 3 * rng.standard_normal(LARGE),
        "z": rng.standard_normal(LARGE),
        "p": p / p.sum(axis=1, keepdims=True),
        "bias": rng.standard_normal(m),
        "flat": rng.standard_normal(size),
        "g": rng.standard_normal(size),
        "m": rng.standard_normal(size),
        "v": rng.random(size),
        **{name: rng.standard_normal(m) for name in ("mean", "m1", "m2")},
        **{name: rng.standard_normal(n) for name in ("n1", "n2")},
        "var": 0.1 + rng.random(m),
    }
    return {name: value.astype(np.float32) for name, value in real.items()} | {
        "labels": rng.integers(0, m, n).astype(np.int32),
        "onehot": np.eye(n, m, dtype=np.float32),
        "order": rng.permutation(n),
        "bytes": rng.integers(0, 256, LARGE).astype(np.uint8),
        "lr": np.array([0.01]),
        "log": np.zeros((3, 2)),
        "counters": np.array([2, 5, 7]),
    }


every_operation = pytest.mark.parametrize("name", OPERATIONS)


@every_operation
def test_bits_do_not_depend_on_the_number_of_threads(backend, threads, name):
    results = []
    for n in (1, 2, 2, 5):
        threads(n)
        values = arguments()
        OPERATIONS[name](backend, values)
        results.append(values)
    for other in results[1:]:
        for key, value in results[0].items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


@pytest.mark.parametrize("shape", [(1, 8), (5, 1), (3, 17)], ids=str)
def test_bits_do_not_depend_on_where_arrays_lie(backend, dtype, shape):
    """In any order, with little or nothing between them, as small arrays lie in memory."""
    for name, (call, inputs, outputs, *_) in operations(np.random.default_rng(0), shape).items():
        rng = np.random.default_rng(1)
        arrays = inputs | {name: poison(value) for name, value in outputs.items()}
        arrays = {
            name: a if a.dtype.kind != "f" or name in ALWAYS_FLOAT64 else a.astype(dtype)
            for name, a in arrays.items()
        }
        found = set()
        for _ in range(12):
            placed = _close_together(arrays, rng)
            call(backend, SimpleNamespace(**placed))
            found.add(tuple(placed[output].tobytes() for output in outputs))
        assert len(found) == 1, name


def _close_together(
    arrays: dict[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    memory = np.zeros(sum(a.nbytes + 512 for a in arrays.values()), np.uint8)
    at = -memory.ctypes.data % 16
    placed = {}
    for name in rng.permutation([*arrays]):
        array = arrays[name]
        placed[name] = memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
        placed[name][...] = array
        at += -(-array.nbytes // 16) * 16 + int(rng.choice([0, 16, 64, 256]))
    return placed


@every_operation
def test_large_arrays_match_the_reference(backend, threads, name):
    threads(3)
    got, want = arguments(), arguments()
    OPERATIONS[name](backend, got)
    wide = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in want.items()}
    OPERATIONS[name](REFERENCE, wide)
    for key, value in wide.items():
        # A loss's gradients are of the size of 1 / rows; a bias's are sums of 300 numbers.
        size = 1 / LARGE[0] if "entropy" in name or "loss" in name else 1
        size = 20 if key == "bias" else size
        size = 200 if (name, key) == ("convolution_backward", "m") else size  # of 30,000 places
        np.testing.assert_allclose(got[key], value, rtol=2e-5, atol=2e-6 * size, err_msg=key)


@pytest.mark.parametrize("kind", ["relu", "sigmoid"])
def test_in_place(backend, kind):
    x = arguments()["x"]
    expected = backend.activation(kind, x)
    y = x.copy()
    backend.activation(kind, y, y)
    np.testing.assert_array_equal(y, expected)


def test_backward_and_dropout_in_place(backend):
    v = arguments()
    z, bias, counters = np.empty_like(v["x"]), v["bias"], v["counters"]
    for run_on in (
        lambda dy, dz: backend.bias_activation_backward("sigmoid", dy, v["p"], dz, bias),
        lambda dy, dz: backend.activation_backward("sigmoid", dy, v["p"], dz),
        lambda dy, dz: backend.dropout(dy, 0.5, 3, counters, dz),
    ):
        run_on(v["x"], z)
        dy = v["x"].copy()
        run_on(dy, dy)
        np.testing.assert_array_equal(dy, z)


def test_every_activation_and_loss_has_its_formulas():
    assert formulas.FORMULAS.keys() == ACTIVATIONS.keys()
    for kind, row in ACTIVATIONS.items():
        assert (formulas.FORMULAS[kind].gradient is None) == (row.gradient is None)
    assert losses.FORMULAS.keys() == LOSSES.keys()


# ---------------------------------------------------------------------- compiling

SMALL = """
import numpy as np
from nnkit.backends.numba import create
from nnkit.kernels.numba import activations, counters
def show(kernel):
    print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
backend = create()
at = np.zeros(3, np.int64)
backend.advance(at, 1, 2, 3)
assert at.tolist() == [1, 2, 3]
show(counters.advance.function)
"""
"""Uses the kernel that is compiled the fastest."""

USE = f"""{SMALL}
x = np.array([[1.0, -2.0]], np.float32)
backend.bias_activation("relu", x, np.ones(2, np.float32), x)
assert x.tolist() == [[2.0, 0.0]]
show(activations.bias_activation("relu").function)
"""


def test_a_second_process_does_not_compile_until_a_source_changes(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "kernels")
    shutil.copytree(ROOT / "nnkit", tmp_path / "nnkit", ignore=ignored)
    kernels = tmp_path / "nnkit" / "kernels"
    shutil.copytree(ROOT / "kernels", kernels, ignore=shutil.ignore_patterns("__pycache__"))

    assert run(USE, tmp_path).splitlines() == ["0 1", "0 1"]
    assert run(USE, tmp_path).splitlines() == ["1 0", "1 0"]
    for changed in ("maths.py", "codegen/denormals.py", "runtime/tasks.py"):
        with (kernels / "numba" / changed).open("a") as source:
            source.write("\nCHANGED = True\n")
        assert run(SMALL, tmp_path) == "0 1\n", changed


def test_the_process_that_compiles_computes_what_later_ones_do(tmp_path):
    code = """
import numpy as np
from nnkit.backends.contract import Update
from nnkit.backends.numba import create
backend = create()
rng = np.random.default_rng(0)
x = rng.standard_normal((64, 256)).astype(np.float32)
p, g, m, v = rng.random((4, 50)).astype(np.float32)
update = Update(np.array([0.1]), np.array([1, 3, 2]), 0.01)
backend.adam(p, g, m, v, update, 0.9, 0.999, 1e-8, True)
product = backend.matmul(x, x.T)
print(backend.softmax(x).tobytes().hex(), p.tobytes().hex(), product.tobytes().hex())
"""
    first = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)) == first


def test_works_where_nothing_can_be_cached():
    code = f"""
from numba.core import caching
def refuse(*args): return None
for locator in caching.CacheImpl._locator_classes: locator.from_function = refuse
{SMALL}
print(counters.advance.function.stats.cache_path)
"""
    assert run(code).splitlines() == ["0 1", "None"]


def test_shapes_do_not_compile_anew(backend):
    kernel = activations.bias_activation("relu").function
    versions = set()
    for shape in ((8, 10), (0, 10), (300, 7), (1, 1), (5, 3000)):
        z = np.ones(shape, np.float32)
        backend.bias_activation("relu", z, np.ones(shape[1], np.float32), z)
        assert (z == 2).all()
        versions.add(len(kernel.signatures))
    assert len(versions) == 1


def test_loops_over_exp_are_vector_code():
    if not X86:
        pytest.skip("the names of the instructions are those of x86")

    @numba.njit(**OPTIONS)
    def loop(x, y):
        for i in range(x.size):
            y[i] = maths.exp_nonpositive(x[i])

    x = np.zeros(3, np.float32)
    loop(x, x)
    assembly = next(iter(loop.inspect_asm().values()))
    register = "xmm" if REGISTER_BYTES == 16 else "[yz]mm"
    assert re.search(rf"(mul|fmadd\w*)ps\s.*{register}", assembly)


def test_without_numba():
    """And so without llvmlite, which comes with it."""
    code = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
from nnkit.backends.numba import create
try:
    create()
except ImportError as error:
    print(error)
"""
    assert run(code) == "numba is not installed: pip install numba\n"


# ---------------------------------------------------------------------- threads

COUNT = """
from nnkit.backends.numba import create
backend = create()
import threadpoolctl
blas = {lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"}
print(backend.threads, *blas)
"""


def test_one_limit_for_kernels_and_blas():
    assert run(COUNT, NNKIT_NUM_THREADS="1") == "1 1\n"


def test_more_threads_than_cores():
    assert run(COUNT, NNKIT_NUM_THREADS="3").startswith("3 ")


def test_a_thread_for_each_core_by_default():
    assert run(COUNT).startswith(f"{usable_cores()} ")


def test_a_share_of_the_cores_that_joblib_gives_its_processes():
    assert run(COUNT, NUMBA_NUM_THREADS="1").startswith("1 ")
    assert run(COUNT, NUMBA_NUM_THREADS="1", NNKIT_NUM_THREADS="3").startswith("3 ")


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1025", "9" * 5000])
def test_a_limit_that_is_no_number(value, monkeypatch):
    monkeypatch.setenv("NNKIT_NUM_THREADS", value)
    with pytest.raises(ValueError, match=f"^NNKIT_NUM_THREADS={value}: give a whole number"):
        create()


def test_large_strided_arrays(backend, threads):
    threads(2)
    z, bias = np.ones((300, 1000), np.float32), np.arange(2000, dtype=np.float32)[::2]
    backend.bias_activation("relu", z, bias, z)
    np.testing.assert_array_equal(z, np.tile(1 + bias, (300, 1)))


def test_several_python_threads_call_in_at_once(backend, threads):
    threads(2)

    def train(_: int) -> list[np.ndarray]:
        values = arguments()
        for _ in range(10):
            for name in ("softmax_cross_entropy labels", "bias_activation_backward", "adam"):
                OPERATIONS[name](backend, values)
        return list(values.values())

    expected = train(0)
    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(train, range(8)):
            for value, want in zip(results, expected, strict=True):
                np.testing.assert_array_equal(value, want)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_kernels_work_after_a_fork():
    code = """
import os
import numpy as np
from nnkit.backends.numba import create
backend = create()
x, total = np.full((3000, 1000), 0.5, np.float32), np.empty(1000, np.float32)
backend.threads = 2
def work():
    backend.bias_gradient(x, total)
    return bool((total == 1500).all())
assert work()
child = os.fork()
if child == 0:
    os._exit(0 if work() and work() else 1)
_, status = os.waitpid(child, 0)
print(status, work())
"""
    assert run(code) == "0 True\n"


# ---------------------------------------------------------------------- accuracy


def compiled(function: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function of arrays from one of single elements."""

    @numba.njit(**OPTIONS)
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    def call(x: np.ndarray) -> np.ndarray:
        y = np.empty_like(x)
        loop(x, y)
        return y

    return call


def every_thousandth(least: float, most: float) -> np.ndarray:
    """Every 1009th float32 from `least` to `most`, both not negative."""
    first, last = np.array([least, most], np.float32).view(np.int32)
    return np.arange(first, last, 1009, dtype=np.int32).view(np.float32)


def assert_ulps(got: np.ndarray, want: np.ndarray, most: float) -> None:
    """Assert an error of at most so many units in the last place, denormals included."""
    tiny = np.finfo(got.dtype).tiny
    unit = np.spacing(np.maximum(np.abs(want), tiny).astype(got.dtype))
    error = np.abs(got.astype(want.dtype) - want) / unit
    assert error.max() <= most


def test_exp_over_all_of_float32():
    x = -every_thousandth(0, 1000)
    assert_ulps(compiled(maths.exp_nonpositive)(x), np.exp(x.astype(np.float64)), 1.1)
    assert_ulps(compiled(maths.expm1_nonpositive)(x), np.expm1(x.astype(np.float64)), 1.1)


@pytest.mark.parametrize("sign", [1, -1])
def test_exp_of_either_sign(sign):
    x = sign * every_thousandth(0, 1000)
    with np.errstate(over="ignore"):
        want = np.exp(np.minimum(x, 89).astype(np.float64)).astype(np.float32)
    y = compiled(maths.exp)(x)
    finite = np.isfinite(want)
    assert_ulps(y[finite], want[finite].astype(np.float64), 1.6)
    assert (y[~finite] == np.inf).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_gelu_over_all_of_float32(backend, sign):
    x = sign * every_thousandth(0, np.finfo(np.float32).max)
    assert_ulps(backend.activation("gelu", x), REFERENCE.activation("gelu", x.astype(float)), 8)


def test_log1p_over_all_of_its_range():
    x = every_thousandth(0, 1)
    assert_ulps(compiled(maths.log1p_unit)(x), np.log1p(x.astype(np.float64)), 2.1)


@pytest.mark.parametrize("sign", [1, -1])
def test_sigmoid_and_tanh_over_all_of_float32(backend, sign):
    x = sign * every_thousandth(0, np.finfo(np.float32).max)
    wide = x.astype(np.float64)
    assert_ulps(backend.activation("sigmoid", x), REFERENCE.activation("sigmoid", wide), 2.6)
    assert_ulps(backend.activation("tanh", x), np.tanh(wide), 2.6)


def test_float64_functions(rng):
    x = -(10 ** rng.uniform(-12, 2.87, 100_000))
    assert_ulps(compiled(maths.exp_nonpositive)(x), np.exp(x), 2)
    assert_ulps(compiled(maths.expm1_nonpositive)(x), np.expm1(x), 2)
    x = 10 ** rng.uniform(-12, 0, 100_000)
    assert_ulps(compiled(maths.log1p_unit)(x), np.log1p(x), 3)


def test_float64_exp_and_gelu(backend, rng):
    x = rng.uniform(-750, 709.7, 100_000)
    assert_ulps(compiled(maths.exp)(x), np.exp(x), 2)
    x = np.append(rng.uniform(-37, 10, 50_000), rng.normal(size=50_000))
    assert_ulps(backend.activation("gelu", x), REFERENCE.activation("gelu", x), 12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_at_the_extremes(dtype):
    x = np.array([0, -0.0, -1e4, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(compiled(maths.exp_nonpositive)(x), np.exp(x))
    np.testing.assert_array_equal(compiled(maths.expm1_nonpositive)(x), np.expm1(x))
    np.testing.assert_array_equal(compiled(maths.exp)(x), np.exp(x))
    assert compiled(maths.exp)(np.array([1e4, np.inf], dtype)).tolist() == [np.inf, np.inf]
    x = np.array([0, 1, np.nan], dtype)
    np.testing.assert_allclose(compiled(maths.log1p_unit)(x), np.log1p(x), rtol=1e-7)


def test_log_softmax_keeps_its_digits_beside_large_logits(backend):
    x = np.array([[1e4, 1e4 - 1, 1e4 + 1]] * 2, np.float32)
    got = backend.log_softmax(x)
    np.testing.assert_allclose(got, REFERENCE.log_softmax(x.astype(np.float64)), rtol=1e-6)


def test_answers_are_counted_as_argmax_finds_them(backend):
    z = np.array(
        [[1, 3, 3], [3, 3, 1], [0.0, -0.0, -1], [np.nan, 1, 2], [1, -np.inf, np.inf]], np.float32
    )
    for labels in ([1, 0, 0, 0, 2], [2, 1, 1, 2, 0]):
        log, counters = np.zeros((1, 2)), np.zeros(3, np.int64)
        target = np.array(labels, np.int32)
        backend.softmax_cross_entropy(z, target, np.empty_like(z), log, counters)
        assert log[0, 1] == (z.argmax(axis=1) == target).sum()


# ---------------------------------------------------------------------- denormals

x86_only = pytest.mark.skipif(not X86, reason="only x86 is told to flush denormals")


@x86_only
def test_decaying_averages_reach_zero(backend):
    p, g = np.ones(100, np.float32), np.zeros(100, np.float32)
    m, v = np.full(100, 1e-36, np.float32), np.full(100, 1e-37, np.float32)
    velocity = m.copy()
    update = Update(np.array([0.01]), np.zeros(3, np.int64))
    for _ in range(2500):
        backend.adam(p, g, m, v, update, 0.9, 0.999, 1e-8, False)
        backend.sgd(p, g, velocity, update, 0.9, False)
    assert not m.any() and not v.any() and not velocity.any()
    assert (p == 1).all()


@x86_only
def test_vanishing_gradients_become_zero(backend):
    dy = np.array([[1e-38, 1.0]], np.float32)
    y, dz, db = np.full((1, 2), 0.5, np.float32), np.empty((1, 2), np.float32), np.empty(2, "f4")
    backend.bias_activation_backward("sigmoid", dy, y, dz, db)
    assert dz.tolist() == [[0.0, 0.25]] and db.tolist() == [0.0, 0.25]


def test_forward_activations_keep_denormals(backend):
    x = np.array([1e-40, -95.0], np.float32)
    assert backend.activation("relu", x)[0] == x[0]
    assert backend.activation("sigmoid", x)[1] > 0


@every_operation
def test_flushing_ends_with_the_kernel(backend, threads, name):
    threads(1)
    OPERATIONS[name](backend, arguments())
    assert (np.full(100, 1e-40, np.float32) * np.float32(0.5)).all()


# ---------------------------------------------------------------------- tiles


@pytest.mark.parametrize(("rows", "m"), [(1, 1), (5, 3), (40, 100), (3, 2000), (0, 4), (4, 0)])
def test_tiles(rows, m):
    @numba.njit(**OPTIONS)
    def sums(x, row):
        tile = np.zeros(tiles.tile_width(x.size, row.size), x.dtype)
        flat = x.reshape(x.size)
        for i in range(x.size):
            tile[i % tile.size] += flat[i]
        tiles.fold_tile(tile, row)
        return tile.size

    x, row = np.arange(rows * m, dtype=np.float64).reshape(rows, m), np.empty(m)
    width = sums(x, row)
    np.testing.assert_array_equal(row, x.sum(axis=0))
    assert m == 0 or width % m == 0


@pytest.mark.parametrize("shape", [3, np.int64(3), (3,), [2, 3], (), (0, 4), (300, 700)])
def test_arrays_that_begin_cache_lines(shape):
    backend = create()
    for dtype in ("float32", np.float64, "u1"):
        for make, same in ((backend.empty, np.empty), (backend.zeros, np.zeros)):
            array, like = make(shape, dtype), same(shape, dtype)
            assert (array.shape, array.dtype, array.flags.c_contiguous) == (
                like.shape,
                like.dtype,
                True,
            )
            assert array.flags.writeable
            assert array.nbytes < 4096 or array.ctypes.data % 64 == 0
    assert not backend.zeros(shape, "float32").any()
