"""The conformance suite: every operation, on every backend, against the float64 reference.

`check` (see helpers.py) runs an operation on the backend under test and on the reference. The
fixtures below give it shapes and memory layouts; the tests add what an operation promises besides.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnkit.backends import Backend
from nnkit.backends.contract import FORWARDS, STEP, UPDATES, Norm, Running, Update
from nnkit.backends.numpy.philox import uniform
from nnkit.dtypes import arithmetic
from nnkit.kernels.table import ACTIVATIONS, LOSSES
from tests.device import simulator
from tests.helpers import (
    LAYOUTS,
    REFERENCE,
    Check,
    assert_close,
    counters,
    master_of,
    place,
    random_array,
    with_master,
)

EMPTY = [(0, 10)]
SHAPES = [(1, 1), (5, 3), (2, 1100), (7, 33), (2100, 10), (3, 1000), (257, 129)]
CASES = [(shape, "contiguous") for shape in EMPTY + SHAPES]
CASES += [((31, 33), layout) for layout in LAYOUTS]
INNER = 19
"""Columns of x where a layer has INNER inputs."""
ALPHA = 0.3
KINDS = list(ACTIVATIONS)
TRAINABLE = [kind for kind in KINDS if ACTIVATIONS[kind].gradient is not None]
EXTREMES = np.array([0.0, -0.0, 1e-30, -1e-30, 20, -20, 1e4, -1e4, np.inf, -np.inf, np.nan])

ULPS = {"gelu_tanh": 2000}
"""Its tail, exp(-x^3 / 14), multiplies each rounding error by hundreds."""

every_kind = pytest.mark.parametrize("kind", KINDS)
every_trainable = pytest.mark.parametrize("kind", TRAINABLE)


def _name(case: tuple[tuple[int, int], str]) -> str:
    (rows, columns), layout = case
    return f"{rows}x{columns}" + ("" if layout == "contiguous" else f"-{layout}")


@pytest.fixture(params=CASES, ids=_name)
def case(request: pytest.FixtureRequest) -> tuple[tuple[int, int], str]:
    return request.param


def _cases(keep: Callable[[tuple[int, int], str], bool]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [case for case in CASES if keep(*case)], ids=_name, indirect=True
    )


losses_only = _cases(lambda shape, layout: shape not in EMPTY)
"""A mean over no rows is no number, so that losses are not asked for one."""

flat_only = _cases(lambda shape, layout: layout in ("contiguous", "offset"))
"""Optimizers work on flat buffers, which are contiguous."""


@pytest.fixture
def shape(case) -> tuple[int, int]:
    return case[0]


@pytest.fixture
def check(backend: Backend, dtype: np.dtype, case) -> Check:
    return Check(backend, dtype, case[1])


@pytest.fixture
def simple_check(backend: Backend, dtype: np.dtype) -> Check:
    return Check(backend, dtype)


def test_every_operation_has_a_conformance_test():
    """Every public method of the contract is tested by its name."""
    operations = [
        name
        for name, _ in inspect.getmembers(Backend, inspect.isfunction)
        if not name.startswith("_")
    ]
    assert len(operations) >= 25
    missing = [name for name in operations if not inspect.isfunction(globals().get(f"test_{name}"))]
    assert not missing, f"operations of the contract without a test here: {missing}"


# ---------------------------------------------------------------------------------------- arrays


def test_owns(backend):
    array = backend.empty(3, np.float32)
    assert backend.owns(array)
    assert not backend.owns([1.0, 2.0])
    assert not backend.owns(1.0)
    assert backend.owns(np.ones(3)) == (backend.xp is np)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])
def test_asarray(backend, dtype):
    host = np.arange(6).reshape(2, 3).astype(dtype)
    array = backend.asarray(host)
    assert backend.owns(array)
    assert array.dtype == dtype
    assert np.array_equal(backend.to_numpy(array), host)
    assert backend.asarray(array) is array
    assert backend.asarray(array, dtype) is array


def test_asarray_converts_and_copies_where_it_must(backend):
    host = np.arange(6, dtype=np.float64).reshape(2, 3)
    for array in (backend.asarray(host.T), backend.asarray(backend.asarray(host).T)):
        assert array.flags.c_contiguous
        assert np.array_equal(backend.to_numpy(array), host.T)
    for source in (host, backend.asarray(host)):
        assert backend.asarray(source, np.float32).dtype == np.float32
    assert backend.to_numpy(backend.asarray([[1, 2], [3, 4]], np.int32)).tolist() == [
        [1, 2],
        [3, 4],
    ]
    assert backend.asarray(2.5, np.float64).shape == ()
    assert backend.asarray(np.empty((0, 4))).shape == (0, 4)


def test_to_numpy(backend, dtype, rng):
    host = random_array(rng, (4, 5), dtype)
    for layout in ("contiguous", *LAYOUTS):
        array = backend.to_numpy(place(backend, host, layout))
        assert type(array) is np.ndarray
        assert array.dtype == dtype
        assert np.array_equal(array, host)


def test_empty(backend, dtype):
    for shape in (3, (2, 3), (0, 3), ()):
        array = backend.empty(shape, dtype)
        assert array.shape == (shape if isinstance(shape, tuple) else (shape,))
        assert array.dtype == dtype
        assert array.flags.c_contiguous


def test_zeros(backend, dtype):
    array = backend.zeros((2, 3), dtype)
    assert array.dtype == dtype
    assert np.array_equal(backend.to_numpy(array), np.zeros((2, 3)))


def test_synchronize(backend):
    array = backend.activation("relu", backend.asarray([-1.0, 2.0]))
    backend.synchronize()
    assert backend.to_numpy(array).tolist() == [0, 2]


def test_room(backend):
    assert backend.room() > 0


def test_copy_from_host(backend, dtype, rng):
    host = rng.normal(size=(5, 3)).astype(dtype)
    out = backend.empty((9, 3), dtype)
    copy = backend.copy_from_host(host, out[2:7])
    backend.wait_for(copy)
    np.testing.assert_array_equal(backend.to_numpy(out[2:7]), host)


def test_wait_for(backend, dtype):
    """Of two copies into one place, waited for in their order, the second stays."""
    out = backend.empty(3, dtype)
    for value in (1, 2):
        backend.wait_for(backend.copy_from_host(np.full(3, value, dtype), out))
    assert backend.to_numpy(out + 0).tolist() == [2, 2, 2]


def test_capture(backend, dtype, rng):
    """Replaying the step of a small network is like carrying it out, again and again.

    Whatever differs between steps comes from device memory: batch, mask, learning rate, time.
    """
    replayed, plain = (_TinyRun(backend, dtype, np.random.default_rng(7)) for _ in range(2))
    replayed.step()
    replay = backend.capture(replayed.step)
    assert backend.to_numpy(replayed.counters).tolist() == [1, 1, 1], "capturing is not doing"
    for times in (2, 0, 1):
        replay(times)
    for _ in range(4):
        plain.step()
    for name, value in replayed.results().items():
        assert_close(value, plain.results()[name], dtype, 64, what=name)
    assert len(set(replayed.results()["log"][:, 0])) == 4, "each step has its own loss"

    for run in (replayed, plain):
        run.counters[...] = backend.asarray(np.zeros(3, np.int64))
        run.lr[...] = backend.asarray(np.full(4, 0.5))
    replay(2)
    plain.step()
    plain.step()
    for name, value in replayed.results().items():
        assert_close(value, plain.results()[name], dtype, 64, what=name)


class _TinyRun:
    """A network with dropout in mini-batches, as operations on arrays made beforehand."""

    def __init__(self, backend: Backend, dtype: np.dtype, rng: np.random.Generator) -> None:
        self.backend = backend
        self.images = backend.asarray(rng.integers(0, 256, (12, 5)).astype(np.uint8))
        self.labels = backend.asarray(rng.integers(0, 4, 12).astype(np.int32))
        self.order = backend.asarray(rng.permutation(12).astype(np.int64))
        self.p = backend.asarray(random_array(rng, 24, dtype))
        self.g = backend.zeros(24, dtype)
        real = arithmetic(dtype)
        self.m, self.v, master = (backend.zeros(24, real) for _ in range(3))
        self.master = None if real == dtype else master
        self.x, self.dropped = backend.empty((3, 5), dtype), backend.empty((3, 5), dtype)
        self.t = backend.empty(3, np.int32)
        self.z, self.dz = backend.empty((3, 4), dtype), backend.empty((3, 4), dtype)
        self.lr, self.log = backend.asarray(SCHEDULE[:4]), backend.zeros((4, 2), np.float64)
        self.counters = counters(backend)

    def step(self) -> None:
        b, at = self.backend, self.counters
        weight, bias = self.p[:20].reshape(5, 4), self.p[20:]
        dweight, dbias = self.g[:20].reshape(5, 4), self.g[20:]
        b.gather(self.images, self.order, at, 3, self.x)
        b.gather(self.labels, self.order, at, 3, self.t)
        b.dropout(self.x, 0.25, 11, at, self.dropped)
        b.linear_forward("tanh", self.dropped, weight, bias, self.z, self.z)
        b.softmax_cross_entropy(self.z, self.t, self.dz, self.log, at)
        b.linear_backward(
            *("tanh", self.dz, self.dropped, weight, self.z, self.dz, dweight, dbias, None)
        )
        update = Update(self.lr, at, master=self.master)
        b.adam(self.p, self.g, self.m, self.v, update, 0.9, 0.99, 1e-4, False)
        b.advance(at, 1, 1, 1)

    def results(self) -> dict[str, np.ndarray]:
        names = ("p", "m", "v", "log", "counters")
        return {name: np.array(self.backend.to_numpy(getattr(self, name))) for name in names}


# -------------------------------------------------------------------------------------- products


def test_matmul(check, shape, rng):
    n, m = shape
    inputs = {"a": random_array(rng, (n, INNER)), "b": random_array(rng, (INNER, m))}
    check(lambda b, v: b.matmul(v.a, v.b, v.out), inputs, {"out": shape}, scale=INNER)


@pytest.mark.parametrize("left", ["contiguous", *LAYOUTS])
@pytest.mark.parametrize("right", ["contiguous", *LAYOUTS])
def test_matmul_of_views(backend, dtype, rng, left, right):
    a, b = random_array(rng, (7, 5), dtype), random_array(rng, (5, 3), dtype)
    product = backend.matmul(place(backend, a, left), place(backend, b, right))
    assert product.dtype == dtype
    assert_close(backend.to_numpy(product), a.astype(float) @ b.astype(float), dtype, scale=5)


@pytest.mark.parametrize("dtypes", ["float32 float64", "float64 float32"])
def test_matmul_of_two_dtypes(backend, dtypes, rng):
    a, b = (rng.integers(-3, 4, shape) for shape in ((2, 3), (3, 2)))
    left, right = dtypes.split()
    out = backend.zeros((2, 2), np.float64)
    got = backend.matmul(backend.asarray(a, left), backend.asarray(b, right), out)
    assert got is out
    assert backend.to_numpy(out).tolist() == (a @ b).tolist()


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), None), ((2, 3), (3, 2), (3, 3))])
def test_matmul_refuses_shapes_that_do_not_fit(backend, dtype, shapes):
    a, b, out = (None if shape is None else backend.zeros(shape, dtype) for shape in shapes)
    with pytest.raises(ValueError):
        backend.matmul(a, b, out)


def test_matmul_keeps_nan(backend, dtype):
    a = backend.asarray(np.array([[0, 1], [2, 3]]), dtype)
    b = backend.asarray(np.array([[np.nan, 1], [1, np.inf]]), dtype)
    with np.errstate(invalid="ignore"):
        product = backend.to_numpy(backend.matmul(a, b))
    assert np.array_equal(product, [[np.nan, np.inf], [np.nan, np.inf]], equal_nan=True)


def _quarters(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Make random numbers whose products and sums are exact in float32, in any order."""
    return rng.integers(-4, 5, shape) / 4


