"""Cost against size: time per training step and memory, by batch, width, depth and data set size;
for a network of convolutions by batch.

``python -m bench.scaling`` records and draws it. Each point is the fastest epoch of a captured
``Trainer.fit`` with Adam; the limit is the arithmetic of the step's products at the speed of the
largest product measured in the same process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench import results
from bench.convolutional import DIGITS, ConvNetwork, small_conv
from bench.networks import Trained
from nnkit.backends import Backend, available_backends, get_backend
from nnkit.bench import Network
from nnkit.training import Trainer

SWEEPS: dict[str, tuple[int, ...]] = {
    "batch": (1, 4, 16, 64, 256, 1024),
    "width": (8, 32, 128, 512, 1024),
    "depth": (1, 2, 4, 8, 16, 32),
    "examples": (1_000, 10_000, 100_000, 400_000),
    "images": (1, 4, 16, 64, 256),
}
TITLES = {
    "batch": "784-256-256-10, by batch size",
    "width": "two hidden layers, batch 64, by their width",
    "depth": "layers 64 wide, batch 32, by their number",
    "examples": "784-100-10, batch 100, by examples",
    "images": "3x3x32-3x3x64-128-10, by batch size",
}
AXES = {"images": "batch of images"}
"""What lies along a sweep, if not its name."""
COLORS = {"numpy": "#0072B2", "numba": "#D55E00", "cupy": "#009E73"}
SECONDS = 0.15
"""About how long an epoch that is measured should take."""


def point(sweep: str, size: int) -> tuple[Trained, int]:
    """Return the network of one point, and how many examples it is trained on."""
    if sweep == "images":
        title = TITLES[sweep]
        return ConvNetwork(f"images={size}", title, small_conv, DIGITS, size, steps=1), 1024
    hidden, batch, examples = [256, 256], 128, 8192
    if sweep == "batch":
        batch = size
    elif sweep == "width":
        hidden, batch = [size, size], 64
    elif sweep == "depth":
        hidden, batch = [64] * size, 32
    else:
        hidden, batch, examples = [100], 100, size
    sizes = (784, *hidden, 10)
    return Network(f"{sweep}={size}", sizes, batch, "Adam", 1e-3, 1), examples


def measure(backend: Backend, network: Trained, examples: int) -> dict[str, float]:
    """Seconds per step of the fastest of a few epochs, and the most bytes of arrays at once."""
    _train(backend, network, network.batch_size)  # compiles, for which there is memory, too
    tracemalloc.start()
    trainer, x, t = _train(backend, network, examples)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    first = trainer.fit(x, t, epochs=1, batch_size=network.batch_size, progress=False).seconds[0]
    epochs = int(min(20, max(2, SECONDS / first)))
    seconds = trainer.fit(
        x, t, epochs=epochs, batch_size=network.batch_size, progress=False
    ).seconds
    if backend.name == "cupy":
        most = backend.xp.get_default_memory_pool().total_bytes()
    return {"seconds": min(seconds) / -(-examples // network.batch_size), "bytes": most}


def _train(backend: Backend, network: Trained, examples: int) -> tuple[Trainer, Any, Any]:
    """A trainer after its first epoch, and the examples of that."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (examples, 784), np.uint8)
    t = rng.integers(0, 10, examples)
    trainer = Trainer(network.model(backend), optimizer=network.make_optimizer())
    trainer.fit(x, t, epochs=1, batch_size=network.batch_size, progress=False)
    return trainer, x, t


def peak_flops(backend: Backend, n: int = 2048) -> float:
    """Additions and multiplications per second of a large float32 product."""
    a = backend.asarray(np.random.default_rng(0).random((n, n), np.float32))
    out, best = backend.empty((n, n), np.float32), np.inf
    for _ in range(4):
        backend.synchronize()
        start = time.perf_counter()
        backend.matmul(a, a, out)
        backend.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def run(backends: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Measure all points on each backend, in a process of its own.

    The threads of NumPy's BLAS spin for a while on the cores that the Numba backend's need.
    """
    for name in backends:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as process:
            yield from process.submit(_rows, name).result()


def _rows(name: str) -> list[dict[str, Any]]:
    return list(_points(name))


def _points(name: str) -> Iterator[dict[str, Any]]:
    backend = get_backend(name)
    peak = peak_flops(backend)
    for sweep, sizes in SWEEPS.items():
        for size in sizes:
            network, examples = point(sweep, size)
            row = measure(backend, network, examples)
            print(f"{name:6} {network.name:16} {row['seconds'] * 1e6:10,.1f} us", flush=True)
            yield {
                "name": f"{network.name} {name}",
                "sweep": sweep,
                "size": size,
                "backend": name,
                "yardstick": network.flops / peak,
                **row,
            }


def draw(record: dict[str, Any], path: Path) -> Path:
    """Draw a row of panels for time and one for memory."""
    figure = Figure(figsize=(17, 7), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(SWEEPS))
    for column, sweep in enumerate(SWEEPS):
        rows = [row for row in record["results"] if row["sweep"] == sweep]
        _panel(panels[0, column], rows, "seconds", 1e6)
        _panel(panels[1, column], rows, "bytes", 2**-20)
        panels[0, column].set_title(TITLES[sweep], fontsize=10)
        panels[1, column].set_xlabel(AXES.get(sweep, sweep))
    panels[0, 0].set_ylabel("time per training step, µs")
    panels[1, 0].set_ylabel("memory of arrays, the data set's included, MiB")
    panels[0, 0].legend(frameon=False, fontsize=9)
    machine = record["machine"]
    where = machine.get("gpu") or f"{machine['cpu']}, {machine['cores']} cores"
    figure.suptitle(
        f"Cost against size: where overhead ends and arithmetic begins   ({where}, "
        f"{record['date']})"
    )
    figure.savefig(path)
    return path


def _panel(axes: Axes, rows: list[dict[str, Any]], field: str, unit: float) -> None:
    for name in dict.fromkeys(row["backend"] for row in rows):
        mine = [row for row in rows if row["backend"] == name]
        sizes = [row["size"] for row in mine]
        axes.plot(sizes, [row[field] * unit for row in mine], "o-", color=COLORS[name], label=name)
        if field == "seconds":
            limit = [row["yardstick"] * unit for row in mine]
            label = f"plain arithmetic at {name}'s peak"
            axes.plot(sizes, limit, ":", color=COLORS[name], label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Measure, record, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="*", default=available_backends())
    parser.add_argument("--output", type=Path, default=results.FOLDER)
    options = parser.parse_args()
    device = "cuda" if "cupy" in options.backends else "cpu"
    record = results.make("scaling", list(run(options.backends)), device=device)
    path = results.save(record, options.output)
    print(path, draw(record, path.with_suffix(".png")), sep="\n")


if __name__ == "__main__":
    main()
