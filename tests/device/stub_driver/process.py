"""Turning this process into one where CuPy runs over the pretend driver."""

from __future__ import annotations

import gc
import os
from typing import Any

from tests.device.stub_driver import (  # those that are not used here define functions
    functions,
    graphs,  # noqa: F401
    information,  # noqa: F401
    memory,  # noqa: F401
    modules,
    patching,
    streams,  # noqa: F401
    wheel,
)
from tests.device.stub_driver.order import device


def unavailable() -> str | None:
    """Say why CuPy cannot run over the pretend driver here, or None where it can."""
    reason = wheel.unavailable()
    if reason is None:
        missing = sorted(set(functions.RUNTIME) - set(wheel.runtime_functions()[0]))
        reason = f"this build of CuPy has no {', '.join(missing)}" if missing else None
    return reason


def start() -> Any:
    """Import CuPy over the pretend driver and return the backend, made as users make it."""
    gc.disable()  # what destructors give back they give back when a scenario says so
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB's kernels are compiled code, not source
    patching.patch()
    from cuda import pathfinder

    pathfinder.find_nvidia_header_directory = lambda name: "/"  # none is read
    import cupy  # noqa: F401 - only now

    from tests.device.stub_driver import products

    modules.replace_compiler()
    products.install()
    from nnkit.backends import get_backend

    backend = get_backend("cupy")
    gc.freeze()
    return backend


def state() -> dict[str, Any]:
    """Return what must be empty at the end of a scenario."""
    return {
        "failures": functions.failures,
        "races": sorted(device.races.found),
        "capturing": len(device.capturing()),
    }
