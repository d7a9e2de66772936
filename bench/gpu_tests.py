"""A pytest plugin that leaves the tests that a GPU can prove: ``pytest -p bench.gpu_tests tests``.

Those are the tests that run once for each backend, in so far as it is one of NNKIT_TEST_BACKENDS,
which must work here. What is left out does the same on every machine, and runs in `make test`: the
simulator, NVRTC, the Numba backend's own threads and caches, data sets, packaging, documentation
and the command line.

A failure is printed at once, for a time-out not to lose it. After an error that leaves a CUDA
context useless, a worker of pytest-xdist ends, and xdist starts another for the tests left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from nnkit.backends import BackendUnavailableError, get_backend

VARIABLE = "NNKIT_TEST_BACKENDS"
USELESS = {700, 702, 710, 714, 715, 716, 717, 718, 719}
"""CUDA's errors of a kernel, such as 700 for an illegal address; every later call fails too."""
WORKER = "PYTEST_XDIST_WORKER" in os.environ


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test a simulator in place of a GPU."""
    try:
        for name in _backends():
            get_backend(name)
    except BackendUnavailableError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests that are given a backend by tests/conftest.py."""
    backends = _backends()
    dropped = [item for item in items if _backend_of(item) not in backends]
    items[:] = [item for item in items if _backend_of(item) in backends]
    config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """End a worker whose CUDA context is of no use any more."""
    error = call.excinfo and call.excinfo.value
    if WORKER and getattr(error, "status", None) in USELESS:
        print(f"\nCUDA ERROR in {item.nodeid}: {error}", file=sys.__stderr__, flush=True)
        os._exit(1)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print a failure as soon as it is known."""
    if report.failed and not WORKER:
        print(f"\n{report.nodeid}\n{report.longreprtext[-2000:]}", file=sys.__stderr__, flush=True)


def _backends() -> list[str]:
    return os.environ[VARIABLE].replace(",", " ").split()


def _backend_of(item: pytest.Item) -> object:
    parameters = getattr(item, "callspec", None)
    return parameters and parameters.params.get("backend")
