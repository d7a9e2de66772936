"""Products of matrices, and linear layers made of them."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.kernels.table import ACTIVATIONS
from tests.helpers import LAYOUTS, assert_close, place, random_array
from tests.operations.shared import (
    ALPHA,
    INNER,
    KINDS,
    TRAINABLE,
    central_difference,
    kinds_at_shapes,
    quarters,
    saved_by,
)

IN_ONE = "identity", "relu"
"""Activations that a GPU's library may carry out together with a product."""
KEEPS_INPUT = "gelu"
EVERYWHERE = *IN_ONE, KEEPS_INPUT


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


@kinds_at_shapes(KINDS, EVERYWHERE)
def test_linear_forward(check, shape, rng, kind):
    n, m = shape
    inputs = {
        "x": quarters(rng, n, INNER),
        "weight": quarters(rng, INNER, m),
        "bias": quarters(rng, m),
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


def test_linear_forward_without_bias(check, rng):
    check(
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


@kinds_at_shapes(TRAINABLE, EVERYWHERE)
def test_linear_backward(check, shape, rng, kind):
    n, m = shape
    inputs = {
        "dy": random_array(rng, shape),
        "x": random_array(rng, (n, INNER)),
        "weight": random_array(rng, (INNER, m)),
        "saved": saved_by(kind, random_array(rng, shape)),
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
def test_linear_backward_without_activation(check, rng, wanted):
    """dy is dz, and stays as it is."""
    arrays = ("dy", (5, 4)), ("x", (5, 3)), ("weight", (3, 4))
    sizes = {"dbias": (4,), "dx": (5, 3)}
    outputs = {name: sizes[name] for name in wanted}

    def run(b, v):
        dbias, dx = getattr(v, "dbias", None), getattr(v, "dx", None)
        b.linear_backward("identity", v.dy, v.x, v.weight, v.dy, v.dy, v.dweight, dbias, dx)

    inputs = {name: random_array(rng, size) for name, size in arrays}
    check(run, inputs, {"dweight": (3, 4)} | outputs, scale=5)


def test_linear_backward_of_the_first_layer(check, rng):
    arrays = ("dy", (5, 4)), ("x", (5, 3)), ("weight", (3, 4)), ("saved", (5, 4))
    check(
        lambda b, v: b.linear_backward(
            "relu", v.dy, v.x, v.weight, v.saved, v.dz, v.dweight, None, None
        ),
        {name: random_array(rng, size) for name, size in arrays},
        {"dz": (5, 4), "dweight": (3, 4)},
    )


@pytest.mark.parametrize("kind", [*EVERYWHERE, "tanh"])
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
