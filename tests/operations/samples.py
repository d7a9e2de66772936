"""Every operation of a backend once, with its inputs and outputs, at any size.

For what runs all of them: layouts, NaN, large arrays (test_every_operation.py), capturing
(test_contract.py), the order of threads, allocations (test_cupy_backend.py), which kernels are
launched (bench/smoke.py).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from nnkit.backends.contract import Norm, Running, Update
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
        "channel_dropout": (
            lambda b, a: b.channel_dropout(a.images, 0.4, 2**33 + 5, a.at, a.y),
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
