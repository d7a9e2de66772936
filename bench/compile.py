"""Compile what runs on a GPU into CuPy's cache on disk: ``python -m bench.compile``.

That is every CUDA kernel of nnkit in every dtype, and those that CuPy makes of the plain code which
nnkit's are timed beside and checked with: more than a hundred, a second or more for each reduction.
Several processes do that side by side, and whoever comes later finds the kernels compiled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import numpy as np

from bench import kernels
from nnkit.backends.cupy import CupyBackend
from nnkit.dtypes import available
from nnkit.kernels import cuda
from nnkit.kernels.cores import usable_cores

MOST_WORKERS = 16
CASES = {case.title: case for case in (*kernels.LARGE_CASES, *kernels.CASES)}
"""As they are timed: what CuPy makes of a reduction depends on the size."""
LONGEST = "softmax"
"""Cases that have the most reductions, and so begin first."""

Job = Callable[..., object]


def compile_file(file: str, dtype: str) -> float:
    """Compile a file as the backend does; returns the seconds that it took."""
    import cupy

    start = time.perf_counter()
    cupy.RawModule(code=cuda.source(file), options=cuda.options(dtype)).compile()
    return time.perf_counter() - start


def run_plain(title: str) -> None:
    """Run the plain code of a case of the kernels, once."""
    backend, case = CupyBackend(), CASES[title]
    case.plain(backend.xp, kernels.arrays(case, backend))
    backend.synchronize()


def run_reference(title: str) -> None:
    """Run the reference of a large case, and compare it with itself in float32, as a kernel's."""
    backend, case = CupyBackend(), CASES[title]
    expected = kernels.reference(case, backend)
    found = {name: getattr(expected, name) for name in case.outputs}
    operands = {k: v if k == "log" else v.astype(np.float32) for k, v in found.items()}
    kernels.compare(case, expected, kernels.Arrays(**operands))


def all_jobs() -> dict[str, tuple[Job, *tuple[str, ...]]]:
    """What there is to do, by names for people."""
    plain = {f"plain {title}": (run_plain, title) for title in CASES}
    references = {
        f"float64 {title}": (run_reference, title)
        for title, case in CASES.items()
        if case.large and not case.random
    }
    of_cases = dict(sorted({**references, **plain}.items(), key=lambda job: LONGEST not in job[0]))
    files = {
        f"{file} {dtype.name}": (compile_file, file, dtype.name)
        for dtype in available(cuda.DTYPES)
        for file in cuda.files_for(dtype.name)
    }
    return of_cases | files


def attempt(job: Job, *arguments: str) -> tuple[float, str | None]:
    """Do a job; returns its seconds, and what was wrong, as not every error can be pickled."""
    start = time.perf_counter()
    try:
        job(*arguments)
    except Exception as error:
        return 0.0, str(error) or type(error).__name__
    return time.perf_counter() - start, None


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 if something does not compile or run."""
    parser = argparse.ArgumentParser(prog="python -m bench.compile", description=__doc__)
    parser.add_argument("--workers", type=int, default=min(MOST_WORKERS, usable_cores()))
    workers = parser.parse_args(arguments).workers
    start, longest, failed = time.perf_counter(), 0.0, 0
    context = multiprocessing.get_context("spawn")  # CUDA does not work in a fork
    with ProcessPoolExecutor(workers, context) as pool:
        jobs = {pool.submit(attempt, *job): name for name, job in all_jobs().items()}
        for job in as_completed(jobs):
            try:
                seconds, wrong = job.result()
            except Exception as error:  # the process has ended
                seconds, wrong = 0.0, str(error)
            longest = max(longest, seconds)
            if wrong is not None:
                failed += 1
                print(f"FAILED {jobs[job]}: {wrong}", flush=True)
    print(
        f"{len(jobs) - failed} of {len(jobs)} compiled in {time.perf_counter() - start:.1f} s by "
        f"{workers} processes, the slowest in {longest:.1f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
