"""Everything a backend does, once and small, in seconds: ``python -m bench.smoke --backend cupy``.

Each operation, in each dtype and by each team of threads, against the float64 reference; then some
training steps, captured and not, which must leave the same bits. What fails does not stop the rest.
On a GPU it is also a failure if a kernel of kernels/cuda was not launched. Compute Sanitizer runs
this with ``--no-pool``, so that each array is an allocation of its own, with borders to watch.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

import nnkit
from bench.launches import counted, kernel_names
from nnkit import dtypes
from nnkit.backends import Backend, get_backend
from nnkit.training.steps import CaptureWarning
from tests.helpers import REFERENCE, Check
from tests.operations.samples import linear, operations, products

SHAPES = ((2100, 10), (9, 300), (7, 1500))
"""Rows for each team of threads in every dtype, and columns that blocks share."""
OF_LARGE_TILES = ((500, 130), (2100, 130))
"""Small products with a large tile for each multiprocessor, of GPUs that have 17 to 330."""
ULPS, STEPS, BATCH, FEATURES, CLASSES = 24, 50, 8, 21, 4
IMAGE = 7, 3, 1
"""The features as an image."""


class Report:
    """Prints as it goes, and keeps what failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def attempt(self, what: str, call: Callable[[], object]) -> None:
        """Note an exception and go on."""
        try:
            call()
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            self.failed.append(what)
            print(f"FAILED {what}: {type(error).__name__}: {' | '.join(lines[:8])}", flush=True)


def check_operations(backend: Backend, dtype: np.dtype, report: Report) -> int:
    """Run each operation at each size; return how many that were."""
    done = 0
    for shape in SHAPES:
        listed = operations(np.random.default_rng(7), shape, dtype)
        layer = linear(shape[0], 17, shape[1])
        listed |= {name: (*run, {"scale": sum(shape)}) for name, run in layer.items()}
        for name, (run, inputs, outputs, *options) in listed.items():
            how = options[0] if options else {}
            check = Check(backend, dtype)
            call = partial(check, run, inputs, outputs, ulps=ULPS, **how)
            report.attempt(f"{dtype} {shape[0]}x{shape[1]} {name}", call)
            done += 1
    for shape in OF_LARGE_TILES:
        for name, (run, inputs, outputs) in products(np.random.default_rng(7), shape).items():
            call = partial(Check(backend, dtype), run, inputs, outputs, ulps=ULPS, scale=5)
            report.attempt(f"{dtype} {shape[0]}x{shape[1]} {name}", call)
            done += 1
    return done


def of_rows() -> list[nnkit.Layer]:
    """Layers of rows."""
    hidden = nnkit.Linear(FEATURES, 30), nnkit.BatchNorm1d(30), nnkit.ReLU(), nnkit.Dropout(0.2)
    return [*hidden, nnkit.Linear(30, CLASSES)]


def of_images() -> list[nnkit.Layer]:
    """Layers of images: convolutions of few channels and of many, and pooling."""
    first = nnkit.Conv2d(1, 8, 3, padding=1), nnkit.ReLU(), nnkit.MaxPool2d((2, 1))
    second = nnkit.Conv2d(8, 16, (3, 1)), nnkit.ReLU(), nnkit.GlobalAvgPool2d()
    return [nnkit.Image(*IMAGE), *first, *second, nnkit.Linear(16, CLASSES)]


def train(
    backend: Backend,
    dtype: np.dtype,
    steps: int,
    capture: bool,
    layers: Callable[[], list[nnkit.Layer]],
) -> tuple[bytes, np.ndarray]:
    """Train a small network; returns its weights' bits and the losses."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (BATCH * steps, FEATURES)).astype(np.uint8)
    t = rng.integers(0, CLASSES, len(x))
    model = nnkit.Sequential(*layers(), seed=0, backend=backend, dtype=dtype)
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(lr=1e-2))
    history = trainer.fit(x, t, epochs=1, batch_size=BATCH, compile=capture)
    return backend.to_numpy(model.flat.values).tobytes(), np.array(history.step_loss)


def check_training(backend: Backend, dtype: np.dtype, steps: int) -> None:
    """Assert that captured steps are the others to the bit, and in float64 those of NumPy."""
    for layers in (of_rows, of_images):
        with warnings.catch_warnings():
            warnings.simplefilter("error", CaptureWarning)
            weights, losses = train(backend, dtype, steps, True, layers)
        plain_weights, plain_losses = train(backend, dtype, steps, False, layers)
        assert np.isfinite(losses).all(), "a loss is not finite"
        assert losses.tobytes() == plain_losses.tobytes(), "captured steps have other losses"
        assert weights == plain_weights, "captured steps leave other weights"
        if dtype == np.float64:
            want = train(REFERENCE, dtype, steps, False, layers)[1]
            np.testing.assert_allclose(losses, want, rtol=1e-6)


def check_launches(name: str, launches: Counter[str], report: Report) -> None:
    """Say which kernels were launched in a dtype, and note those that were not."""
    print(
        f"{name} launched:", ", ".join(f"{k} {launches[k]}" for k in sorted(launches)), flush=True
    )
    missing = kernel_names(name) - set(launches)
    if missing:
        report.failed.append(f"{name} never launched: {' '.join(sorted(missing))}")
        print(report.failed[-1], flush=True)


def smoke(backend: Backend, names: Sequence[str], steps: int = STEPS) -> list[str]:
    """Check everything in the dtypes of these names; returns what failed."""
    report = Report()
    for name in names:
        dtype, start = dtypes.parse(name), time.perf_counter()
        with counted(backend) as launches:
            done = check_operations(backend, dtype, report)
            report.attempt(f"{name} training", partial(check_training, backend, dtype, steps))
        seconds = time.perf_counter() - start
        print(f"{name}: {done} operations, 2 x {steps} steps, {seconds:.1f} s", flush=True)
        if backend.name == "cupy":
            check_launches(name, launches, report)
    return report.failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.smoke", description=__doc__)
    parser.add_argument("--backend", default="auto", help="default: %(default)s")
    parser.add_argument("--dtypes", help="names, with commas (default: all of the backend)")
    parser.add_argument("--steps", type=int, default=STEPS, help="default: %(default)s")
    parser.add_argument("--no-pool", action="store_true", help="allocate without CuPy's pool")
    chosen = parser.parse_args(arguments)
    if chosen.no_pool:
        import cupy

        cupy.cuda.set_allocator(None)
    backend = get_backend(chosen.backend)
    everything = [dtype.name for dtype in dtypes.available(backend.dtypes)]
    names = chosen.dtypes.split(",") if chosen.dtypes else everything
    start = time.perf_counter()
    failed = smoke(backend, names, chosen.steps)
    verdict = f"{len(failed)} failed" if failed else "all right"
    print(f"{backend.name}: {verdict}, {time.perf_counter() - start:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
