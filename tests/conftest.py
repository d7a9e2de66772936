"""Fixtures for the whole suite: every backend that can run here, and both dtypes."""

from __future__ import annotations

import gc
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnkit.backends
from nnkit import dtypes
from nnkit.backends import NAMES, Backend, BackendUnavailableError, cupy, get_backend
from nnkit.backends.cupy import small_products
from tests.device import fake_cupy, simulator

BACKENDS = os.environ.get("NNKIT_TEST_BACKENDS", " ".join(NAMES)).replace(",", " ").split()
"""NNKIT_TEST_BACKENDS=cupy runs the suite on that backend alone, as on a machine with a GPU."""

DTYPES = os.environ.get("NNKIT_TEST_DTYPES", "float32 float64").split()
"""NNKIT_TEST_DTYPES="float16 bfloat16" runs it in those; they are for the cupy backend."""

LARGE = "NNKIT_TEST_LARGE"
"""NNKIT_TEST_LARGE=1 has the simulator do all the work that a GPU does: see `make test-large`."""

os.environ.setdefault(nnkit.backends.VARIABLE, "numpy")

gc.set_threshold(100_000, 20, 20)


def pytest_collection_finish() -> None:
    """Take the suite's own objects, two thirds of a million, from what is searched for garbage.

    To look through them took half of the time of tests that train networks.
    """
    gc.collect()
    gc.freeze()


_why_simulated: list[str] = []


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn; cupy runs on the simulator where there is no GPU."""
    if request.param == "numba" and importlib.util.find_spec("numba") is None:
        pytest.skip("Numba is not installed")
    if request.param != "cupy":
        return get_backend(request.param)
    try:
        return get_backend("cupy")
    except BackendUnavailableError as error:
        if simulator.unavailable():
            pytest.skip(f"{error}; nor can it be simulated: {simulator.unavailable()}")
        _why_simulated.append(str(error))
        return _simulated_cupy()


def _simulated_cupy() -> Backend:
    """Make the backend on the look-alike of CuPy, of which nothing else gets to know."""
    fake_cupy.install()
    try:
        return cupy.create()
    finally:
        fake_cupy.uninstall()


@pytest.fixture(scope="session")
def simulated(backend: Backend) -> bool:
    """Whether the backend runs on the simulator."""
    return backend.name == "cupy" and bool(_why_simulated)


@pytest.fixture(scope="session")
def small(simulated: bool) -> bool:
    """Whether to work on little: the simulator takes a thousand times as long as a GPU."""
    return simulated and not os.environ.get(LARGE)


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    """The dtypes that networks are trained in."""
    return dtypes.parse(request.param)


@pytest.fixture
def only_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have NVIDIA's libraries make every product of the cupy backend, small ones too."""
    monkeypatch.setattr(small_products, "MOST_WORK", 0)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(1234)


@pytest.fixture(autouse=True)
def _same_default_backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a test does with `set_backend`."""
    with monkeypatch.context() as patch:
        patch.setattr(nnkit.backends.choosing, "_default", nnkit.backends.choosing._default)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say when the cupy tests did not run on a GPU."""
    if _why_simulated:
        terminalreporter.write_line(f"cupy ran on the simulator: {_why_simulated[0]}")


@pytest.fixture
def captures(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Counts calls of the backend's `capture`."""
    calls = []
    capture = backend.capture

    def counted(step):
        calls.append(step)
        return capture(step)

    monkeypatch.setattr(backend, "capture", counted)
    return calls
