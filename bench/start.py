"""How long a training takes to begin: ``python -m bench.start``.

A program that trains 784-100-10 for ten steps is run with no compiled kernel on disk, and again, in
processes of their own; medians of some rounds are shown.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.tables import table

ROOT = Path(__file__).parents[1]
PROGRAM = """
import time
start = time.perf_counter()
import numba
import numpy as np
import nnkit
imported = time.perf_counter()
layers = nnkit.Linear(784, 100), nnkit.ReLU(), nnkit.Linear(100, 10)
model = nnkit.Sequential(*layers, seed=0, backend="numba")
x, t = np.zeros((640, 784), np.float32), np.arange(640) % 10
nnkit.Trainer(model, optimizer=nnkit.Adam()).fit(x, t, 1, 64, scale=1, progress=False)
print(imported - start, time.perf_counter() - imported)
"""
ROUNDS = 5


def begin(folder: str) -> tuple[float, float]:
    """Seconds that the program takes to import, and to train; compiled kernels are in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "NUMBA_CACHE_DIR": folder, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported, trained = map(float, done.stdout.split())
    return imported, trained


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each part."""
    imports, first, later = [], [], []
    for _ in range(rounds):
        with TemporaryDirectory() as folder:
            first.append(begin(folder)[1])
            imported, trained = begin(folder)
        imports.append(imported)
        later.append(trained)
    return {
        "import nnkit and numba": median(imports),
        "first training on a machine": median(first),
        "first training of a later program": median(later),
    }


def main() -> None:
    """Show the table."""
    rows = [(part, f"{seconds:.2f}") for part, seconds in measure().items()]
    print(table(("784-100-10, ten steps", "seconds"), rows))


if __name__ == "__main__":
    main()
