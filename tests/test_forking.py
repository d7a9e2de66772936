"""A process that forks while its other threads compile, train or load: no child waits for them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

CHILDREN = """
import os, sys, threading, time, traceback
from itertools import count
import numpy as np

def children(number, work, seconds=30):
    '''Fork children that do some work; say how many did not come to its end.'''
    failed = 0
    for i in range(number):
        pid = os.fork()
        if not pid:
            try:
                work(i)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        end = time.monotonic() + seconds
        done = status = 0
        while not done and time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.001)
        if not done:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        failed += not done or status != 0
        if not done:
            break
    return failed

def meanwhile(work, run):
    '''Carry out `work` again and again in a thread while `run` runs.'''
    stop, begun = threading.Event(), threading.Event()
    def again():
        for i in count():
            if stop.is_set():
                return
            work(i)
            begun.set()
    thread = threading.Thread(target=again)
    thread.start()
    begun.wait()
    try:
        return run()
    finally:
        stop.set()
        thread.join()
"""


def failures(program: str, **environment: str) -> int:
    """Run a program that prints how many of its children failed."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILDREN + textwrap.dedent(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


def test_while_a_thread_compiles():
    pytest.importorskip("numba")
    program = """
        from nnkit.kernels.numba.codegen.jit import kernel
        def compile(i):
            assert kernel(lambda x: x + i)(1) == 1 + i
        print(meanwhile(compile, lambda: children(8, compile)))
    """
    assert failures(program) == 0


def test_while_a_thread_trains():
    """The child has a team of its own, and may use the model that the thread had just taken."""
    pytest.importorskip("numba")
    program = """
        import copy
        import nnkit
        layers = nnkit.Linear(64, 512), nnkit.ReLU(), nnkit.Linear(512, 3)
        model = nnkit.Sequential(*layers, backend="numba", seed=0)
        x, t = np.random.default_rng(0).normal(size=(256, 64)), np.arange(256) % 3
        trainer = nnkit.Trainer(model)
        def fit(i):
            trainer.fit(x, t, 1, 128)
        def use(i):
            assert trainer.predict(x).shape == (256,)
            nnkit.Trainer(copy.deepcopy(model)).fit(x, t, 1, 128)
        print(meanwhile(fit, lambda: children(3, use)))
    """
    assert failures(program, NNKIT_NUM_THREADS="2") == 0


def test_while_a_thread_loads_a_backend():
    pytest.importorskip("numba")
    program = """
        import nnkit
        threading.Thread(target=lambda: nnkit.get_backend("numba")).start()
        print(children(1, lambda i: nnkit.get_backend("numba")))
    """
    assert failures(program) == 0
