"""Small products on a GPU, by nnkit's kernel and by cuBLASLt: ``python -m bench.small_products``.

Each product of the layers of four networks, and captured steps of three, both ways in one process.
``--divisions`` times other tiles, and numbers of blocks that share one, for the thresholds in
nnkit/backends/cupy/small_products.py. A product is timed in a CUDA graph of 16 of it, as in a step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

import nnkit
from bench.networks import NAMED
from bench.timing import device_seconds
from nnkit.backends import Array, Backend, get_backend
from nnkit.backends.cupy import small_products
from nnkit.backends.cupy.graphs import STEPS_PER_GRAPH
from nnkit.bench import Network

NETWORKS = tuple(
    network
    for name in ("tiny-batch", "one-hidden", "medium", "large")
    if isinstance(network := NAMED[name], Network)
)
QUICK = Network("quick", (40, 20, 4), 8, "SGD", 0.1, 5)
DIVISIONS = ((16, 1), (16, 2), (16, 4), (16, 8), (32, 1))
"""Rows and columns of a tile, and blocks that share it."""
EPOCHS, FEW_ROUNDS = 6, 3


class Product(NamedTuple):
    """A product of a layer: rows, depth and columns, what it is, and how it is made."""

    size: tuple[int, int, int]
    name: str
    run: Callable[[Backend, Array, Array, Array, Array], object]
    """Takes the factors as they lie in memory, the result, and the bias or its gradient."""
    turned: tuple[bool, bool] = (False, False)
    """Which factors are transposed."""


def _forward(backend: Backend, x: Array, w: Array, y: Array, bias: Array) -> None:
    backend.linear_forward("relu", x, w, bias, y, y)


def _weights(backend: Backend, x: Array, dz: Array, dw: Array, dbias: Array) -> None:
    backend.linear_backward("identity", dz, x, dw, dz, dz, dw, dbias, None)


def _inputs(backend: Backend, dz: Array, w: Array, dx: Array, _: Array) -> None:
    backend.matmul(dz, w.T, dx)


def products(network: Network) -> Iterator[Product]:
    """Yield those of a step: forward, and the gradients of the weights and of the inputs."""
    n = network.batch_size
    for i, (inputs, outputs) in enumerate(pairwise(network.sizes)):
        yield Product((n, inputs, outputs), "x @ W", _forward)
        yield Product((inputs, n, outputs), "x.T @ dz", _weights, (True, False))
        if i:
            yield Product((n, outputs, inputs), "dz @ W.T", _inputs, (False, True))


@contextmanager
def chosen(ours: bool, division: tuple[int, int] | None = None) -> Iterator[None]:
    """Have nnkit's kernel, or cuBLASLt, make every product."""
    usual = small_products.division
    with (
        patch.object(small_products, "small", lambda *_: ours),
        patch.object(small_products, "division", lambda *s: division or usual(*s)),
    ):
        yield


def microseconds(backend: Backend, product: Product, rounds: int) -> tuple[float, float]:
    """Time a product; the largest error of its result too, as a share of the largest number."""
    (n, k, m), rng = product.size, np.random.default_rng(0)
    a, b = rng.standard_normal((n, k), np.float32), rng.standard_normal((k, m), np.float32)
    pair = zip((a, b), product.turned, strict=True)
    arrays = [backend.asarray(np.ascontiguousarray(x.T if turned else x)) for x, turned in pair]
    out, vector = backend.zeros((n, m), np.float32), backend.zeros(m, np.float32)

    def call() -> None:
        product.run(backend, *arrays, out, vector)

    call()
    want = a.astype(np.float64) @ b
    if product.run is _forward:
        want = np.maximum(want, 0)
    error = abs(backend.to_numpy(out) - want).max() / abs(want).max()
    replay = backend.capture(call)
    seconds = device_seconds(lambda: replay(STEPS_PER_GRAPH), rounds) / STEPS_PER_GRAPH
    return seconds * 1e6, float(error)


def print_products(backend: Backend, networks: Sequence[Network], divisions: bool) -> None:
    """Print a table of the products of networks, each shape once."""
    multiprocessors = backend.xp.cuda.Device().attributes["MultiProcessorCount"]
    heads = [f"{tile}/{blocks}" for tile, blocks in DIVISIONS] if divisions else []
    cells = "own us", "cuBLASLt us", "own error", "its error", "tile", "small", *heads
    print(f"{'product':10}{'size':>15}", *(f"{cell:>11}" for cell in cells))
    done: set[tuple[str, tuple[int, int, int]]] = set()
    for network in networks:
        print(network.label)
        for product in products(network):
            if (product.name, product.size) in done:
                continue
            done.add((product.name, product.size))
            with chosen(True):
                ours, error = microseconds(backend, product, 7)
            with chosen(False):
                theirs, other_error = microseconds(backend, product, 7)
            tile, blocks = small_products.division(*product.size, multiprocessors)
            others = []
            for division in DIVISIONS if divisions else ():
                with chosen(True, division):
                    others.append(f"{microseconds(backend, product, FEW_ROUNDS)[0]:.2f}")
            size, yes = (
                "x".join(map(str, product.size)),
                small_products.small(*product.size, multiprocessors),
            )
            row = (
                *(f"{ours:.2f}", f"{theirs:.2f}", f"{error:.1e}", f"{other_error:.1e}"),
                *(f"{tile}/{blocks}", "yes" if yes else "no", *others),
            )
            print(f"{product.name:10}{size:>15}", *(f"{cell:>11}" for cell in row), flush=True)


class Clock(nnkit.Callback):
    """Notes when each epoch has ended on the device."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_epoch_end(self, trainer: nnkit.Trainer) -> None:
        trainer.model.backend.synchronize()
        self.times.append(time.perf_counter())


def step_microseconds(backend: Backend, network: Network) -> float:
    """Time captured steps: the fastest epoch but the first, which captures them."""
    rng, clock = np.random.default_rng(0), Clock()
    n = network.steps * network.batch_size
    x = rng.random((n, network.sizes[0]), np.float32)
    t = rng.integers(0, network.sizes[-1], n)
    trainer = nnkit.Trainer(network.model(backend), optimizer=network.make_optimizer())
    trainer.fit(x, t, EPOCHS, network.batch_size, callbacks=[clock], progress=False)
    return float(np.diff(clock.times).min()) / network.steps * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.small_products", description=__doc__)
    parser.add_argument("--divisions", action="store_true", help="time other divisions too")
    parser.add_argument(
        "--quick", action="store_true", help="a tiny network, which a simulator can make"
    )
    options = parser.parse_args(arguments)
    backend, networks = get_backend("cupy"), [QUICK] if options.quick else NETWORKS
    print_products(backend, networks, options.divisions)
    for network in networks[:3]:
        found = []
        for limit in (small_products.MOST_WORK, 0):
            with patch.object(small_products, "MOST_WORK", limit):
                found.append(step_microseconds(backend, network))
        print(
            f"a step of {network.label}: {found[0]:.1f} us, with cuBLASLt alone {found[1]:.1f} us"
        )


if __name__ == "__main__":
    main()