@every_kind
def test_linear_forward(check, shape, rng, kind):
    n, m = shape
    inputs = {
        "x": _quarters(rng, n, INNER),
        "weight": _quarters(rng, INNER, m),
        "bias": _quarters(rng, m),
    }
    saves_input = ACTIVATIONS[kind].saved == "x"

    def separate(b, v):
        b.linear_forward(kind, v.x, v.weight, v.bias, v.y, v.z, ALPHA)

    outputs = {"y": shape, "z": shape}
    check(separate, inputs, outputs, ulps=16, scratch=() if saves_input else ("z",))
    if not saves_input:
        check(
            lambda b, v: b.linear_forward(kind, v.x, v.weight, v.bias, v.y, v.y, ALPHA),
            inputs,
            {"y": shape},
            ulps=16,
        )


def test_linear_forward_without_bias(simple_check, rng):
    simple_check(
        lambda b, v: b.linear_forward("tanh", v.x, v.weight, None, v.y, v.y),
        {"x": random_array(rng, (5, 3)), "weight": random_array(rng, (3, 4))},
        {"y": (5, 4)},
    )


@pytest.mark.parametrize("kind", ["identity", "relu", "tanh"])
def test_linear_forward_keeps_nan(backend, dtype, kind):
    """From the product or the bias; infinity is not mistaken for it."""
    x = backend.asarray([[1, 2], [np.nan, 3]], dtype)
    weight, bias = [[1, 1, 1, 1], [2, 2, 2, -9]], [np.nan, -np.inf, np.inf, 1]
    y = backend.empty((2, 4), dtype)
    backend.linear_forward(
        kind, x, backend.asarray(weight, dtype), backend.asarray(bias, dtype), y, y
    )
    expected = {
        "identity": [np.nan, -np.inf, np.inf, -16],
        "relu": [np.nan, 0, np.inf, 0],
        "tanh": [np.nan, -1, 1, -1],
    }
    np.testing.assert_allclose(backend.to_numpy(y), [expected[kind], [np.nan] * 4])


def _saved(kind: str, x: np.ndarray) -> np.ndarray:
    """Return what the gradient of `kind` is computed from, for random x."""
    if ACTIVATIONS[kind].saved == "x":
        return x
    with np.errstate(invalid="ignore"):
        return REFERENCE.activation(kind, x, alpha=ALPHA)


@every_trainable
def test_linear_backward(check, shape, rng, kind):
    n, m = shape
    inputs = {
        "dy": random_array(rng, shape),
        "x": random_array(rng, (n, INNER)),
        "weight": random_array(rng, (INNER, m)),
        "saved": _saved(kind, random_array(rng, shape)),
    }
    outputs = {"dz": shape, "dweight": (INNER, m), "dbias": (m,), "dx": (n, INNER)}
    check(
        lambda b, v: b.linear_backward(
            kind, v.dy, v.x, v.weight, v.saved, v.dz, v.dweight, v.dbias, v.dx, ALPHA
        ),
        inputs,
        outputs,
        scale={"dweight": max(n, 1), "dbias": max(n, 1), "dx": m},
        scratch=("dz",) if kind == "identity" else (),
    )


@pytest.mark.parametrize("wanted", [("dbias", "dx"), ("dbias",), ("dx",)], ids=str)
def test_linear_backward_without_activation(simple_check, rng, wanted):
    """dy is dz, and stays as it is."""
    arrays = ("dy", (5, 4)), ("x", (5, 3)), ("weight", (3, 4))
    sizes = {"dbias": (4,), "dx": (5, 3)}
    outputs = {name: sizes[name] for name in wanted}

    def run(b, v):
        dbias, dx = getattr(v, "dbias", None), getattr(v, "dx", None)
        b.linear_backward("identity", v.dy, v.x, v.weight, v.dy, v.dy, v.dweight, dbias, dx)

    inputs = {name: random_array(rng, size) for name, size in arrays}
    simple_check(run, inputs, {"dweight": (3, 4)} | outputs, scale=5)


def test_linear_backward_of_the_first_layer(simple_check, rng):
    arrays = ("dy", (5, 4)), ("x", (5, 3)), ("weight", (3, 4)), ("saved", (5, 4))
    simple_check(
        lambda b, v: b.linear_backward(
            "relu", v.dy, v.x, v.weight, v.saved, v.dz, v.dweight, None, None
        ),
        {name: random_array(rng, size) for name, size in arrays},
        {"dz": (5, 4), "dweight": (3, 4)},
    )


@every_trainable
def test_linear_backward_equals_central_differences(backend, rng, kind):
    host = {
        "x": random_array(rng, (4, 3)),
        "weight": random_array(rng, (3, 5)),
        "bias": random_array(rng, 5),
    }
    dy = random_array(rng, (4, 5))

    def forward(x, weight, bias):
        z, y = backend.empty((4, 5), np.float64), backend.empty((4, 5), np.float64)
        backend.linear_forward(kind, *map(backend.asarray, (x, weight, bias)), y, z, ALPHA)
        return y, z

    y, z = forward(**host)
    gradients = {name: backend.empty(value.shape, np.float64) for name, value in host.items()}
    backend.linear_backward(
        kind,
        backend.asarray(dy),
        backend.asarray(host["x"]),
        backend.asarray(host["weight"]),
        z if ACTIVATIONS[kind].saved == "x" else y,
        backend.empty((4, 5), np.float64),
        gradients["weight"],
        gradients["bias"],
        gradients["x"],
        ALPHA,
    )
    for name, gradient in gradients.items():
        numeric = central_difference(
            lambda value, name=name: (
                backend.to_numpy(forward(**(host | {name: value}))[0]) * dy
            ).sum(),
            host[name],
        )
        np.testing.assert_allclose(backend.to_numpy(gradient), numeric, rtol=1e-6, atol=1e-7)


