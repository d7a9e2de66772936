"""Threads, forks and processes at random, and what is left behind: see `make stress`."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
import tracemalloc
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import nnkit
from tests.stress import concurrency
from tests.stress.concurrency import ACTIONS, Shared, fitted, trainer
from tests.stress.share import SHARE, first_seed, share_of
from tests.test_forking import failures

pytest.importorskip("numba")

BACKENDS = ("numpy", "numba") if SHARE else ("numba",)
SECONDS = 120
"""After that something hangs."""
THREADS = 3

only_with_a_share = pytest.mark.skipif(not SHARE, reason="make stress; tests/ has one of its kind")


def act(shared: Shared, folder: Path, seed: int, done: threading.Event, least: int) -> None:
    """Do things at random until the fit is done, and so many at least."""
    rng = np.random.default_rng(seed)
    actions = 0
    while actions < least or not done.is_set():
        ACTIONS[rng.integers(len(ACTIONS))](shared, rng, folder)
        actions += 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_that_use_what_another_fits(backend, tmp_path):
    """The fit comes to the same, to the bit, and so does all that is trained beside it."""
    for seed in range(first_seed(), first_seed() + share_of(60, 1)):
        shared, done = Shared(backend), threading.Event()

        def fit(shared=shared, done=done):
            try:
                shared.trainer.fit(
                    shared.x, shared.t, concurrency.EPOCHS, concurrency.BATCH, progress=False
                )
            finally:
                done.set()

        with ThreadPoolExecutor(THREADS + 1) as pool:
            others = [
                pool.submit(act, shared, tmp_path, seed * THREADS + i, done, 3)
                for i in range(THREADS)
            ]
            futures: list[Future[None]] = [*others, pool.submit(fit)]
            for future in futures:
                future.result(SECONDS)
        assert concurrency.digest(shared.trainer) == shared.want, f"seed {seed}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_trainers_at_once(backend):
    want = fitted(backend)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(fitted, backend) for _ in range(share_of(400, 8))]
        assert {future.result(SECONDS) for future in found} == {want}


# ---------------------------------------------------------------------- processes


@only_with_a_share
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("backend", BACKENDS)
def test_pools_of_processes(backend, method):
    """Of each kind; a fork inherits a parent that has trained, and its team of threads."""
    want, tasks = fitted(backend), share_of(40, 2)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = [pool.submit(fitted, backend) for _ in range(tasks)]
        assert {future.result(SECONDS) for future in found} == {want}


@only_with_a_share
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("meanwhile", ["compile", "train", "load"])
def test_forks_at_random(meanwhile):
    """A child compiles and trains while threads of its parent do, or load a checkpoint."""
    program = f"""
        import io, pickle, tempfile
        import nnkit
        from nnkit.kernels.numba.codegen.jit import kernel
        from tests.stress import concurrency
        want = concurrency.fitted("numba")
        shared = concurrency.trainer("numba")
        def compile(i):
            assert kernel(lambda x: x + i)(1) == 1 + i
        def train(i):
            shared.fit(*concurrency.data(), 2, 12)
        path = tempfile.mkdtemp() + "/model.safetensors"
        shared.save(path)
        def load(i):
            nnkit.Trainer.load(path, "numba").predict(concurrency.data()[0])
        def child(i):
            compile(i)
            assert concurrency.fitted("numba") == want
            shared.predict(concurrency.data()[0])
        print(meanwhile({meanwhile}, lambda: children({share_of(60, 5)}, child)))
    """
    assert failures(program, NNKIT_NUM_THREADS="2") == 0


# ---------------------------------------------------------------------- what is left behind


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def alive() -> int:
    """How many trainers, models and layers there are."""
    kinds = nnkit.Trainer, nnkit.layers.Layer
    return sum(issubclass(type(found), kinds) for found in gc.get_objects())


@pytest.mark.parametrize("backend", BACKENDS if SHARE else ["numpy"])
def test_nothing_is_left_behind(backend, tmp_path):
    """Fits with their captured steps, checkpoints, copies and failures are gone behind them."""
    shared, rng = Shared(backend), np.random.default_rng(0)
    shared.trainer.fit(shared.x, shared.t, concurrency.EPOCHS, concurrency.BATCH)

    def state() -> tuple[int, int, int]:
        gc.collect()
        return alive(), threading.active_count(), open_files()

    def all_actions(rounds: int) -> None:
        for _ in range(rounds):
            for action in ACTIONS:
                action(shared, rng, tmp_path)

    all_actions(2)  # what is kept once: thunks, modules, the threads
    tracemalloc.start()
    try:
        all_actions(1)
        before, used = state(), tracemalloc.take_snapshot()
        rounds = share_of(60, 2)
        all_actions(rounds)
        after, changes = state(), tracemalloc.take_snapshot().compare_to(used, "lineno")
    finally:
        tracemalloc.stop()
    assert after == before
    # A single block is a table of Python's that was resized. NumPy keeps some small ones for later.
    grown = sum(change.size_diff for change in changes if abs(change.count_diff) > 1)
    assert grown < 50_000 + 2_000 * rounds, f"{grown} bytes in {rounds} rounds"


@only_with_a_share
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the memory")
@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_outside_of_python(backend):
    """What compiled code and arrays take, which tracemalloc does not see."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def once():
        made = trainer(backend)
        made.fit(*concurrency.data(), 2, concurrency.BATCH)
        gc.collect()

    for _ in range(20):
        once()
    before, rounds = resident(), share_of(400, 50)
    for _ in range(rounds):
        once()
    grown = resident() - before
    assert grown < 8 << 20, f"{grown} bytes in {rounds} rounds"
