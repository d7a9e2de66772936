"""Every operation of a backend once, with its inputs and outputs, at any size.

For what runs all of them: layouts, NaN, large arrays (test_every_operation.py), capturing
(test_contract.py), the order of threads, allocations (test_cupy_backend.py), which kernels are
launched (bench/smoke.py).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from nnkit.backends.contract import Changes, Norm, Running, Update, Window
from nnkit.dtypes import arithmetic
from nnkit.kernels.table import ACTIVATIONS, LOSSES
from tests.helpers import master_of, random_array, with_master

ALPHA = 0.3
LOG = np.full((4, 2), -7.0)


def _update(a: SimpleNamespace) -> Update:
    """What the optimizers share, of arrays that are named as below."""
    return Update(a.lr, a.at, 0.01, 0.02, master_of(a))


def _norm(a: SimpleNamespace) -> Norm:
    return Norm(a.gamma, a.beta, 1e-4)


def random_labels(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.integers(0, max(shape[1], 1), shape[0]).astype(np.int32)


def random_probabilities(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    weights = rng.random(shape) + 0.01
    return weights / weights.sum(axis=1, keepdims=True)


def operations(
    rng: np.random.Generator, shape: tuple[int, int], dtype: Any = np.float64
) -> dict[str, tuple]:
    """Return for each operation how to run it, its inputs and its outputs.

    In a half `dtype` the optimizers' parameters have a master.
    """
    n, m = shape
    x, y = random_array(rng, shape), random_array(rng, shape)
    p, g, v = (random_array(rng, n * m) for _ in range(3))
    trained = with_master(dtype, p)
    lr, at = np.array([0.3, 0.2, 0.1]), np.array([1, 5, 9])
    slope, likely = random_array(rng, m), random_probabilities(rng, shape)
    images = rng.integers(0, 256, (2 * n + 3, m)).astype(np.uint8)
    order = rng.permutation(2 * n + 3).astype(np.int64)
    loss = {"dz": shape, "log": LOG}
    column_scale = {"scale": {"dbias": max(n, 1)}}
    return {
        **{
            f"activation {kind}": (
                lambda b, a, kind=kind: b.activation(kind, a.x, a.y, ALPHA),
                {"x": x},
                {"y": shape},
            )
            for kind in ACTIVATIONS
        },
        **{
            f"bias_activation {kind}": (
                lambda b, a, kind=kind: b.bias_activation(kind, a.y, a.bias, a.y, ALPHA),
                {"bias": random_array(rng, m)},
                {"y": x},
            )
            for kind in ACTIVATIONS
        },
        **{
            f"bias_activation_backward {kind}": (
                lambda b, a, kind=kind: b.bias_activation_backward(
                    kind, a.dy, a.saved, a.dz, a.dbias, ALPHA
                ),
                {"dy": x, "saved": y},
                {"dz": shape, "dbias": (m,)},
                column_scale,
            )
            for kind, activation in ACTIVATIONS.items()
            if activation.gradient is not None
        },
        "activation_backward": (
            lambda b, a: b.activation_backward("tanh", a.dy, a.saved, a.dx),
            {"dy": x, "saved": y},
            {"dx": shape},
        ),
        "prelu": (lambda b, a: b.prelu(a.x, a.slope, a.y), {"x": x, "slope": slope}, {"y": shape}),
        "prelu_backward": (
            lambda b, a: b.prelu_backward(a.dy, a.x, a.slope, a.dx, a.dslope),
            {"dy": x, "x": y, "slope": slope},
            {"dx": shape, "dslope": (m,)},
            {"scale": {"dslope": max(n, 1)}},
        ),
        "prelu_backward shared": (
            lambda b, a: b.prelu_backward(a.dy, a.x, a.slope, a.dx, a.dslope),
            {"dy": x, "x": y, "slope": slope[:1]},
            {"dx": shape, "dslope": (1,)},
            {"scale": {"dslope": max(n * m, 1)}},
        ),
        "maxout": (
            lambda b, a: b.maxout(a.z, a.biases, a.y, a.piece),
            {"z": random_array(rng, (n, 2 * m)), "biases": random_array(rng, 2 * m)},
            {"y": shape, "piece": np.full(shape, -7, np.int32)},
        ),
        "maxout_backward": (
            lambda b, a: b.maxout_backward(a.dy, a.piece, a.dz),
            {"dy": x, "piece": rng.integers(0, 2, shape).astype(np.int32)},
            {"dz": (n, 2 * m)},
        ),
        "bias_gradient": (
            lambda b, a: b.bias_gradient(a.dy, a.dbias),
            {"dy": x},
            {"dbias": (m,)},
            column_scale,
        ),
        "add": (lambda b, a: b.add(a.x, a.other, a.y), {"x": x, "other": y}, {"y": shape}),
        "put_columns": (
            lambda b, a: b.put_columns(a.x, 3, a.wide),
            {"x": x},
            {"wide": random_array(rng, (n, m + 4))},
        ),
        "take_columns": (
            lambda b, a: b.take_columns(a.wide, 3, a.y),
            {"wide": random_array(rng, (n, m + 4))},
            {"y": shape},
        ),
        **{
            f"augment {name}": (
                lambda b, a, changes=changes: b.augment(a.x, changes, 2**33 + 5, a.at, a.y, 3),
                {"at": at, "x": random_array(rng, (n, 3, m))},
                {"y": (n, 3, m)},
                {"scale": max(m, 1)},  # of the places between pixels
            )
            for name, changes in (
                ("whole", Changes(1, 0.5, cutout=2)),
                ("between", Changes(1, 0.5, 0.1, 0.2, 1)),
            )
        },
        "softmax": (lambda b, a: b.softmax(a.x, a.y), {"x": x}, {"y": shape}),
        "log_softmax": (lambda b, a: b.log_softmax(a.x, a.y), {"x": x}, {"y": shape}),
        "softmax_backward": (
            lambda b, a: b.softmax_backward(a.dy, a.y, a.dx),
            {"dy": x, "y": likely},
            {"dx": shape},
        ),
        "log_softmax_backward": (
            lambda b, a: b.log_softmax_backward(a.dy, a.y, a.dx),
            {"dy": x, "y": np.log(likely)},
            {"dx": shape},
            {"scale": max(m, 1)},
        ),
        **{
            f"softmax_cross_entropy {name}": (
                lambda b, a: b.softmax_cross_entropy(a.z, a.t, a.dz, a.log, a.at),
                {"at": at, "z": x, "t": target(rng, shape)},
                loss,
            )
            for name, target in (("labels", random_labels), ("probabilities", random_probabilities))
        },
        "softmax_cross_entropy weighted": (
            lambda b, a: b.softmax_cross_entropy(a.z, a.t, a.dz, a.log, a.at, a.weights),
            {"at": at, "z": x, "t": random_labels(rng, shape), "weights": rng.random(n)},
            loss,
        ),
        "categorical_cross_entropy": (
            lambda b, a: b.categorical_cross_entropy(a.z, a.t, a.dz, a.log, a.at, 0.1),
            {"at": at, "z": likely, "t": random_probabilities(rng, shape)},
            loss,
        ),
        **{
            f"elementwise_loss {kind}": (
                lambda b, a, kind=kind: b.elementwise_loss(
                    kind, a.z, a.t, a.dz, a.log, a.at, ALPHA
                ),
                {"at": at, "z": rng.random(shape), "t": rng.random(shape)},
                loss,
                {"scale": {"log": max(m, 1)}},
            )
            for kind in LOSSES
        },
        "dropout": (
            lambda b, a: b.dropout(a.x, 0.4, 2**33 + 5, a.at, a.y),
            {"at": at, "x": x},
            {"y": shape},
        ),
        "dropout of a part": (
            lambda b, a: b.dropout(a.x, 0.4, 2**33 + 5, a.at, a.y, 4 * m + 3),
            {"at": at, "x": x},
            {"y": shape},
        ),
        "channel_dropout": (
            lambda b, a: b.channel_dropout(a.images, 0.4, 2**33 + 5, a.at, a.y, 5),
            {"at": at, "images": random_array(rng, (n, 3, m))},
            {"y": (n, 3, m)},
        ),
        "sgd": (
            lambda b, a: b.sgd(a.p, a.g, None, _update(a), 0.0, False),
            {"at": at, "g": g, "lr": lr},
            trained,
        ),
        "sgd nesterov": (
            lambda b, a: b.sgd(a.p, a.g, a.v, _update(a), 0.9, True),
            {"at": at, "g": g, "lr": lr},
            trained | {"v": v},
        ),
        "adaptive": (
            lambda b, a: b.adaptive(a.p, a.g, a.v, _update(a), 0.9, 0.1, 1e-3),
            {"at": at, "g": g, "lr": lr},
            trained | {"v": v**2},
        ),
        "adam": (
            lambda b, a: b.adam(a.p, a.g, a.m, a.v, _update(a), 0.9, 0.999, 1e-8, True),
            {"at": at, "g": g, "lr": lr},
            trained | {"m": random_array(rng, n * m), "v": v**2},
        ),
        "accumulate": (
            lambda b, a: b.accumulate(a.g, a.total, 0.3, False),
            {"g": g},
            {"total": p},
        ),
        "sum_of_squares": (
            lambda b, a: b.sum_of_squares(a.g, a.norm2, False),
            {"g": g},
            {"norm2": np.array([3.0])},
        ),
        "clip": (
            lambda b, a: b.clip(a.g, a.norm2, 0.5),
            {"norm2": np.array([2.0])},
            {"g": g},
        ),
        "gather scaled": (
            lambda b, a: b.gather(a.source, a.order, a.at, max(n, 1), a.y),
            {"at": at, "source": images, "order": order},
            {"y": shape},
        ),
        "gather": (
            lambda b, a: b.gather(a.source, a.order, a.at, max(n, 1), a.y),
            {"at": at, "source": random_array(rng, images.shape), "order": order},
            {"y": shape},
        ),
        "advance": (lambda b, a: b.advance(a.at, 1, 2, 3), {}, {"at": at}),
        **(_normalization(rng, shape) if m else {}),
        **_convolution(rng, shape, dtype),
        **_pooling(rng, shape),
    }


def _normalization(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, tuple]:
    n, m = shape
    x, dy = random_array(rng, shape), random_array(rng, shape)
    columns = {name: random_array(rng, m) for name in ("gamma", "beta", "mean")}
    columns["var"] = rng.random(m) + 0.1
    rows = {"mean": random_array(rng, n), "inv_std": rng.random(n) + 0.1}
    affine = {"x": x, "gamma": columns["gamma"], "beta": columns["beta"]}
    gradients = {"dgamma": (m,), "dbeta": (m,), "dx": shape}
    some = max(n, 1)
    scale = {"scale": {"dgamma": 4 * some, "dbeta": some, "dx": 16, "y": 300, "inv_std": 300}}
    kinds = {"": "identity", " relu": "relu"}
    of_a_batch = {
        f"batch_norm_forward{name}": (
            lambda b, a, kind=kind: b.batch_norm_forward(
                *(kind, a.x, _norm(a), Running(a.running_mean, a.running_var, 0.3)),
                *(a.mean, a.var, a.y),
            ),
            affine,
            {"running_mean": columns["mean"], "running_var": columns["var"]}
            | {"mean": (m,), "var": (m,), "y": shape},
            scale,
        )
        for name, kind in kinds.items()
    }
    return {
        **(of_a_batch if n > 1 else {}),  # one row has no variance
        **{
            f"batch_norm_inference{name}": (
                lambda b, a, kind=kind: b.batch_norm_inference(
                    kind, a.x, _norm(a), a.mean, a.var, a.y
                ),
                {"x": x} | columns,
                {"y": shape},
                scale,
            )
            for name, kind in kinds.items()
        },
        **{
            f"batch_norm_backward{name} {batch_statistics}": (
                lambda b, a, kind=kind, batch_statistics=batch_statistics: b.batch_norm_backward(
                    *(kind, a.dy, a.y, a.x, _norm(a), a.mean, a.var),
                    *(a.dgamma, a.dbeta, a.dx, batch_statistics),
                ),
                {"dy": dy, "x": x, "y": random_array(rng, shape)} | columns,
                gradients,
                scale,
            )
            for name, kind in kinds.items()
            for batch_statistics in (True, False)
        },
        **_shares(x, dy, columns, scale),
        "layer_norm_forward": (
            lambda b, a: b.layer_norm_forward(a.x, _norm(a), a.mean, a.inv_std, a.y),
            affine,
            {"mean": (n,), "inv_std": (n,), "y": shape},
            scale,
        ),
        "layer_norm_backward": (
            lambda b, a: b.layer_norm_backward(
                a.dy, a.x, _norm(a), a.mean, a.inv_std, a.dgamma, a.dbeta, a.dx
            ),
            affine | {"dy": dy} | rows,
            gradients,
            scale,
        ),
    }


def _shares(
    x: np.ndarray, dy: np.ndarray, columns: dict[str, np.ndarray], scale: dict[str, Any]
) -> dict[str, tuple]:
    """Batch normalisation of what three ranks have, one of them nothing."""
    n, m = x.shape
    several = np.stack([x[: n // 3].sum(axis=0), x[n // 3 :].sum(axis=0)]) / (n + 1)
    moments = np.zeros((3, 2 * m + 1))
    moments[::2, 0], moments[::2, 1 : m + 1] = (7, 12), several
    moments[::2, m + 1 :] = columns["var"] + several**2
    given = {"dy": dy, "x": x, "y": dy[::-1].copy()} | columns
    sums = {"sums": np.stack([columns["mean"], columns["beta"]]) * n}
    bounds = scale["scale"] | {"moments": 4 * max(n, 1), "sums": 4 * max(n, 1)}
    return {
        "batch_norm_moments": (
            lambda b, a: b.batch_norm_moments(a.x, 1, a.moments),
            {"x": x},
            {"moments": (3, 2 * m + 1)},
            {"scale": bounds},
        ),
        "batch_norm_merge": (
            lambda b, a: b.batch_norm_merge(
                a.moments, Running(a.running_mean, a.running_var, 0.3), a.mean, a.var
            ),
            {"moments": moments},
            {"running_mean": columns["mean"], "running_var": columns["var"]}
            | {"mean": (m,), "var": (m,)},
        ),
        **{
            f"batch_norm_sums{name}": (
                lambda b, a, kind=kind: b.batch_norm_sums(
                    *(kind, a.dy, a.y, a.x, _norm(a), a.mean, a.var, a.dgamma, a.dbeta, a.sums)
                ),
                given,
                {"dgamma": (m,), "dbeta": (m,), "sums": (2, m)},
                {"scale": bounds},
            )
            for name, kind in (("", "identity"), (" relu", "relu"))
        },
        **{
            f"batch_norm_input_gradient{name}": (
                lambda b, a, kind=kind: b.batch_norm_input_gradient(
                    *(kind, a.dy, a.y, a.x, _norm(a), a.mean, a.var, a.sums, n + 9, a.dx)
                ),
                given | sums,
                {"dx": x.shape},
                {"scale": bounds},
            )
            for name, kind in (("", "identity"), (" relu", "relu"))
        },
    }


MOST_IMAGES = 130
"""Images of a sample call at most: each is as much work as many rows."""
SIZE = 6, 5
"""Height and width of the images."""
AROUND = Window((3, 3), padding=(1, 1))
APART = Window((3, 2), (2, 1), (1, 0), (1, 2))
HALF = Window((2, 2), (2, 2))
OVERLAPPING = Window((3, 2), (2, 1), (1, 1))


def _places(window: Window) -> tuple[int, int]:
    """How many windows lie on an image of SIZE, and on its padding."""
    rows, columns = (
        (SIZE[i] + 2 * window.padding[i] - window.dilation[i] * (window.size[i] - 1) - 1)
        // window.stride[i]
        + 1
        for i in (0, 1)
    )
    return rows, columns


CONVOLUTIONS: dict[str, tuple] = {
    "": ("identity", AROUND, 1, None, True),
    " relu": ("relu", AROUND, 1, None, True),
    " pooled": ("relu", AROUND, 1, HALF, True),
    " apart": ("identity", APART, 1, None, False),
    " in groups": ("relu", APART, 2, None, True),
    " of each channel": ("identity", AROUND, 0, HALF, True),
}
"""Kind, window, groups (0: as many as channels), pool, and whether there is a bias."""


def _convolution(rng: np.random.Generator, shape: tuple[int, int], dtype: Any) -> dict[str, tuple]:
    """In a half `dtype` the numbers are small integers: of others rounding says which is larger."""
    n, c = min(shape[0], MOST_IMAGES), 2 * max(1, min(shape[1], 3))
    make = random_array if arithmetic(dtype) == dtype else _small_integers
    x, o = make(rng, (n, *SIZE, c)), 2 * c
    found = {}
    for name, (kind, window, count, pool, has_bias) in CONVOLUTIONS.items():
        groups, there = count or c, _places(window)
        pooled = there if pool is None else (there[0] // 2, there[1] // 2)
        y, terms = (n, *pooled, o), max(n * there[0] * there[1], 1)
        weight = make(rng, (*window.size, c // groups, o))
        inputs = {"x": x, "weight": weight}
        own = window, groups, pool
        chosen = {} if pool is None else {"place": np.full(y, 7, np.uint8)}
        found[f"convolution{name}"] = (
            lambda b, a, kind=kind, own=own: b.convolution(
                *(kind, a.x, a.weight, getattr(a, "bias", None), *own, a.y),
                getattr(a, "place", None),
            ),
            inputs | ({"bias": make(rng, (o,))} if has_bias else {}),
            {"y": y} | chosen,
            {"scale": weight[..., 0].size},
        )
        gradients = {"dweight": weight.shape, "dbias": (o,), "dx": x.shape}
        chosen = {} if pool is None else {"place": rng.integers(0, 4, y).astype(np.uint8)}
        found[f"convolution_backward{name}"] = (
            lambda b, a, kind=kind, own=own: b.convolution_backward(
                *(kind, a.dy, a.x, a.weight, *own, a.y, getattr(a, "place", None)),
                *(a.dweight, a.dbias, a.dx),
            ),
            inputs | {"dy": random_array(rng, y), "y": random_array(rng, y)} | chosen,
            gradients,
            {"scale": {"dweight": terms, "dbias": terms, "dx": weight.size // c}},
        )
    return found


def _small_integers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-2, 3, shape).astype(np.float64)


def _pooling(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, tuple]:
    n, c = min(shape[0], MOST_IMAGES), max(1, min(shape[1], 18))
    x, found = random_array(rng, (n, *SIZE, c)), {}
    for name, window, dtype in (("", HALF, np.uint8), (" overlapping", OVERLAPPING, np.int32)):
        y = n, *_places(window), c
        dy, places = random_array(rng, y), window.size[0] * window.size[1]
        place = rng.integers(0, places, y).astype(dtype)
        found |= {
            f"max_pool{name}": (
                lambda b, a, window=window: b.max_pool(a.x, window, a.y, a.place),
                {"x": x},
                {"y": y, "place": np.full(y, 7, dtype)},
            ),
            f"max_pool_backward{name}": (
                lambda b, a, window=window: b.max_pool_backward(a.dy, a.place, window, a.dx),
                {"dy": dy, "place": place},
                {"dx": x.shape},
            ),
            f"average_pool{name}": (
                lambda b, a, window=window: b.average_pool(a.x, window, 6, a.y),
                {"x": x},
                {"y": y},
            ),
            f"average_pool_backward{name}": (
                lambda b, a, window=window: b.average_pool_backward(a.dy, window, 6, a.dx),
                {"dy": dy},
                {"dx": x.shape},
            ),
        }
    found["average_pool whole"] = (
        lambda b, a: b.average_pool(a.x, Window(SIZE), 30, a.y),
        {"x": x},
        {"y": (n, 1, 1, c)},
    )
    turned = random_array(rng, (n, shape[1], 19))
    transpose = (lambda b, a: b.transpose(a.x, a.y), {"x": turned}, {"y": (n, 19, shape[1])})
    return found | {"transpose": transpose}


def products(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, tuple]:
    """Return the products of matrices, which are a library's on a GPU, in the same form."""
    n, m = shape
    inputs = {"a": random_array(rng, (n, 5)), "b": random_array(rng, (5, m))}
    turned = {name: array.T.copy() for name, array in inputs.items()}
    return {
        "matmul": (lambda b, v: b.matmul(v.a, v.b, v.out), inputs, {"out": shape}),
        "matmul transposed": (
            lambda b, v: b.matmul(v.a.T, v.b.T, v.out),
            turned,
            {"out": shape},
        ),
    }


def linear(rows: int, inputs: int, outputs: int) -> dict[str, tuple]:
    """Return what of a linear layer one launch can do, in the same form."""
    rng = np.random.default_rng(8)
    x, weight = random_array(rng, (rows, inputs)), random_array(rng, (inputs, outputs))
    bias, dy = random_array(rng, outputs), random_array(rng, (rows, outputs))
    forward, y = {"x": x, "weight": weight, "bias": bias}, {"y": (rows, outputs)}
    gradients = {"dweight": weight.shape, "dbias": bias.shape, "dx": x.shape}
    return {
        **{
            kind: (
                lambda b, v, kind=kind: b.linear_forward(kind, v.x, v.weight, v.bias, v.y, v.y),
                forward,
                y,
            )
            for kind in ("identity", "relu")
        },
        "gradient": (
            lambda b, v: b.linear_backward(
                "identity", v.dy, v.x, v.weight, v.dy, v.dy, v.dweight, v.dbias, v.dx
            ),
            {"x": x, "weight": weight, "dy": dy},
            gradients,
        ),
    }
