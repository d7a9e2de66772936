"""One of the processes that `bench.ranks` starts: it trains a network, or adds up arrays.

``python -m bench.rank train large`` and ``python -m bench.rank add 1000 100000`` are carried out by
every rank of a run, or by a process alone. Rank 0 prints what it has measured, as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median
from typing import Any

import numpy as np

from bench.networks import NAMED, data_for
from nnkit.backends import get_backend
from nnkit.distributed import Communicator, communicator
from nnkit.training import Trainer

SECONDS = 1.5
"""About how long the epochs that are timed take together; there are at least three."""
CALLS = (7, 1000)
"""How often an array is added up, at least and at most."""


def train(
    name: str, backend: str, ranks: Communicator | None, most: int | None = None
) -> dict[str, Any]:
    """Seconds for a step, of the fastest epoch, and for a sum of the gradients; their bytes.

    An epoch is of `most` steps, or of as many as the network is usually timed by.
    """
    network = NAMED[name]
    steps = min(most or network.steps, len(data_for(network).x) // network.batch_size)
    data = data_for(network).first(steps * network.batch_size)
    model = network.model(backend)
    trainer = Trainer(model, optimizer=network.make_optimizer(), communicator=ranks)

    def seconds(epochs: int) -> list[float]:
        batch = network.batch_size
        return trainer.fit(data.x, data.t, epochs, batch, progress=False).seconds[-epochs:]

    first = seconds(2)[-1]  # the one before compiles
    if ranks is not None:
        first = ranks.gather(first)[0]  # as many epochs on all
    found = seconds(max(3, min(100, int(SECONDS / first))))
    size = sum(parameter.size for parameter in model.parameters())
    return {
        "seconds": min(found) / steps,
        "bytes": 4 * size,
        "sum": 0.0 if ranks is None else add(size, backend, ranks)["seconds"],
    }


def add(size: int, backend: str, ranks: Communicator) -> dict[str, Any]:
    """Seconds for a sum of arrays of so many float32 numbers: the median of many calls."""
    place = get_backend(backend)
    array = place.zeros((size,), np.float32)
    found: list[float] = []
    while len(found) < CALLS[0] or (len(found) < CALLS[1] and sum(found) < SECONDS / 5):
        ranks.all_reduce(place, array[:1])  # so that nobody waits for the other in what is timed
        start = time.perf_counter()
        ranks.all_reduce(place, array, compress=True)
        place.synchronize()
        found.append(ranks.gather(time.perf_counter() - start)[0])
    return {"size": size, "seconds": median(found)}


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.rank", description=__doc__)
    parser.add_argument("what", choices=("train", "add"))
    parser.add_argument("of", nargs="+", help="a network's name, or sizes of arrays")
    parser.add_argument("--backend", default="numba", help="default: %(default)s")
    parser.add_argument("--compress", choices=("float16", "bfloat16"))
    parser.add_argument("--steps", type=int, help="of an epoch that is timed")
    parser.add_argument("--alone", action="store_true", help="without a communicator")
    chosen = parser.parse_args()
    ranks = None if chosen.alone else communicator(compress=chosen.compress)
    found: Any
    if chosen.what == "train":
        found = train(chosen.of[0], chosen.backend, ranks, chosen.steps)
    else:
        assert ranks is not None
        found = [add(int(size), chosen.backend, ranks) for size in chosen.of]
    if ranks is None or ranks.rank == 0:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
