"""nnkit against what else a user could take: ``make bench-compare``.

Every peer trains the same network from the same weights on the same batches, in a process of its
own. They take turns, A B C A B C, and the ratios are those of one round, so that a busy machine
hurts all alike.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import results
from bench.children import ANSWER_SECONDS, Child, PeerError
from bench.machine import Busyness
from bench.networks import (
    CONVOLUTIONAL,
    GROUPS,
    NAMED,
    Trained,
    data_for,
    initial_weights,
)
from bench.peers import PEERS
from bench.peers.numpy_by_hand import NumpyByHand
from bench.summaries import headline, show

CHECKED_STEPS = 50
BASES = {"cpu": ("nnkit-numba", "nnkit-numpy"), "cuda": ("nnkit-cupy",)}
"""What the others' times are divided by: the first of these that is there."""
YARDSTICK = "products"


@dataclass
class Turns:
    """What one peer did on one network."""

    child: Child
    steps: int
    loss: float
    """After `CHECKED_STEPS`, or all steps of an epoch that has fewer."""
    first_epoch: float
    """Seconds for building the model and the first epoch, compilation included."""
    seconds: list[float] = field(default_factory=list)
    """Per step, of each round."""


class Comparison:
    """Starts the peers side by side, and measures network after network.

    `absent` says why a peer is not there, `failed` what went wrong with one that is.
    """

    def __init__(
        self, keys: Sequence[str], device: str, threads: int, patience: float = ANSWER_SECONDS
    ) -> None:
        self.device = device
        self.absent: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.children: dict[str, Child] = {}
        for child in [Child(key, device, threads, patience) for key in keys]:
            try:
                child.greet()
                self.children[child.key] = child
            except PeerError as error:
                self.absent[child.key] = str(error)
        self.base = next((key for key in BASES[device] if key in self.children), None)

    def close(self) -> None:
        """End all processes."""
        for child in self.children.values():
            child.stop()

    def measure(self, network: Trained, rounds: int, steps: int | None) -> list[dict[str, Any]]:
        """Results of all peers on a network; empty without nnkit itself."""
        turns = self._prepare(network, steps or network.steps)
        waiting = {key: self._waiting(turn.child) for key, turn in turns.items()}
        start = time.perf_counter()
        for epoch in range(1, rounds + 1):
            first = epoch % max(1, len(turns))
            for key in (*list(turns)[first:], *list(turns)[:first]):
                self._turn(network, turns, key, epoch)
        wall = time.perf_counter() - start
        if self.base not in turns:
            return []
        idle = {key: self._waiting(turn.child) - waiting[key] for key, turn in turns.items()}
        return [self._result(network, turns, key, idle[key] / wall) for key in turns]

    def _prepare(self, network: Trained, steps: int) -> dict[str, Turns]:
        """Build the network with every peer; those whose loss is not the reference's are out.

        On a GPU, where compiling keeps a core busy for each, they build it at once, and then, one
        after the other, those that choose kernels by their times.
        """
        reference = reference_loss(network, steps)
        turns = {}
        for group in self._groups():
            able = [child for child in group if network.name in child.hello["takes"]]
            asked = [child for child in able if self._build(network, child, steps)]
            for child in asked:
                try:
                    turns[child.key] = self._built(child, reference)
                except PeerError as error:
                    self.failed[f"{network.name} / {child.key}"] = str(error)
        return {key: turns[key] for key in self.children if key in turns}

    def _groups(self) -> list[list[Child]]:
        """Those that build a network side by side; the groups take turns."""
        children = list(self.children.values())
        if self.device == "cpu":
            return [[child] for child in children]
        alone = [[child] for child in children if child.hello["builds_alone"]]
        return [[child for child in children if not child.hello["builds_alone"]], *alone]

    def _build(self, network: Trained, child: Child, steps: int) -> bool:
        try:
            child.send(build=network.name, steps=steps)
        except PeerError as error:
            self.failed[f"{network.name} / {child.key}"] = str(error)
            return False
        return True

    @staticmethod
    def _built(child: Child, reference: float) -> Turns:
        built = child.answer()
        losses = built["losses"][:CHECKED_STEPS]
        if child.hello["trains"] and abs(losses[-1] - reference) > child.hello["tolerance"]:
            raise PeerError(
                f"after {len(losses)} steps its loss is {losses[-1]:.5f}, not {reference:.5f}"
            )
        return Turns(child, built["steps"], losses[-1], built["seconds"])

    def _turn(self, network: Trained, turns: dict[str, Turns], key: str, epoch: int) -> None:
        turn = turns[key]
        try:
            turn.seconds.append(turn.child.ask(run=epoch)["seconds"] / turn.steps)
        except PeerError as error:
            self.failed[f"{network.name} / {key}"] = str(error)
            del turns[key]

    @staticmethod
    def _waiting(child: Child) -> float:
        """CPU seconds that a child used while others had their turn."""
        return child.cpu_seconds() - child.own_seconds

    def _result(
        self, network: Trained, turns: dict[str, Turns], key: str, idle_cores: float
    ) -> dict[str, Any]:
        turn = turns[key]
        yardstick = turns.get(YARDSTICK)
        assert self.base is not None
        return {
            "name": f"{network.name} / {key}",
            "network": network.name,
            "label": network.label,
            "peer": key,
            "title": turn.child.hello["name"],
            "seconds": median(turn.seconds),
            "yardstick": median(yardstick.seconds) if yardstick and key != YARDSTICK else None,
            "ratio": spread(turn.seconds, turns[self.base].seconds),
            "gflops": network.flops / median(turn.seconds) / 1e9,
            "rounds": turn.seconds,
            "steps": turn.steps,
            "loss": turn.loss if turn.child.hello["trains"] else None,
            "first_epoch_seconds": turn.first_epoch,
            "idle_cores": idle_cores,
        }