def central_difference(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Gradient of a scalar function at x, one element at a time."""
    gradient = np.empty_like(x)
    h = 1e-6
    for place_ in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place_] += h
        down[place_] -= h
        gradient[place_] = (f(up) - f(down)) / (up[place_] - down[place_])
    return gradient


# ----------------------------------------------------------------------------------- activations


def _away_from_kinks(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 0.1, 0.5, x)


@every_kind
def test_bias_activation(check, shape, rng, kind):
    inputs, z = {"bias": _quarters(rng, shape[1])}, 2 * _quarters(rng, *shape)
    saves_input = ACTIVATIONS[kind].saved == "x"
    check(
        lambda b, v: b.bias_activation(kind, v.z, v.bias, v.y, ALPHA),
        inputs,
        {"z": z, "y": shape},
        ulps=16,
        scratch=() if saves_input else ("z",),
    )
    if not saves_input:
        check(
            lambda b, v: b.bias_activation(kind, v.y, v.bias, v.y, ALPHA),
            inputs,
            {"y": z},
            ulps=16,
        )


@every_kind
def test_bias_activation_without_bias(simple_check, rng, kind):
    simple_check(
        lambda b, v: b.bias_activation(kind, v.z, None, v.y, ALPHA),
        {},
        {"z": random_array(rng, (7, 5)), "y": (7, 5)},
        ulps=16,
        scratch=("z",),
    )


@every_trainable
def test_bias_activation_backward(check, shape, rng, kind):
    dy, saved = random_array(rng, shape), _saved(kind, random_array(rng, shape))
    scale = {"dbias": max(shape[0], 1)}
    check(
        lambda b, v: b.bias_activation_backward(kind, v.dy, v.saved, v.dz, v.dbias, ALPHA),
        {"dy": dy, "saved": saved},
        {"dz": shape, "dbias": shape[1:]},
        scale=scale,
    )
    check(
        lambda b, v: b.bias_activation_backward(kind, v.dz, v.saved, v.dz, v.dbias, ALPHA),
        {"saved": saved},
        {"dz": dy, "dbias": shape[1:]},
        scale=scale,
    )
    check(
        lambda b, v: b.bias_activation_backward(kind, v.dy, v.saved, v.dz, None, ALPHA),
        {"dy": dy, "saved": saved},
        {"dz": shape},
    )


@every_kind
def test_activation(check, shape, rng, kind):
    """The error is relative: tiny values count as much as large ones."""
    check(
        lambda b, v: b.activation(kind, v.x, v.y, ALPHA),
        {"x": random_array(rng, shape) * 4},
        {"y": shape},
        ulps=ULPS.get(kind, 24),
        scale=0,
    )


@every_kind
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4), (2, 0, 4)], ids=str)
def test_activation_of_any_shape(simple_check, rng, kind, shape):
    simple_check(
        lambda b, v: b.activation(kind, v.x, v.y, ALPHA),
        {"x": np.asarray(random_array(rng, shape))},
        {"y": shape},
        ulps=24,
    )


@every_kind
def test_activation_at_extremes(simple_check, kind):
    with np.errstate(invalid="ignore"):
        values = simple_check(
            lambda b, v: b.activation(kind, v.x, v.y, ALPHA),
            {"x": EXTREMES},
            {"y": EXTREMES.shape},
            scale=0,
            ulps=ULPS.get(kind, 24),
        )["y"]
    assert np.isnan(values[-1]), "NaN in, NaN out"


@pytest.mark.parametrize(
    ("kind", "x", "y"),
    [
        ("sigmoid", [1e4, -1e4, np.inf, -np.inf, 0], [1, 0, 1, 0, 0.5]),
        ("tanh", [1e4, -1e4, np.inf, -np.inf, 0], [1, -1, 1, -1, 0]),
        ("relu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("step", [1e-30, -1e4, np.inf, -np.inf, 0], [1, 0, 1, 0, 0]),
        ("identity", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, -1e4, np.inf, -np.inf, 0]),
        ("elu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, -1, np.inf, -1, 0]),
        ("gelu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("gelu_tanh", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("softplus", [1e4, -1e4, np.inf, -np.inf], [1e4, 0, np.inf, 0]),
        ("softsign", [1.0, -1.0, np.inf, -np.inf, 0], [0.5, -0.5, 1, -1, 0]),
        ("silu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("hard_sigmoid", [3, -3, np.inf, -np.inf, 0], [1, 0, 1, 0, 0.5]),
        ("exponential", [1e4, -1e4, np.inf, -np.inf, 0], [np.inf, 0, np.inf, 0, 1]),
    ],
)
def test_activation_is_exact_at_its_ends(backend, dtype, kind, x, y):
    values = backend.to_numpy(backend.activation(kind, backend.asarray(x, dtype), alpha=1.0))
    assert values.tolist() == y


@every_trainable
def test_activation_backward(check, shape, rng, kind):
    check(
        lambda b, v: b.activation_backward(kind, v.dy, v.saved, v.dx, ALPHA),
        {"dy": random_array(rng, shape), "saved": _saved(kind, random_array(rng, shape))},
        {"dx": shape},
    )


@every_trainable
def test_activation_backward_at_extremes(simple_check, kind):
    """Also where the gradient itself is infinite or NaN: masks hide it, the others multiply."""
    x = np.concatenate([EXTREMES, EXTREMES, [0.5, -0.5]])
    dy = np.repeat([1, np.nan, -np.inf], [EXTREMES.size, EXTREMES.size, 2])
    with np.errstate(invalid="ignore", over="ignore"):
        dx = simple_check(
            lambda b, v: b.activation_backward(kind, v.dy, v.saved, v.dx, ALPHA),
            {"dy": dy, "saved": _saved(kind, x)},
            {"dx": dy.shape},
        )["dx"]
    assert np.isnan(dx[EXTREMES.size + 2]), "a NaN gradient stays NaN"


def test_activation_backward_of_relu_is_a_mask(backend, dtype):
    dy = backend.asarray([1.0, 2.0, -np.inf, np.nan, np.inf], dtype)
    y = backend.asarray([1.0, 0.0, 0.0, 0.0, 1e-30], dtype)
    dx = backend.activation_backward("relu", dy, y)
    assert backend.to_numpy(dx).tolist() == [1, 0, 0, 0, np.inf]


@every_trainable
def test_activation_backward_equals_central_differences(backend, rng, kind):
    x, h = _away_from_kinks(random_array(rng, (5, 7))), 1e-6
    dy = random_array(rng, (5, 7))

    def f(values):
        return backend.to_numpy(backend.activation(kind, backend.asarray(values), alpha=ALPHA))

    saved = x if ACTIVATIONS[kind].saved == "x" else f(x)
    dx = backend.activation_backward(kind, backend.asarray(dy), backend.asarray(saved), alpha=ALPHA)
    numeric = dy * (f(x + h) - f(x - h)) / ((x + h) - (x - h))
    np.testing.assert_allclose(backend.to_numpy(dx), numeric, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in TRAINABLE])
def test_activation_backward_refuses_what_has_no_gradient(backend, kind):
    array = backend.zeros(3, np.float32)
    with pytest.raises(ValueError, match=f"{kind!r} has no gradient"):
        backend.activation_backward(kind, array, array)


def test_bias_gradient(check, shape, rng):
    check(
        lambda b, v: b.bias_gradient(v.dy, v.dbias),
        {"dy": random_array(rng, shape)},
        {"dbias": shape[1:]},
        scale=max(shape[0], 1),
    )


def test_bias_gradient_keeps_nan(backend, dtype):
    dbias = backend.empty(3, dtype)
    backend.bias_gradient(backend.asarray([[1, np.nan, np.inf], [2, 3, 4]], dtype), dbias)
    assert np.array_equal(backend.to_numpy(dbias), [3, np.nan, np.inf], equal_nan=True)


# ------------------------------------------------------------------------------ PReLU and maxout


@pytest.mark.parametrize("shared", [True, False])
def test_prelu(check, shape, rng, shared):
    slopes = random_array(rng, 1 if shared else shape[1])
    check(
        lambda b, v: b.prelu(v.x, v.slope, v.y),
        {"x": random_array(rng, shape), "slope": slopes},
        {"y": shape},
    )


@pytest.mark.parametrize("shared", [True, False])
def test_prelu_backward(check, shape, rng, shared):
    slopes = random_array(rng, 1 if shared else shape[1])
    check(
        lambda b, v: b.prelu_backward(v.dy, v.x, v.slope, v.dx, v.dslope),
        {"dy": random_array(rng, shape), "x": random_array(rng, shape), "slope": slopes},
        {"dx": shape, "dslope": slopes.shape},
        scale={"dslope": max(shape[0] * (shape[1] if shared else 1), 1)},
    )


def test_prelu_of_any_shape_and_at_extremes(simple_check):
    x = np.array([[[np.inf, -np.inf]], [[np.nan, -0.0]], [[1e4, -1e4]]])
    inputs = {"x": x, "slope": np.array([0.25])}
    y = simple_check(lambda b, v: b.prelu(v.x, v.slope, v.y), inputs, {"y": x.shape}, scale=0)["y"]
    want = [np.inf, -np.inf, np.nan, 0, 1e4, -2500]
    assert np.array_equal(y.ravel(), want, equal_nan=True)
    got = simple_check(
        lambda b, v: b.prelu_backward(v.dy, v.x, v.slope, v.dx, v.dslope),
        {"dy": np.ones_like(x), **inputs},
        {"dx": x.shape, "dslope": (1,)},
    )
    assert got["dx"].ravel().tolist() == [1, 0.25, 0.25, 0.25, 1, 0.25]
    assert np.isnan(got["dslope"][0])


@pytest.mark.parametrize("pieces", [2, 5])
def test_maxout(check, shape, rng, pieces):
    n, m = shape
    inputs = {"z": _quarters(rng, n, pieces * m), "bias": _quarters(rng, pieces * m)}
    outputs = {"y": shape, "piece": np.full(shape, -7, np.int32)}
    check(lambda b, v: b.maxout(v.z, v.bias, v.y, v.piece), inputs, outputs, ulps=0)


def test_maxout_of_nan(simple_check):
    got = simple_check(
        lambda b, v: b.maxout(v.z, v.bias, v.y, v.piece),
        {"z": np.array([[1.0, np.nan, 0, 7, np.nan, 2, 9, -np.inf, np.inf]]), "bias": np.zeros(9)},
        {"y": (1, 3), "piece": np.full((1, 3), -7, np.int32)},
    )
    assert np.array_equal(got["y"], [[9, np.nan, np.inf]], equal_nan=True)
    assert got["piece"].tolist() == [[2, 0, 2]]


@pytest.mark.parametrize("pieces", [2, 5])
def test_maxout_backward(check, shape, rng, pieces):
    piece = rng.integers(0, pieces, shape).astype(np.int32)
    check(
        lambda b, v: b.maxout_backward(v.dy, v.piece, v.dz),
        {"dy": random_array(rng, shape), "piece": piece},
        {"dz": (shape[0], pieces * shape[1])},
        ulps=0,
    )


# ------------------------------------------------------------------------------------ containers


def test_add(check, shape, rng):
    inputs = {"a": random_array(rng, shape), "b": random_array(rng, shape)}
    check(lambda b, v: b.add(v.a, v.b, v.out), inputs, {"out": shape}, ulps=1)


def test_add_in_place(check, shape, rng):
    x, out = random_array(rng, (2, *shape))
    for call in (lambda b, v: b.add(v.out, v.x, v.out), lambda b, v: b.add(v.x, v.out, v.out)):
        check(call, {"x": x}, {"out": out}, ulps=1)
    check(lambda b, v: b.add(v.out, v.out, v.out), {}, {"out": out}, ulps=0)


@pytest.mark.parametrize("shape", [(5,), (4, 3, 7), (2, 3, 4, 8), (2, 0, 3)])
@pytest.mark.parametrize("layout", ["contiguous", *LAYOUTS])
def test_add_of_any_shape(backend, dtype, rng, shape, layout):
    inputs = {"a": random_array(rng, shape), "b": random_array(rng, shape)}
    check = Check(backend, dtype, layout)
    check(lambda b, v: b.add(v.a, v.b, v.out), inputs, {"out": shape}, ulps=1)


def test_add_at_extremes(simple_check):
    a, b = np.meshgrid(EXTREMES, EXTREMES)
    with np.errstate(invalid="ignore"):
        simple_check(
            lambda x, v: x.add(v.a, v.b, v.out), {"a": a, "b": b}, {"out": a.shape}, ulps=1
        )


columns_of_a_wider_matrix = pytest.mark.parametrize(
    ("first", "beyond"), [(0, 0), (0, 5), (3, 0), (8, 16)]
)
"""Columns before and beyond those that are put or taken."""


@columns_of_a_wider_matrix
def test_put_columns(check, shape, rng, first, beyond):
    wide = random_array(rng, (shape[0], first + shape[1] + beyond))
    inputs = {"x": random_array(rng, shape)}
    check(lambda b, v: b.put_columns(v.x, first, v.out), inputs, {"out": wide}, ulps=0)


@columns_of_a_wider_matrix
def test_take_columns(check, shape, rng, first, beyond):
    inputs = {"x": random_array(rng, (shape[0], first + shape[1] + beyond))}
    check(lambda b, v: b.take_columns(v.x, first, v.out), inputs, {"out": shape}, ulps=0)


@pytest.mark.parametrize("narrow", [(3,), (4, 3, 8), (2, 3, 4, 1), (2, 0, 3), (2, 3, 0)])
@pytest.mark.parametrize("layout", ["contiguous", *LAYOUTS])
def test_columns_of_any_shape(backend, dtype, rng, narrow, layout):
    """Columns are those of the last axis."""
    wide, check = (*narrow[:-1], narrow[-1] + 12), Check(backend, dtype, layout)
    x, before = random_array(rng, narrow), random_array(rng, wide)
    got = check(lambda b, v: b.put_columns(v.x, 4, v.out), {"x": x}, {"out": before}, ulps=0)
    last = 4 + narrow[-1]
    assert got["out"][..., 4:last].tobytes() == x.astype(dtype).tobytes()
    check(lambda b, v: b.take_columns(v.x, 4, v.out), {"x": before}, {"out": narrow}, ulps=0)


def test_columns_that_were_put_are_taken_to_the_bit(backend, dtype):
    """Copies are of bits, NaN's too."""
    x = np.array([EXTREMES, EXTREMES[::-1]], dtype)
    wide, taken = backend.zeros((2, 17), dtype), backend.empty(x.shape, dtype)
    backend.put_columns(backend.asarray(x), 5, wide)
    backend.take_columns(wide, 5, taken)
    assert backend.to_numpy(taken).tobytes() == x.tobytes()
    beside = np.delete(backend.to_numpy(wide), np.s_[5:16], axis=1)
    assert not beside.any()


def test_capture_of_containers(backend, dtype, rng):
    """What joins branches is captured, on arrays of three axes too."""
    shape = (2, 3, 5)
    arrays_ = [backend.asarray(random_array(rng, shape, dtype)) for _ in range(2)]
    total, wide, part = (backend.zeros((*shape[:2], m), dtype) for m in (5, 10, 5))

    def step() -> None:
        backend.add(*arrays_, total)
        backend.put_columns(arrays_[0], 0, wide)
        backend.put_columns(total, 5, wide)
        backend.take_columns(wide, 3, part)
        backend.add(arrays_[1], part, arrays_[1])

    def results() -> list[bytes]:
        return [backend.to_numpy(x).tobytes() for x in (*arrays_, total, wide, part)]

    before = [np.array(backend.to_numpy(x)) for x in arrays_]
    step()
    replay = backend.capture(step)
    replay(2)
    captured = results()
    for array, host in zip(arrays_, before, strict=True):
        array[...] = backend.asarray(host)
    for _ in range(3):
        step()
    assert results() == captured


# --------------------------------------------------------------------------------------- softmax


def test_softmax(check, shape, rng):
    y = check(
        lambda b, v: b.softmax(v.x, v.y),
        {"x": random_array(rng, shape) * 4},
        {"y": shape},
        ulps=32,
        scale=0,
    )["y"]
    assert_close(y.sum(axis=1), np.ones(len(y)), y.dtype)


def test_softmax_backward(check, shape, rng):
    probabilities = np.exp(random_array(rng, shape))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    check(
        lambda b, v: b.softmax_backward(v.dy, v.y, v.dx),
        {"dy": random_array(rng, shape), "y": probabilities},
        {"dx": shape},
    )


def test_log_softmax_backward(check, shape, rng):
    check(
        lambda b, v: b.log_softmax_backward(v.dy, v.y, v.dx),
        {"dy": random_array(rng, shape), "y": REFERENCE.log_softmax(random_array(rng, shape))},
        {"dx": shape},
        scale=4,
    )


def test_log_softmax_backward_of_impossible_classes(simple_check):
    """Where y is -inf the softmax is 0 and the gradient dy."""
    got = simple_check(
        lambda b, v: b.log_softmax_backward(v.dy, v.y, v.dx),
        {"dy": np.array([[1.0, 2, 3]]), "y": np.array([[-np.inf, 0, -1e4]])},
        {"dx": (1, 3)},
    )
    assert got["dx"].tolist() == [[1, -4, 3]]


@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_softmax_gradient_equals_central_differences(backend, rng, operation):
    x, dy = random_array(rng, (3, 4)), random_array(rng, (3, 4))

    def f(values):
        return backend.to_numpy(getattr(backend, operation)(backend.asarray(values)))

    backward = getattr(backend, f"{operation}_backward")
    dx = backward(backend.asarray(dy), backend.asarray(f(x)))
    numeric = central_difference(lambda values: (f(values) * dy).sum(), x)
    np.testing.assert_allclose(backend.to_numpy(dx), numeric, rtol=1e-7, atol=1e-9)


def test_log_softmax(check, shape, rng):
    check(
        lambda b, v: b.log_softmax(v.x, v.y),
        {"x": random_array(rng, shape) * 4},
        {"y": shape},
        ulps=16,
    )


ROWS = np.array(
    [
        [1e4, -1e4, 0],
        [-1e4, -1e4, -1e4],
        [1e4, 1e4, 1e4],
        [-1000, 1, 1],
        [1.5e38, -1.5e38, 0],
        [-np.inf, 0, 0],
        [1, 2, 3],
        [np.inf, 0, 0],
        [np.nan, 0, 0],
        [0, 0, np.nan],
        [1, 2, 3],
    ]
)
BROKEN = [7, 8, 9]
"""Rows with +inf or NaN."""


@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_softmax_at_extremes(simple_check, operation):
    with np.errstate(all="ignore"):
        y = simple_check(
            lambda b, v: getattr(b, operation)(v.x, v.y), {"x": ROWS}, {"y": ROWS.shape}, ulps=16
        )["y"]
    assert np.isnan(y[BROKEN]).all()
    assert not np.isnan(np.delete(y, BROKEN, axis=0)).any(), "a row concerns no other row"


logits = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 9)),
    elements=st.floats(-1e4, 1e4, allow_subnormal=False),
)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(x=logits, shift=st.floats(-1e4, 1e4))
def test_softmax_properties(backend, x, shift):
    y, log_y = (
        backend.to_numpy(f(backend.asarray(x))) for f in (backend.softmax, backend.log_softmax)
    )
    shifted = backend.to_numpy(backend.softmax(backend.asarray(x + shift)))
    assert ((y >= 0) & (y <= 1)).all()
    assert (log_y <= 0).all()
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(shifted, y, atol=1e-10)
    np.testing.assert_allclose(np.exp(log_y), y, atol=1e-11)
    rows = np.arange(len(x))
    assert (y[rows, x.argmax(axis=1)] == y.max(axis=1)).all()


