"""Fixtures for the whole suite: every backend that can run here, and both dtypes."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

import nnkit.backends
from nnkit.backends import NAMES, Backend, BackendUnavailableError, get_backend

BACKENDS = os.environ.get("NNKIT_TEST_BACKENDS", " ".join(NAMES)).replace(",", " ").split()
"""NNKIT_TEST_BACKENDS=cupy runs the suite on that backend alone, as on a machine with a GPU."""

os.environ.setdefault(nnkit.backends.VARIABLE, "numpy")

_simulated: list[str] = []


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn; cupy runs on the simulator where there is no GPU."""
    if request.param == "cupy":
        return _cupy_backend()
    if request.param == "numba" and importlib.util.find_spec("numba") is None:
        pytest.skip("Numba is not installed")
    return get_backend(request.param)


def _cupy_backend() -> Backend:
    try:
        return get_backend("cupy")
    except BackendUnavailableError as error:
        _simulated.append(str(error))
    if shutil.which("g++") is None:
        pytest.skip("no GPU, and no g++ to compile the kernels for the simulator")
    from tests.device import fake_cupy

    fake_cupy.install()
    return get_backend("cupy")


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    """The two dtypes that networks are trained in."""
    return np.dtype(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(1234)


@pytest.fixture(autouse=True)
def _same_default_backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a test does with `set_backend`."""
    with monkeypatch.context() as patch:
        patch.setattr(nnkit.backends, "_default", nnkit.backends._default)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say when the cupy tests did not run on a GPU."""
    if _simulated:
        terminalreporter.write_line(f"cupy ran on the simulator: {_simulated[0]}")
