"""Where the time of a captured step goes on the Numba backend: ``python -m bench.parts medium``.

The calls of one operation after the other are taken out of the recorded step, and what is left is
timed in turn with the whole. What an operation costs in its place, where others have moved its data
to other caches, is more than it takes when it is repeated alone.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from bench.tables import table
from nnkit import SoftmaxCrossEntropy, Trainer
from nnkit.backends.numba import NumbaBackend, create
from nnkit.bench import NETWORKS, Network
from nnkit.kernels.numba.runtime import threads
from nnkit.showing.words import counted

ROUNDS = 15
FIRST = 1, 1, 0
"""Counters before the second step: batches, updates and random forwards so far."""


def recorded(network: Network, backend: NumbaBackend) -> tuple[Any, list[str], Any]:
    """Train for an epoch; returns the step's tape, its operations and the counters."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (network.steps * network.batch_size, network.sizes[0]), np.uint8)
    t = rng.integers(0, network.sizes[-1], len(x))
    trainer = Trainer(network.model(backend), SoftmaxCrossEntropy(), network.make_optimizer())
    found: list[Any] = []
    record = NumbaBackend._record

    def keep(self: NumbaBackend, step: Any) -> Any:
        found.append(record(self, step))
        return found[-1]

    with patch.object(NumbaBackend, "_record", keep):
        trainer.fit(x, t, epochs=1, batch_size=network.batch_size, progress=False)
    recording = found[0]
    names = [call[0] for call in recording.calls]
    return recording.tapes[0], names, trainer.optimizer.counters


def parts(network: Network, backend: NumbaBackend, rounds: int = ROUNDS) -> dict[str, float]:
    """Microseconds of a step, and of the calls of each of its operations together."""
    tape, names, counters = recorded(network, backend)
    whole = np.array(tape._instructions, np.int64)
    passes = network.steps // 4

    def timed(instructions: np.ndarray) -> float:
        counters[:] = FIRST
        start = time.perf_counter()
        threads.carry_out(instructions, passes, tape._team)
        return (time.perf_counter() - start) / passes * 1e6

    found = {"the whole step": median(timed(whole) for _ in range(rounds))}
    for operation, calls in Counter(names).items():
        if operation != "advance":
            rest = whole[[name != operation for name in names]]
            costs = [timed(whole) - timed(rest) for _ in range(rounds)]
            found[f"{operation}, {counted(calls, 'call')}"] = median(costs)
    return found


def main() -> None:
    """Show the parts of the networks that are named, of all without a name."""
    backend = create()
    for name in sys.argv[1:] or NETWORKS:
        network = NETWORKS[name]
        rows = [(part, f"{cost:,.1f}") for part, cost in parts(network, backend).items()]
        print(table((network.label, "us"), rows), end="\n\n")


if __name__ == "__main__":
    main()
