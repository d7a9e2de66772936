"""Training steps and epochs on each backend, fused and layer by layer. ``make bench`` runs this."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.compare import CHECKED_STEPS, reference_loss
from bench.networks import NETWORKS, Network, initial_weights, load_data
from bench.peers.nnkit_trainer import NnkitTrainer
from bench.peers.peer import device
from bench.selection import backends
from nnkit.backends import get_backend
from nnkit.bench import products_seconds

ROUNDS = 3 if device() == "cuda" else 5
EPOCH_ROUNDS = 2
VERSIONS = {
    "captured": {"fuse": True, "capture": True},
    "fused": {"fuse": True, "capture": False},
    "layer by layer": {"fuse": False, "capture": False},
}
"""How `fit` carries out a step: as by default, without capturing it, and without fusing either."""


@contextmanager
def trained(network: Network, name: str, version: str, steps: int) -> Iterator[NnkitTrainer]:
    """A trainer that has made its first epoch, with the reference's loss after some steps."""
    data = load_data()
    cls = type("Chosen", (NnkitTrainer,), {"backend": name, "name": name, **VERSIONS[version]})
    n = steps * network.batch_size
    peer = cls(network, initial_weights(network), data.x[:n], data.t[:n])
    try:
        losses = peer.run(0)
        reference = reference_loss(network, steps)
        assert losses[CHECKED_STEPS - 1] == pytest.approx(reference, abs=peer.tolerance)
        yield peer
    finally:
        peer.close()


def timed(benchmark: Any, peer: NnkitTrainer, rounds: int) -> float | None:
    """Fastest epoch; they are numbered, since the trainer gives each an order of its own."""
    epochs = iter(range(1, rounds + 1))

    def setup() -> tuple[tuple[int], dict[str, Any]]:
        return (next(epochs),), {}

    benchmark.pedantic(peer.run, setup=setup, rounds=rounds)
    return None if benchmark.stats is None else float(benchmark.stats.stats.min)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_step(benchmark: Any, network: Network, backend: str, version: str) -> None:
    with trained(network, backend, version, network.steps) as peer:
        seconds = timed(benchmark, peer, ROUNDS)
    if seconds is not None:
        record(benchmark, network, backend, version, seconds, network.steps)


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_epoch(benchmark: Any, network: Network, backend: str) -> None:
    steps = len(load_data().x) // network.batch_size
    with trained(network, backend, "captured", steps) as peer:
        seconds = timed(benchmark, peer, EPOCH_ROUNDS)
    if seconds is not None:
        benchmark.extra_info.update(epoch_seconds=seconds)
        record(benchmark, network, backend, "epoch", seconds, steps)


def record(
    benchmark: Any, network: Network, backend: str, version: str, seconds: float, steps: int
) -> None:
    """Keep the time of one step, and that of its products in this process."""
    place = get_backend(backend)
    step = seconds / steps
    benchmark.extra_info.update(
        name=f"{network.name} / {backend} / {version}",
        network=network.name,
        label=network.label,
        backend=backend,
        version=version,
        steps=steps,
        seconds=step,
        yardstick=products_seconds(network, place, rounds=10),
        gflops=network.flops / step / 1e9,
        images_per_second=network.batch_size / step,
    )
