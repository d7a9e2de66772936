"""Compile every CUDA kernel in every dtype into CuPy's cache on disk: ``python -m bench.compile``.

Several processes do that side by side, and whoever comes later finds the kernels compiled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from nnkit.dtypes import available
from nnkit.kernels import cuda
from nnkit.kernels.cores import usable_cores

MOST_WORKERS = 16


def compile_file(file: str, dtype: str) -> float:
    """Compile a file as the backend does; returns the seconds that it took."""
    import cupy

    start = time.perf_counter()
    cupy.RawModule(code=cuda.source(file), options=cuda.options(dtype)).compile()
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 if something does not compile."""
    parser = argparse.ArgumentParser(prog="python -m bench.compile", description=__doc__)
    parser.add_argument("--workers", type=int, default=min(MOST_WORKERS, usable_cores()))
    workers = parser.parse_args(arguments).workers
    start, longest, failed = time.perf_counter(), 0.0, 0
    context = multiprocessing.get_context("spawn")  # CUDA does not work in a fork
    with ProcessPoolExecutor(workers, context) as pool:
        jobs = {
            pool.submit(compile_file, file, dtype.name): f"{file} {dtype.name}"
            for dtype in available(cuda.DTYPES)
            for file in cuda.FILES
        }
        for job in as_completed(jobs):
            try:
                longest = max(longest, job.result())
            except Exception as error:
                failed += 1
                print(f"FAILED {jobs[job]}: {error}", flush=True)
    print(
        f"{len(jobs) - failed} of {len(jobs)} compiled in {time.perf_counter() - start:.1f} s by "
        f"{workers} processes, the slowest in {longest:.1f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
