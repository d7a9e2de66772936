"""A process that holds one peer and trains when the parent says so: ``python -m bench.worker KEY``.

It reads one JSON object a line and answers each with one: ``{"build": network, "steps": n}`` with
the losses of the first epoch, ``{"run": epoch}`` with the seconds it took, ``{"close": true}`` with
an empty one; ``{"error": ...}`` where something failed.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from bench import peers
from bench.networks import NAMED, data_for, initial_weights
from bench.peers.peer import Peer


class Worker:
    """Carries out the parent's requests."""

    def __init__(self, key: str) -> None:
        self.cls = peers.load(key)
        self.peer: Peer | None = None

    def hello(self) -> dict[str, Any]:
        return {
            "name": self.cls.name,
            "versions": self.cls.versions(),
            "trains": self.cls.trains,
            "takes": [name for name, network in NAMED.items() if self.cls.takes(network)],
            "builds_alone": self.cls.builds_alone,
            "tolerance": self.cls.tolerance,
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "build" in request:
            return self.build(request["build"], request["steps"])
        if "run" in request:
            return self.run(request["run"])
        self.close()
        return {}

    def build(self, name: str, steps: int) -> dict[str, Any]:
        self.close()
        network = NAMED[name]
        data = data_for(network)
        n = min(steps * network.batch_size, len(data.x))
        start = time.perf_counter()
        self.peer = self.cls(network, initial_weights(network), data.x[:n], data.t[:n])
        losses = self.peer.run(0)
        return {
            "losses": [float(loss) for loss in losses],
            "steps": self.peer.steps,
            "seconds": time.perf_counter() - start,
        }

    def run(self, epoch: int) -> dict[str, Any]:
        assert self.peer is not None
        start = time.perf_counter()
        losses = self.peer.run(epoch)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "loss": float(losses.mean())}

    def close(self) -> None:
        if self.peer is not None:
            self.peer.close()
            self.peer = None


def serve(key: str, requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more."""

    def send(make: Callable[[], dict[str, Any]]) -> bool:
        try:
            answer = make()
        except Exception as error:
            if not isinstance(error, ImportError):
                traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}
        print(json.dumps(answer), file=answers, flush=True)
        return "error" not in answer

    worker: Worker

    def start() -> dict[str, Any]:
        nonlocal worker
        worker = Worker(key)
        return worker.hello()

    if send(start):
        for line in requests:
            request = json.loads(line)
            send(lambda request=request: worker.answer(request))


def main() -> None:
    """Keep the pipe to the parent for answers alone; what libraries print goes to stderr."""
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.argv[1], sys.stdin, answers)


if __name__ == "__main__":
    main()