# --------------------------------------------------------------------------------- normalization

EPS = 1e-5
two_rows = _cases(lambda shape, layout: shape[0] > 1)
"""A batch of one row has no variance."""


def _normalization_inputs(
    rng: np.random.Generator, shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    m = shape[1]
    inputs = {name: random_array(rng, m) for name in ("gamma", "beta", "mean")}
    inputs |= {"x": random_array(rng, shape), "dy": random_array(rng, shape)}
    return inputs | {"var": rng.random(m) + 0.1}


def _norm(v: SimpleNamespace) -> Norm:
    return Norm(v.gamma, v.beta, EPS)


def _pick(arrays_: dict[str, np.ndarray], names: str) -> dict[str, np.ndarray]:
    return {name: arrays_[name] for name in names.split()}


@two_rows
def test_batch_norm_forward(check, shape, rng):
    m = shape[1]
    inputs = _pick(_normalization_inputs(rng, shape), "x gamma beta")
    largest = 1 / np.sqrt(inputs["x"].var(axis=0) + EPS).min()
    check(
        lambda b, v: b.batch_norm_forward(
            *(v.x, _norm(v), Running(v.running_mean, v.running_var, 0.3), v.mean, v.var, v.y)
        ),
        inputs,
        {
            "running_mean": random_array(rng, m),
            "running_var": rng.random(m),
            "mean": (m,),
            "var": (m,),
            "y": shape,
        },
        scale={"y": largest},
    )


def test_batch_norm_inference(check, shape, rng):
    check(
        lambda b, v: b.batch_norm_inference(v.x, _norm(v), v.mean, v.var, v.y),
        _pick(_normalization_inputs(rng, shape), "x gamma beta mean var"),
        {"y": shape},
        ulps=16,
        scale=4,
    )


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_batch_norm_backward(check, shape, rng, batch_statistics):
    n, m = shape
    check(
        lambda b, v: b.batch_norm_backward(
            *(v.dy, v.x, _norm(v), v.mean, v.var, v.dgamma, v.dbeta, v.dx, batch_statistics)
        ),
        _pick(_normalization_inputs(rng, shape), "dy x gamma beta mean var"),
        {"dgamma": (m,), "dbeta": (m,), "dx": shape},
        ulps=16,
        scale={"dgamma": 4 * max(n, 1), "dbeta": max(n, 1), "dx": 16},
    )


def test_layer_norm_forward(check, shape, rng):
    inputs = _pick(_normalization_inputs(rng, shape), "x gamma beta")
    largest = 1 / np.sqrt(inputs["x"].var(axis=1) + EPS).min(initial=1)
    check(
        lambda b, v: b.layer_norm_forward(v.x, _norm(v), v.mean, v.inv_std, v.y),
        inputs,
        {"mean": shape[:1], "inv_std": shape[:1], "y": shape},
        scale={"inv_std": largest**2, "y": largest},
    )


def test_layer_norm_backward(check, shape, rng):
    n, m = shape
    inputs = _pick(_normalization_inputs(rng, shape), "dy x gamma beta")
    inputs |= {"mean": random_array(rng, n), "inv_std": rng.random(n) + 0.1}
    check(
        lambda b, v: b.layer_norm_backward(
            v.dy, v.x, _norm(v), v.mean, v.inv_std, v.dgamma, v.dbeta, v.dx
        ),
        inputs,
        {"dgamma": (m,), "dbeta": (m,), "dx": shape},
        ulps=16,
        scale={"dgamma": 4 * max(n, 1), "dbeta": max(n, 1), "dx": 16},
    )


@pytest.mark.parametrize("shape", [(300, 7), (7, 300)])
def test_normalization_far_from_zero(backend, dtype, rng, shape):
    """Mean 1e4 and deviation 1: a variance from ``mean(x**2) - mean(x)**2`` would be noise."""
    n, m = shape
    x = (1e4 + random_array(rng, shape)).astype(dtype)
    exact = x.astype(np.float64) - 1e4
    near = (4 if dtype == np.float32 else 32) * 1e4 * np.finfo(dtype).eps
    # A few ulps of x: float32 is added up more precisely than it is stored, float64 is not.

    one, zero = backend.asarray(np.ones(m, dtype)), backend.asarray(np.zeros(m, dtype))
    norm = Norm(one, zero, 1e-5)
    y, mean, var = (backend.empty(s, dtype) for s in (shape, m, m))
    running = Running(backend.zeros(m, dtype), backend.zeros(m, dtype), 1.0)
    backend.batch_norm_forward(backend.asarray(x), norm, running, mean, var, y)
    rms = np.sqrt(exact.var(axis=0) + 1e-5)
    want = (exact - exact.mean(axis=0)) / rms
    np.testing.assert_allclose(backend.to_numpy(y), want, rtol=0, atol=near / rms.min())
    assert_close(backend.to_numpy(var), exact.var(axis=0), dtype, ulps=32, scale=0)
    assert_close(backend.to_numpy(running.var), exact.var(axis=0, ddof=1), dtype, ulps=32, scale=0)
    assert_close(backend.to_numpy(mean), 1e4 + exact.mean(axis=0), dtype, ulps=8, scale=0)

    mean, inv_std = backend.empty(n, dtype), backend.empty(n, dtype)
    backend.layer_norm_forward(backend.asarray(x), norm, mean, inv_std, y)
    rms = np.sqrt(exact.var(axis=1, keepdims=True) + 1e-5)
    want = (exact - exact.mean(axis=1, keepdims=True)) / rms
    np.testing.assert_allclose(backend.to_numpy(y), want, rtol=0, atol=near / rms.min())
    assert_close(backend.to_numpy(inv_std), 1 / rms[:, 0], dtype, ulps=64, scale=0)


@pytest.mark.parametrize("columns", [5, 133, 1501])
def test_layer_norm_backward_of_large_numbers(backend, rng, columns):
    """What lies beyond the end of a row may not become 0 times infinity."""
    host = np.full((2, columns), 1e36), rng.standard_normal((2, columns)), np.ones(columns)
    x, dy, gamma = (backend.asarray(array, np.float32) for array in host)
    mean, inv_std = (backend.asarray(np.full(2, value), np.float32) for value in (1e36, 1e3))
    dgamma, dbeta = (backend.zeros(columns, np.float32) for _ in range(2))
    dx = backend.zeros(x.shape, np.float32)
    norm = Norm(gamma, gamma, EPS)
    backend.layer_norm_backward(dy, x, norm, mean, inv_std, dgamma, dbeta, dx)
    want = 1e3 * (host[1] - host[1].mean(axis=1, keepdims=True))
    assert_close(backend.to_numpy(dx), want, np.float32, 32, scale=1e3)


def test_normalization_keeps_nan_where_it_is(backend, dtype, rng):
    x = random_array(rng, (40, 9), dtype)
    x[3, 4], x[30, 6] = np.nan, np.inf
    norm = Norm(*(backend.asarray(np.ones(9, dtype)) for _ in range(2)), EPS)
    real = arithmetic(dtype)
    *averages, mean, var = (backend.asarray(np.ones(9, real)) for _ in range(4))
    y, rows = backend.empty((40, 9), dtype), [backend.empty(40, real) for _ in range(2)]
    backend.batch_norm_forward(backend.asarray(x), norm, Running(*averages, 0.1), mean, var, y)
    assert np.flatnonzero(np.isnan(backend.to_numpy(y)).any(axis=0)).tolist() == [4, 6]
    backend.layer_norm_forward(backend.asarray(x), norm, *rows, y)
    assert np.flatnonzero(np.isnan(backend.to_numpy(y)).any(axis=1)).tolist() == [3, 30]


# ---------------------------------------------------------------------------------------- losses

LOG = np.full((4, 2), -7.0)
"""A log of four steps, of which a loss may write its own only."""


def _check_loss(check, call, z, target, **options):
    """Check a loss that is called as ``call(backend, z, target, dz, log, counters)``."""
    got = check(
        lambda b, v: call(b, v.z, v.target, v.dz, v.log, counters(b, 2, 5, 9)),
        {"z": z, "target": target},
        {"dz": z.shape, "log": LOG},
        **options,
    )
    assert (np.delete(got["log"], 2, axis=0) == -7).all(), "wrote the log of another step"
    return got


def _softmax_loss(backend, *arrays_):
    backend.softmax_cross_entropy(*arrays_)


def _categorical(backend, *arrays_):
    backend.categorical_cross_entropy(*arrays_, 0.01)


def _elementwise(kind):
    return lambda backend, *arrays_: backend.elementwise_loss(kind, *arrays_, ALPHA)


@losses_only
def test_softmax_cross_entropy(check, shape, rng):
    n, m = shape
    z, scale = random_array(rng, shape) * 3, {"dz": 1 / n, "log": np.sqrt(n)}
    labels = rng.integers(0, m, n).astype(np.int32)
    soft = rng.random(shape) + 0.01
    soft /= soft.sum(axis=1, keepdims=True)
    by_label = _check_loss(check, _softmax_loss, z, labels, ulps=16, scale=scale)
    one_hot = np.eye(m)[labels]
    by_row = _check_loss(check, _softmax_loss, z, one_hot, ulps=16, scale=scale)
    for name, value in by_label.items():
        assert_close(by_row[name], value, check.dtype, 16, scale.get(name, 1), name)
    _check_loss(check, _softmax_loss, z, soft, ulps=16, scale=scale)


def test_softmax_cross_entropy_by_hand(backend, dtype):
    """Two rows of equal logits cost log 2 each; the first of equals is the prediction."""
    z, dz = backend.zeros((2, 2), dtype), backend.empty((2, 2), dtype)
    log = backend.zeros((1, 2), np.float64)
    labels = backend.asarray([0, 1], np.int32)
    backend.softmax_cross_entropy(z, labels, dz, log, counters(backend))
    assert backend.to_numpy(dz).tolist() == [[-0.25, 0.25], [0.25, -0.25]]
    loss, correct = backend.to_numpy(log)[0]
    assert_close(loss, np.log(2), dtype)
    assert correct == 1


def test_softmax_cross_entropy_counts_the_first_of_equals(simple_check):
    z = np.array([[1.0, 3, 3], [3, 1, 3], [2, 2, 2], [0, 1, 2]])
    labels = np.array([1, 2, 0, 2], np.int32)
    ties = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0, 0.5, 0.5], [0.4, 0.3, 0.3]])
    for target, correct in [(labels, 3), (np.eye(3)[labels], 3), (ties, 2)]:
        log = _check_loss(simple_check, _softmax_loss, z, target)["log"]
        assert log[2, 1] == correct


