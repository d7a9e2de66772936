"""XOR by the textbooks' 2-6-1 network: 20,000 full-batch steps, beside PyTorch's eager loop.

``python -m bench.xor``: both in one process, in turn, from the same weights, to the same loss.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import nnkit

STEPS, LR, ROUNDS = 20_000, 0.5, 5
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
T = np.array([[0], [1], [1], [0]], np.float32)


def model() -> nnkit.Sequential:
    """Build the network with the weights that all begin with."""
    layers = nnkit.Linear(2, 6), nnkit.Sigmoid(), nnkit.Linear(6, 1)
    return nnkit.Sequential(*layers, seed=1)


def by_nnkit(steps: int) -> tuple[float, float]:
    """Train; return the seconds that took, and the last loss."""
    trainer = nnkit.Trainer(model(), nnkit.SigmoidCrossEntropy(), nnkit.SGD(LR))
    start = time.perf_counter()
    history = trainer.fit(X, T, epochs=steps, batch_size=4, shuffle=False, progress=False)
    seconds = time.perf_counter() - start
    if steps == STEPS:
        assert (trainer.predict(X) == T).all(), "XOR was not learned"
    return seconds, history.loss[-1]


def by_pytorch(steps: int) -> tuple[float, float]:
    """Do the same by PyTorch, step by step."""
    import torch

    ours = model()
    net = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.Sigmoid(), torch.nn.Linear(6, 1))
    with torch.no_grad():
        for linear, i in ((net[0], 0), (net[2], 2)):
            linear.weight.copy_(torch.from_numpy(ours[i].W.to_numpy().T))
            linear.bias.zero_()
    x, t = torch.from_numpy(X), torch.from_numpy(T)
    optimizer = torch.optim.SGD(net.parameters(), LR)
    loss_of = torch.nn.BCEWithLogitsLoss()
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(net(x), t)
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start, float(loss.detach())


def main() -> None:
    """Warm up, take turns, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    peers: dict[str, Callable[[int], tuple[float, float]]] = {
        f"nnkit {nnkit.current_backend().name}": by_nnkit
    }
    try:
        import torch  # noqa: F401

        peers["PyTorch eager"] = by_pytorch
    except ModuleNotFoundError:
        print("PyTorch is not installed: only nnkit is measured")
    times: dict[str, list[float]] = {name: [] for name in peers}
    losses: dict[str, Any] = {}
    for run in peers.values():
        run(2000)
    for _ in range(rounds):
        for name, run in peers.items():
            seconds, losses[name] = run(STEPS)
            times[name].append(seconds)
    ours, *others = peers
    for name, seconds in times.items():
        ratio = median(b / a for a, b in zip(times[ours], seconds, strict=True))
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        print(
            f"{name:16} {median(seconds):8.3f} s ({spread})  {ratio:6.1f}x  loss {losses[name]:.6f}"
        )
    for name in others:
        assert np.isclose(losses[ours], losses[name], rtol=1e-2), "the losses do not agree"


if __name__ == "__main__":
    main()