@cache
def reference_loss(network: Trained, steps: int) -> float:
    """Loss of NumPy by hand after `CHECKED_STEPS`, or after all where there are fewer."""
    data = data_for(network)
    n = min(steps * network.batch_size, len(data.x))
    peer = NumpyByHand(network, initial_weights(network), data.x[:n], data.t[:n])
    for i in peer.batches(0)[:CHECKED_STEPS]:
        loss = peer.step(peer.x[i], peer.t[i])
    return float(loss)


def spread(seconds: Sequence[float], base: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest ratio of two peers' times in the same round."""
    ratios = [a / b for a, b in zip(seconds, base, strict=True)]
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)}


def run(
    networks: Sequence[str],
    keys: Sequence[str],
    *,
    device: str = "cpu",
    threads: int = 2,
    rounds: int = 9,
    steps: int | None = None,
    patience: float = ANSWER_SECONDS,
    keep: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Compare, and return the record; between the networks, `keep` is given it so far."""
    busyness = Busyness()
    comparison = Comparison(keys, device, threads, patience)
    sources = dict.fromkeys(data_for(NAMED[name]).source for name in networks)
    settings = {"threads": threads, "device": device, "rounds": rounds, "data": "; ".join(sources)}
    rows: list[dict[str, Any]] = []
    try:
        for name in networks:
            if rows and keep is not None:
                keep(results.partly(_record(comparison, rows, settings, busyness)))
            start = time.perf_counter()
            rows += comparison.measure(NAMED[name], rounds, steps)
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        return _record(comparison, rows, settings, busyness)
    finally:
        comparison.close()


def _record(
    comparison: Comparison,
    rows: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    busyness: Busyness,
) -> dict[str, Any]:
    children = comparison.children
    own = time.process_time() + sum(child.cpu_seconds() for child in children.values())
    versions = {k: v for child in children.values() for k, v in child.hello["versions"].items()}
    found = {
        "base": children[comparison.base].hello["name"] if comparison.base else None,
        "absent": dict(comparison.absent),
        "failed": dict(comparison.failed),
        "busy_elsewhere_cores": busyness.elsewhere(own),
    }
    device = comparison.device
    of_images = bool(rows) and all(row["network"] in CONVOLUTIONAL for row in rows)
    what = "convolutional" if of_images else "compare"
    return results.make(what, rows, device=device, versions=versions, settings=settings | found)


def chosen_networks(text: str) -> list[str]:
    """Names of networks, of which some may be groups; raises ValueError for what is neither."""
    names = [name for part in text.split(",") for name in GROUPS.get(part, (part,))]
    for name in names:
        if name not in NAMED:
            known = ", ".join([*GROUPS, *NAMED])
            raise ValueError(f"there is no network {name!r} to compare: choose some of {known}")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns 1 where a peer that is there failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument(
        "--networks",
        type=chosen_networks,
        default="linear",
        help=f"some of: {','.join([*GROUPS, *NAMED])} (default: %(default)s)",
    )
    parser.add_argument("--peers", help="default: all of the device")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each (default: 2)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each (default: 9)")
    parser.add_argument("--steps", type=int, help="steps in a turn (default: the network's own)")
    parser.add_argument(
        "--patience",
        type=float,
        default=ANSWER_SECONDS,
        help="longest wait for a peer, in seconds (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, default=results.FOLDER, help="default: %(default)s")
    chosen = parser.parse_args(arguments)
    if chosen.steps is not None and chosen.steps < 1:
        parser.error(f"--steps must be at least 1, not {chosen.steps}")
    record = run(
        chosen.networks,
        chosen.peers.split(",") if chosen.peers else PEERS[chosen.device],
        device=chosen.device,
        threads=chosen.threads,
        rounds=chosen.rounds,
        steps=chosen.steps,
        patience=chosen.patience,
        keep=partial(results.save, folder=chosen.output),
    )
    print(show(record))
    if not record["results"]:
        return 1
    path = results.save(record, chosen.output)
    print(f"\n{path}")
    try:
        from bench.chart import draw
    except ImportError:
        print("no chart: Matplotlib is not installed")
    else:
        print(draw(record, path.with_suffix(".png")))
    print(headline(record))
    return 1 if record["settings"]["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