def test_softmax_cross_entropy_at_extremes(simple_check):
    """A class with a logit of -inf is impossible; where its target is 0 that costs nothing."""
    z = np.array([[1e4, -1e4, 0], [-1000, 1, 1], [-np.inf, 0, 0], [0, -np.inf, -np.inf]])
    labels = np.array([1, 2, 1, 0], np.int32)
    for target in (labels, np.eye(3)[labels]):
        with np.errstate(all="ignore"):
            got = _check_loss(simple_check, _softmax_loss, z, target)
        assert np.isfinite(got["dz"]).all()
        assert np.isfinite(got["log"]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_softmax_cross_entropy_never_hides_nan(simple_check, bad):
    z = np.array([[1.0, 2, 3], [0, bad, 1], [3, 2, 1]])
    labels = np.array([2, 0, 0], np.int32)
    for target in (labels, np.eye(3)[labels]):
        with np.errstate(invalid="ignore"):
            got = _check_loss(simple_check, _softmax_loss, z, target, scratch=("log",))
        assert np.isnan(got["log"][2, 0])
        assert np.isnan(got["dz"][1]).all()
        assert np.isfinite(got["dz"][[0, 2]]).all()


def test_softmax_cross_entropy_of_an_impossible_label_is_infinite(simple_check):
    z, labels = np.array([[-np.inf, 0.0], [1, 2]]), np.array([0, 1], np.int32)
    with np.errstate(all="ignore"):
        got = _check_loss(simple_check, _softmax_loss, z, labels)
    assert got["log"][2, 0] == np.inf


@losses_only
def test_categorical_cross_entropy(check, shape, rng):
    n, m = shape
    y, soft = rng.random((2, *shape)) + 0.1
    for target in (np.eye(m)[rng.integers(0, m, n)], soft / soft.sum(axis=1, keepdims=True)):
        _check_loss(
            check,
            _categorical,
            y / y.sum(axis=1, keepdims=True),
            target,
            ulps=16,
            scale={"dz": 1 / n, "log": np.sqrt(n)},
        )


def test_categorical_cross_entropy_by_hand(backend, dtype):
    """The first of equals is the prediction; a probability of 0 costs no more than log(delta)."""
    y = backend.asarray([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]], dtype)
    target = backend.asarray([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype)
    dy, log = backend.empty((3, 2), dtype), backend.zeros((1, 2), np.float64)
    backend.categorical_cross_entropy(y, target, dy, log, counters(backend), 1e-4)
    loss, correct = backend.to_numpy(log)[0]
    assert_close(loss, -(2 * np.log(0.5001) + np.log(1e-4)) / 3, dtype)
    assert correct == 1
    want = [[-1 / 0.5001, 0], [0, -1 / 0.5001], [0, -1e4]]
    assert_close(backend.to_numpy(dy), np.array(want) / 3, dtype)


def test_categorical_cross_entropy_keeps_nan(simple_check):
    y, target = np.array([[0.5, np.nan], [0.5, 0.5]]), np.eye(2)[::-1]
    with np.errstate(invalid="ignore"):
        got = _check_loss(simple_check, _categorical, y, target, scratch=("log",))
    assert np.isnan(got["log"][2, 0])


@pytest.mark.parametrize("columns", [3, 41, 301, 1501])
@pytest.mark.parametrize("loss", [_softmax_loss, _categorical])
def test_answers_are_counted_for_negative_targets(simple_check, rng, loss, columns):
    """What lies beyond the end of a row, where a wide access reads on, is no class."""
    y, target = rng.random((6, columns)) + 0.1, rng.random((6, columns)) - 2
    target[[0, 2, 5], y[[0, 2, 5]].argmax(axis=1)] = -0.5
    log = _check_loss(simple_check, loss, y, target, ulps=32, scale={"log": columns})["log"]
    assert log[2, 1] == 3


every_loss = pytest.mark.parametrize("kind", LOSSES)


def _elementwise_arrays(rng, kind, shape):
    """Outputs and targets of the kind that a loss is for."""
    if kind == "binary_cross_entropy":
        return rng.uniform(0.05, 0.95, shape), rng.random(shape)
    if kind == "hinge":
        return random_array(rng, shape), rng.choice([-1.0, 1.0], shape)
    if kind == "sigmoid_cross_entropy":
        return random_array(rng, shape) * 3, rng.random(shape)
    return random_array(rng, shape), random_array(rng, shape)


@every_loss
@losses_only
def test_elementwise_loss(check, shape, rng, kind):
    y, target = _elementwise_arrays(rng, kind, shape)
    got = _check_loss(
        check,
        _elementwise(kind),
        y,
        target,
        ulps=16,
        scale={"dz": 2 / (y.size if LOSSES[kind].mean_over == "elements" else len(y))},
    )
    if LOSSES[kind].threshold is None:
        assert got["log"][2, 1] == 0, "nothing to count"


@every_loss
def test_elementwise_loss_keeps_nan(simple_check, rng, kind):
    y, target = _elementwise_arrays(rng, kind, (3, 4))
    y[1, 2] = np.nan
    with np.errstate(invalid="ignore"):
        got = _check_loss(simple_check, _elementwise(kind), y, target)
    assert np.isnan(got["log"][2, 0])
    assert np.isfinite(np.delete(got["dz"].ravel(), 6)).all()


@pytest.mark.parametrize(
    ("kind", "y", "target", "loss", "dy", "right"),
    [
        ("sigmoid_cross_entropy", 0, 1, np.log(2), -0.5, 0),
        ("binary_cross_entropy", 0.2, 1, -np.log(0.5), -2, 0),
        ("binary_cross_entropy", 0.7, 1, 0, -1, 1),
        ("mean_squared_error", 3, 1, 4, 4, 0),
        ("half_squared_error", 3, 1, 2, 2, 0),
        ("hinge", 0.25, 1, 0.75, -1, 1),
        ("hinge", 2, -1, 3, 1, 0),
        ("hinge", 2, 1, 0, 0, 1),
        ("huber", 1.2, 1, 0.02, 0.2, 0),
        ("huber", 3, 1, 0.555, 0.3, 0),
        ("huber", -3, 1, 1.155, -0.3, 0),
    ],
)
def test_elementwise_loss_by_hand(backend, dtype, kind, y, target, loss, dy, right):
    arrays_ = [backend.asarray([[value]], dtype) for value in (y, target, np.nan)]
    log = backend.zeros((1, 2), np.float64)
    backend.elementwise_loss(kind, *arrays_, log, counters(backend), ALPHA)
    assert_close(backend.to_numpy(log), np.array([[loss, right]]), dtype)
    assert_close(backend.to_numpy(arrays_[2]), np.array([[dy]]), dtype)


def test_elementwise_loss_of_logits_at_extremes(simple_check):
    z = np.array([[1e4, -1e4, 0, 1e4, -1e4, 88, -88, -1, -1, 1]])
    target = np.array([[1.0, 0, 1, 0, 1, 1, 0, 0.5, 0.5, 0.95]])
    loss = _elementwise("sigmoid_cross_entropy")
    got = _check_loss(simple_check, loss, z, target, scale={"dz": 0})
    assert got["log"][2, 1] == 7, "a logit of 0 and a target of 0.5 count as no"


@pytest.mark.parametrize(
    ("kind", "loss"),
    [("", _softmax_loss), ("", _categorical), *((kind, _elementwise(kind)) for kind in LOSSES)],
    ids=["softmax_cross_entropy", "categorical_cross_entropy", *LOSSES],
)
def test_loss_gradient_equals_central_differences(backend, rng, kind, loss):
    if kind:
        y, target = _elementwise_arrays(rng, kind, (3, 4))
    else:
        y, target = rng.dirichlet(np.full(4, 3.0), (2, 3))
    gradient = backend.empty(y.shape, np.float64)

    def value(values):
        log = backend.zeros((1, 2), np.float64)
        loss(backend, *map(backend.asarray, (values, target)), gradient, log, counters(backend))
        return float(backend.to_numpy(log)[0, 0])

    numeric = central_difference(value, y)
    value(y)
    np.testing.assert_allclose(backend.to_numpy(gradient), numeric, rtol=1e-6, atol=1e-8)


# --------------------------------------------------------------------------------------- dropout

KEYS = [(0, 0), (1, 7), (2**32 + 7, 2**32 + 3), (2**64 - 1, 2**40)]
"""(key, stream), to the ends of what the generator takes."""


def test_dropout(check, shape, rng):
    check(
        lambda b, v: b.dropout(v.x, 0.3, 42, counters(b, forwards=5), v.out),
        {"x": random_array(rng, shape)},
        {"out": shape},
        scale=0,
    )


@pytest.mark.parametrize(("key", "stream"), KEYS)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_mask_is_the_same_bit_for_bit(backend, dtype, key, stream, p):
    shape = (13, 7)
    out = backend.empty(shape, dtype)
    x = backend.asarray(np.ones(shape, dtype))
    backend.dropout(x, p, key, counters(backend, forwards=stream), out)
    keep = uniform(13 * 7, key, stream).reshape(shape) >= np.float32(p)
    assert np.array_equal(backend.to_numpy(out), np.where(keep, dtype.type(1 / (1 - p)), 0))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keep_rate(backend, p):
    n = 20_000
    out = backend.empty(n, np.float32)
    backend.dropout(backend.asarray(np.ones(n, np.float32)), p, 1, counters(backend), out)
    kept = backend.to_numpy(out) != 0
    assert abs(kept.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / n)


def test_dropout_keeps_a_number_equal_to_p(backend):
    p, out = float(uniform(32, 5, 0)[17]), backend.empty(32, np.float32)
    backend.dropout(backend.asarray(np.ones(32, np.float32)), p, 5, counters(backend), out)
    assert backend.to_numpy(out)[17] > 0


def test_dropout_of_nothing_changes_nothing(backend, dtype, rng):
    x = np.append(random_array(rng, 40, dtype), dtype.type(np.nan))
    out = backend.empty(x.shape, dtype)
    backend.dropout(backend.asarray(x), 0.0, 3, counters(backend), out)
    assert backend.to_numpy(out).tobytes() == x.tobytes()


def test_dropout_masks_differ_between_forwards_and_keys(backend):
    x = backend.asarray(np.ones(64, np.float32))
    masks = []
    for key, forwards in [(1, 0), (1, 1), (2, 0)]:
        out = backend.empty(64, np.float32)
        backend.dropout(x, 0.5, key, counters(backend, 3, 4, forwards), out)
        masks.append(backend.to_numpy(out).tobytes())
    assert len(set(masks)) == 3


def test_dropout_of_nan(simple_check):
    """A dropped element is 0 whatever it was; a kept one stays NaN or infinite."""
    x = np.tile([np.nan, np.inf, -np.inf, 1], 8)
    simple_check(
        lambda b, v: b.dropout(v.x, 0.5, 9, counters(b), v.out), {"x": x}, {"out": x.shape}
    )


# ------------------------------------------------------------------------------------ optimizers

SCHEDULE = np.array([0.3, 0.2, 0.1, 0.05, 0.01])
PENALTIES = [(0.0, 0.0), (0.01, 0.02)]
"""Weight decay, l1."""
SINGLE_PENALTIES = [(0.01, 0.0), (0.0, 0.02)]
every_momentum = pytest.mark.parametrize(
    ("momentum", "nesterov"), [(None, False), (0.9, False), (0.9, True)]
)
every_adaptive = pytest.mark.parametrize(("keep", "add"), [(1, 1), (0.9, 0.1)])
every_lr = pytest.mark.parametrize(
    "lr", [[0.1], [9.0, 9.0, *SCHEDULE]], ids=["constant", "schedule"]
)
both_penalties = pytest.mark.parametrize(("weight_decay", "l1"), PENALTIES)
every_penalty = pytest.mark.parametrize(("weight_decay", "l1"), PENALTIES + SINGLE_PENALTIES)


def _sgd(b, p, g, velocity, lr, at, momentum, nesterov, weight_decay, l1, master=None):
    velocity = None if momentum is None else velocity
    update = Update(lr, at, weight_decay, l1, master)
    b.sgd(p, g, velocity, update, momentum or 0.0, nesterov)


@every_momentum
@both_penalties
@flat_only
def test_sgd(check, shape, rng, momentum, nesterov, weight_decay, l1):
    size = shape[0] * shape[1]
    options = momentum, nesterov, weight_decay, l1
    check(
        lambda b, v: _sgd(b, v.p, v.g, v.v, v.lr, counters(b, 3, 8), *options, master_of(v)),
        {"g": random_array(rng, size), "lr": SCHEDULE},
        with_master(check.dtype, random_array(rng, size)) | {"v": random_array(rng, size)},
    )


@every_adaptive
@both_penalties
@flat_only
def test_adaptive(check, shape, rng, keep, add, weight_decay, l1):
    size = shape[0] * shape[1]
    penalties = weight_decay, l1
    check(
        lambda b, v: b.adaptive(
            *(v.p, v.g, v.squares, Update(v.lr, counters(b, 3, 8), *penalties, master_of(v))),
            *(keep, add, 1e-8),
        ),
        {"g": random_array(rng, size), "lr": SCHEDULE},
        with_master(check.dtype, random_array(rng, size))
        | {"squares": random_array(rng, size) ** 2},
    )


@pytest.mark.parametrize("decoupled", [False, True])
@both_penalties
@flat_only
def test_adam(check, shape, rng, weight_decay, l1, decoupled):
    size = shape[0] * shape[1]
    penalties = weight_decay, l1
    check(
        lambda b, v: b.adam(
            *(v.p, v.g, v.m, v.v),
            Update(v.lr, counters(b, 3, 5000), *penalties, master_of(v)),
            *(0.9, 0.999, 1e-8, decoupled),
        ),
        {"g": random_array(rng, size), "lr": SCHEDULE},
        with_master(check.dtype, random_array(rng, size))
        | {"m": random_array(rng, size), "v": random_array(rng, size) ** 2},
    )


def _train(backend, dtype, rng, lr, start, update, states):
    """Make five updates on a backend; return the parameters after each, and the gradients."""
    p0 = random_array(rng, 37, dtype)
    p0[:2] = 0  # where l1 pushes nowhere
    gradients = [random_array(rng, 37, dtype) for _ in range(5)]
    p, lr = backend.asarray(p0.copy()), backend.asarray(np.array(lr))
    state = [backend.zeros(37, dtype) for _ in range(states)]
    at, history = counters(backend, *start), [p0.astype(np.float64)]
    for g in gradients:
        update(p, backend.asarray(g), *state, lr, at)
        backend.advance(at, 1, 1, 0)
        history.append(np.array(backend.to_numpy(p), np.float64))
    return history, [g.astype(np.float64) for g in gradients]


@every_lr
@every_momentum
@every_penalty
def test_sgd_by_hand(backend, dtype, rng, lr, momentum, nesterov, weight_decay, l1):
    options = momentum, nesterov, weight_decay, l1
    history, gradients = _train(
        *(backend, dtype, rng, lr, (2, 10, 0)),
        lambda p, g, v, rates, at: _sgd(backend, p, g, v, rates, at, *options),
        states=1,
    )
    mu = momentum or 0.0
    p, v = history[0], np.zeros(37)
    for t, (g, got) in enumerate(zip(gradients, history[1:], strict=True)):
        d = g + weight_decay * p + l1 * np.sign(p)
        v = mu * v + d
        p = p - (lr * 7)[2 + t] * (d + mu * v if nesterov else v)
        assert_close(got, p, dtype, 32, what=f"update {t}")


@every_lr
@every_adaptive
@every_penalty
def test_adaptive_by_hand(backend, dtype, rng, lr, keep, add, weight_decay, l1):
    penalties, options = (weight_decay, l1), (keep, add, 1e-3)
    history, gradients = _train(
        *(backend, dtype, rng, lr, (2, 10, 0)),
        lambda p, g, squares, rates, at: backend.adaptive(
            p, g, squares, Update(rates, at, *penalties), *options
        ),
        states=1,
    )
    p, squares = history[0], np.zeros(37)
    for t, (g, got) in enumerate(zip(gradients, history[1:], strict=True)):
        d = g + weight_decay * p + l1 * np.sign(p)
        squares = keep * squares + add * d**2
        p = p - (lr * 7)[2 + t] * d / (np.sqrt(squares) + 1e-3)
        assert_close(got, p, dtype, 64, what=f"update {t}")


@every_lr
@pytest.mark.parametrize("updates", [0, 100_000])
@pytest.mark.parametrize("decoupled", [False, True])
@every_penalty
def test_adam_by_hand(backend, dtype, rng, lr, updates, weight_decay, l1, decoupled):
    b1, b2, eps = 0.8, 0.99, 1e-3
    penalties, options = (weight_decay, l1), (b1, b2, eps, decoupled)
    history, gradients = _train(
        *(backend, dtype, rng, lr, (2, updates, 0)),
        lambda p, g, m, v, rates, at: backend.adam(
            p, g, m, v, Update(rates, at, *penalties), *options
        ),
        states=2,
    )
    p, m, v = history[0], np.zeros(37), np.zeros(37)
    for i, (g, got) in enumerate(zip(gradients, history[1:], strict=True)):
        rate, t = (lr * 7)[2 + i], updates + i + 1
        d = g + l1 * np.sign(p) + (0 if decoupled else weight_decay * p)
        p = p - rate * weight_decay * p if decoupled else p
        m, v = b1 * m + (1 - b1) * d, b2 * v + (1 - b2) * d * d
        p = p - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        assert_close(got, p, dtype, 64, what=f"update {i}")


@pytest.mark.parametrize("updates", [0, 1, 9])
def test_adam_bias_correction_is_precise(backend, dtype, updates):
    """``1 - 0.999**t`` loses three digits of any dtype; of float32 none can be spared."""
    g = np.array([1e-3, 0.5, -2, 30], dtype)
    p, m, v = (backend.zeros(4, dtype) for _ in range(3))
    at = counters(backend, 0, updates)
    rate = backend.asarray(np.array([0.25]))
    backend.adam(p, backend.asarray(g), m, v, Update(rate, at), 0.9, 0.999, 1e-8, False)
    t = updates + 1
    m_hat = 0.1 * g.astype(np.float64) / (1 - 0.9**t)
    v_hat = 0.001 * g.astype(np.float64) ** 2 / (1 - 0.999**t)
    want = -0.25 * m_hat / (np.sqrt(v_hat) + 1e-8)
    ulps = 16 if dtype == np.float32 else 2000
    assert_close(backend.to_numpy(p), want, dtype, ulps, scale=0)


def test_optimizers_keep_nan(backend, dtype):
    lr, at = backend.asarray(np.array([0.1])), counters(backend)
    g, real = backend.asarray([np.nan, 1.0], dtype), arithmetic(dtype)
    m, v, squares = (backend.zeros(2, real) for _ in range(3))
    master = None if real == dtype else backend.zeros(2, real)
    update = Update(lr, at, master=master)
    for carry_out in (
        lambda p: backend.sgd(p, g, None, update, 0.0, False),
        lambda p: backend.adam(p, g, m, v, update, 0.9, 0.999, 1e-8, False),
        lambda p: backend.adaptive(p, g, squares, update, 1.0, 1.0, 1e-8),
    ):
        p = backend.asarray([1.0, 1.0], dtype)
        carry_out(p)
        assert np.isnan(backend.to_numpy(p)).tolist() == [True, False]


# ----------------------------------------------------------------- gradients as a whole


@flat_only
def test_accumulate(check, shape, rng):
    g, total = random_array(rng, (2, shape[0] * shape[1]))
    check(lambda b, v: b.accumulate(v.g, v.total, 0.3, True), {"g": g}, {"total": g.shape})
    check(lambda b, v: b.accumulate(v.g, v.total, 0.3, False), {"g": g}, {"total": total})


@flat_only
def test_sum_of_squares(check, shape, rng):
    x = random_array(rng, shape[0] * shape[1])
    unset, some = np.array([np.nan]), np.array([3.0])
    options = {"ulps": 16, "scale": np.sqrt(x.size)}
    for before, start in [(unset, True), (some, False)]:
        got = check(
            lambda b, v, start=start: b.sum_of_squares(v.x, v.norm2, start),
            {"x": x},
            {"norm2": before},
            **options,
        )
        want = (0 if start else 3) + np.sum(x.astype(check.dtype).astype(np.float64) ** 2)
        assert_close(got["norm2"], want, check.dtype, **options)


@pytest.mark.parametrize("limit", [0.5, 1e9])
@flat_only
def test_clip(check, shape, rng, limit):
    x, norm2 = random_array(rng, shape[0] * shape[1]), np.array([6.25])
    got = check(lambda b, v: b.clip(v.x, v.norm2, limit), {"norm2": norm2}, {"x": x})["x"]
    x = x.astype(check.dtype)
    if limit == 0.5:
        assert_close(got, x * 0.5 / (2.5 + 1e-6), check.dtype)
    else:
        assert got.tobytes() == x.tobytes(), "below the limit nothing changes"


def test_clip_by_a_norm_of_nan_or_zero_changes_nothing(backend, dtype):
    x = np.array([1, -2, np.nan], dtype)
    for norm2 in (np.nan, 0.0):
        array = backend.asarray(x.copy())
        backend.clip(array, backend.asarray(np.array([norm2])), 1.0)
        assert backend.to_numpy(array).tobytes() == x.tobytes()


# ------------------------------------------------------------------------- batches and counters


@pytest.mark.parametrize("columns", [1, 3, 31, 784])
def test_gather(backend, dtype, rng, columns):
    images = rng.integers(0, 256, (29, columns)).astype(np.uint8)
    order = rng.permutation(29).astype(np.int64)
    for step, rows in [(0, 8), (2, 8), (3, 5)]:
        chosen = order[8 * step : 8 * step + rows]
        Check(backend, dtype)(
            lambda b, v, step=step: b.gather(v.source, v.order, counters(b, step, 6, 7), 8, v.out),
            {"source": images, "order": order},
            {"out": (rows, columns)},
            scale=0,
            ulps=1,
        )
        out = backend.empty((rows, columns), dtype)
        arrays_ = backend.asarray(images), backend.asarray(order)
        backend.gather(*arrays_, counters(backend, step), 8, out)
        assert_close(backend.to_numpy(out), images[chosen] / 255, dtype, ulps=1, scale=0)


def test_gather_scales_white_to_one(backend, dtype):
    out = backend.empty((1, 2), dtype)
    source = backend.asarray(np.array([[0, 255]], np.uint8))
    backend.gather(source, backend.asarray(np.zeros(1, np.int64)), counters(backend), 1, out)
    assert backend.to_numpy(out).tolist() == [[0, 1]]


@pytest.mark.parametrize("layout", ["contiguous", *LAYOUTS])
@pytest.mark.parametrize(
    "source",
    [
        np.arange(21, dtype=np.int32),
        np.arange(63, dtype=np.float32).reshape(21, 3),
        np.arange(63, dtype=np.float64).reshape(21, 3),
        np.arange(21 * 2 * 3, dtype=np.float32).reshape(21, 2, 3),
        np.arange(63, dtype=np.uint8).reshape(21, 3),
    ],
    ids=["labels", "float32", "float64", "float32-3d", "uint8"],
)
def test_gather_copies_what_needs_no_scaling(backend, rng, source, layout):
    order = rng.permutation(21).astype(np.int64)
    for step, rows in [(0, 8), (2, 5)]:
        out = backend.empty((rows, *source.shape[1:]), source.dtype)
        backend.gather(
            place(backend, source, layout),
            backend.asarray(order),
            counters(backend, step),
            8,
            out,
        )
        want = source[order[8 * step : 8 * step + rows]]
        assert backend.to_numpy(out).tobytes() == want.tobytes()


def test_gather_may_repeat_rows(backend):
    source, out = backend.asarray(np.arange(4, dtype=np.int32)), backend.empty(6, np.int32)
    order = backend.asarray(np.array([3, 3, 0, 3, 0, 0], np.int64))
    backend.gather(source, order, counters(backend), 6, out)
    assert backend.to_numpy(out).tolist() == [3, 3, 0, 3, 0, 0]


def test_advance(backend):
    at = counters(backend, 1, 2, 2**40)
    backend.advance(at, 1, 1, 3)
    backend.advance(at, -2, 0, 0)
    assert at.dtype == np.int64
    values = backend.to_numpy(at)
    assert (values[STEP], values[UPDATES], values[FORWARDS]) == (0, 3, 2**40 + 3)


# ---------------------------------------------------------------------------------- large arrays

LARGE = {
    "bias_activation": ("bias", "y", lambda b, v: b.bias_activation("relu", v.y, v.bias, v.y)),
    "bias_activation_backward": (
        "dy x",
        "y columns",
        lambda b, v: b.bias_activation_backward("relu", v.dy, v.x, v.y, v.columns),
    ),
    "activation": ("x", "y", lambda b, v: b.activation("sigmoid", v.x, v.y)),
    "activation_backward": (
        "dy x",
        "y",
        lambda b, v: b.activation_backward("tanh", v.dy, v.x, v.y),
    ),
    "bias_gradient": ("x", "columns", lambda b, v: b.bias_gradient(v.x, v.columns)),
    "prelu": ("x bias", "y", lambda b, v: b.prelu(v.x, v.bias, v.y)),
    "prelu_backward": (
        "dy x bias",
        "y columns",
        lambda b, v: b.prelu_backward(v.dy, v.x, v.bias, v.y, v.columns),
    ),
    "prelu_backward-shared": (
        "dy x slope",
        "y one",
        lambda b, v: b.prelu_backward(v.dy, v.x, v.slope, v.y, v.one),
    ),
    "maxout": (
        "z biases",
        "y piece",
        lambda b, v: b.maxout(v.z, v.biases, v.y, v.piece),
    ),
    "maxout_backward": ("dy pieces", "z", lambda b, v: b.maxout_backward(v.dy, v.pieces, v.z)),
    "add": ("x dy", "y", lambda b, v: b.add(v.x, v.dy, v.y)),
    "add-in-place": ("x", "y", lambda b, v: b.add(v.x, v.y, v.y)),
    "put_columns": ("x", "z", lambda b, v: b.put_columns(v.x, 7, v.z)),
    "take_columns": ("z", "y", lambda b, v: b.take_columns(v.z, 7, v.y)),
    "softmax": ("x", "y", lambda b, v: b.softmax(v.x, v.y)),
    "log_softmax": ("x", "y", lambda b, v: b.log_softmax(v.x, v.y)),
    "softmax_backward": ("dy p", "y", lambda b, v: b.softmax_backward(v.dy, v.p, v.y)),
    "log_softmax_backward": (
        "dy log_p",
        "y",
        lambda b, v: b.log_softmax_backward(v.dy, v.log_p, v.y),
    ),
    "batch_norm_forward": (
        "x gamma",
        "m_columns v_columns y",
        lambda b, v: b.batch_norm_forward(
            *(v.x, Norm(v.gamma, v.gamma, EPS), Running(v.m_columns, v.v_columns, 0.5)),
            *(b.zeros(len(v.gamma), "f4"), b.zeros(len(v.gamma), "f4"), v.y),
        ),
    ),
    "batch_norm_inference": (
        "x gamma",
        "y",
        lambda b, v: b.batch_norm_inference(
            v.x, Norm(v.gamma, v.gamma, EPS), v.gamma, v.gamma, v.y
        ),
    ),
    "batch_norm_backward": (
        "dy x gamma",
        "m_columns columns y",
        lambda b, v: b.batch_norm_backward(
            *(v.dy, v.x, Norm(v.gamma, v.gamma, EPS), v.gamma, v.gamma),
            *(v.m_columns, v.columns, v.y, True),
        ),
    ),
    "layer_norm_forward": (
        "x gamma",
        "rows m_rows y",
        lambda b, v: b.layer_norm_forward(v.x, Norm(v.gamma, v.gamma, EPS), v.rows, v.m_rows, v.y),
    ),
    "layer_norm_backward": (
        "dy x gamma ones",
        "m_columns columns y",
        lambda b, v: b.layer_norm_backward(
            *(v.dy, v.x, Norm(v.gamma, v.gamma, EPS), v.ones, v.ones),
            *(v.m_columns, v.columns, v.y),
        ),
    ),
    "softmax_cross_entropy-labels": (
        "x labels",
        "y log",
        lambda b, v: b.softmax_cross_entropy(v.x, v.labels, v.y, v.log, counters(b)),
    ),
    "softmax_cross_entropy-rows": (
        "x p",
        "y log",
        lambda b, v: b.softmax_cross_entropy(v.x, v.p, v.y, v.log, counters(b)),
    ),
    "categorical_cross_entropy": (
        "p x",
        "y log",
        lambda b, v: b.categorical_cross_entropy(v.p, v.x, v.y, v.log, counters(b), 0.5),
    ),
    "elementwise_loss-logits": (
        "x p",
        "y log",
        lambda b, v: b.elementwise_loss("sigmoid_cross_entropy", v.x, v.p, v.y, v.log, counters(b)),
    ),
    "elementwise_loss-squares": (
        "x dy",
        "y log",
        lambda b, v: b.elementwise_loss("mean_squared_error", v.x, v.dy, v.y, v.log, counters(b)),
    ),
    "dropout": ("x", "y", lambda b, v: b.dropout(v.x, 0.5, 1, counters(b), v.y)),
    "sgd": (
        "dy lr",
        "y",
        lambda b, v: b.sgd(*_flat(v.y, v.dy), None, Update(v.lr, counters(b)), 0.0, False),
    ),
    "sgd-momentum": (
        "dy lr",
        "y m",
        lambda b, v: b.sgd(*_flat(v.y, v.dy, v.m), Update(v.lr, counters(b), 0.01), 0.9, True),
    ),
    "adam": (
        "dy lr",
        "y m v",
        lambda b, v: b.adam(
            *_flat(v.y, v.dy, v.m, v.v), Update(v.lr, counters(b), 0.01), 0.9, 0.999, 1e-8, True
        ),
    ),
    "adaptive": (
        "dy lr",
        "y v",
        lambda b, v: b.adaptive(
            *_flat(v.y, v.dy, v.v), Update(v.lr, counters(b), 0.01, 0.02), 0.9, 0.1, 1e-8
        ),
    ),
    "accumulate": ("x", "y", lambda b, v: b.accumulate(*_flat(v.x, v.y), 0.3, False)),
    "sum_of_squares": (
        "x",
        "norm2",
        lambda b, v: b.sum_of_squares(*_flat(v.x), v.norm2, False),
    ),
    "clip": ("norm2", "y", lambda b, v: b.clip(*_flat(v.y), v.norm2, 0.5)),
    "gather-scaled": (
        "images order",
        "y",
        lambda b, v: b.gather(v.images, v.order, counters(b), len(v.y), v.y),
    ),
    "gather": ("x order", "y", lambda b, v: b.gather(v.x, v.order, counters(b), len(v.y), v.y)),
}
"""Operation: inputs, outputs, call."""


def _flat(*matrices):
    return [matrix.reshape(-1) for matrix in matrices]


@pytest.fixture(scope="module", params=["wide", "middle", "narrow"])
def large_arrays(request, small) -> dict[str, np.ndarray]:
    """Inputs, and outputs as they are before."""
    rng = np.random.default_rng(5)
    if small:
        n, m = {"wide": (15, 1100), "middle": (67, 130), "narrow": (600, 10)}[request.param]
    else:
        n, m = {"wide": (1100, 1025), "middle": (9001, 130), "narrow": (100_003, 10)}[request.param]
    matrix = {name: random_array(rng, (n, m), np.float32) for name in ("x", "dy", "y", "m")}
    p = rng.random((n, m), np.float32)
    return matrix | {
        "log_p": np.log((p + 1e-6) / (p + 1e-6).sum(axis=1, keepdims=True)),
        "v": matrix["m"] ** 2,
        "p": p / p.sum(axis=1, keepdims=True),
        "bias": random_array(rng, m, np.float32),
        "slope": np.array([0.25]),
        "one": np.ones(1),
        "z": random_array(rng, (n, 2 * m), np.float32),
        "biases": random_array(rng, 2 * m, np.float32),
        "piece": np.full((n, m), -7, np.int32),
        "pieces": rng.integers(0, 2, (n, m)).astype(np.int32),
        "labels": rng.integers(0, m, n).astype(np.int32),
        "images": rng.integers(0, 256, (n, m)).astype(np.uint8),
        "order": rng.permutation(n),
        "lr": np.array([0.1]),
        "norm2": np.array([6.25]),
        "columns": np.ones(m),
        "m_columns": np.ones(m),
        "v_columns": np.ones(m),
        "rows": np.ones(n),
        "m_rows": np.ones(n),
        "ones": np.ones(n),
        "gamma": 0.5 + rng.random(m),
        "log": LOG,
    }


@pytest.mark.parametrize("operation", LARGE)
def test_large_arrays(backend, small, monkeypatch, operation, large_arrays):
    """Enough work that threads share it on a CPU, and that CUDA blocks come round for more.

    The simulator has small arrays and few blocks instead (but for `make test-large`), and runs
    threads in a random order.
    """
    inputs, outputs, call = LARGE[operation]
    rows = len(large_arrays["x"])
    if small:
        monkeypatch.setattr(backend.launcher, "most_blocks", 2)
    with simulator.thread_order("shuffled", seed=1):
        Check(backend, np.float32)(
            call,
            {name: large_arrays[name] for name in inputs.split()},
            {name: large_arrays[name] for name in outputs.split()},
            ulps=16,
            scale={"columns": rows, "m_columns": rows, "one": large_arrays["x"].size, "y": 4},
        )


# ------------------------------------------------------------------------------ results returned


@pytest.mark.parametrize(
    "call",
    [
        lambda b, x, y: b.matmul(x, x.T, y),
        lambda b, x, y: b.activation("tanh", x, y),
        lambda b, x, y: b.activation_backward("tanh", x, x, y),
        lambda b, x, y: b.add(x, x, y),
        lambda b, x, y: b.softmax(x, y),
        lambda b, x, y: b.softmax_backward(x, x, y),
        lambda b, x, y: b.log_softmax(x, y),
        lambda b, x, y: b.log_softmax_backward(x, -abs(x), y),
    ],
    ids=[
        "matmul",
        "activation",
        "activation_backward",
        "add",
        "softmax",
        "softmax_backward",
        "log_softmax",
        "log_softmax_backward",
    ],
)
def test_results_are_new_arrays_or_the_given_one(backend, dtype, rng, call):
    x = backend.asarray(random_array(rng, (4, 4), dtype))
    given_ = backend.empty((4, 4), dtype)
    new, returned = call(backend, x, None), call(backend, x, given_)
    assert returned is given_
    assert backend.owns(new)
    assert new.dtype == dtype
    assert new.flags.c_contiguous
    assert backend.to_numpy(new).tobytes() == backend.to_numpy(given_).tobytes()


def test_operations_do_not_share_hidden_state(backend, dtype, rng):
    """Repeating an operation with other sizes in between gives the same bits."""
    arrays_ = [backend.asarray(random_array(rng, (n, 33), dtype)) for n in (5, 300, 5, 1)]
    first = [backend.to_numpy(backend.softmax(x)).tobytes() for x in arrays_]
    second = [backend.to_numpy(backend.softmax(x)).tobytes() for x in reversed(arrays_)]
    assert first == second[::-1]
    assert len(set(first)) == len(first)
