"""The look-alikes of CuPy's devices, and what the fake GPU has been asked to do."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from tests.device.fake_errors import CUDARuntimeError
from tests.device.fake_pools import TOTAL_MEMORY
from tests.device.fake_streams import synchronize
from tests.device.memory import Memory

COMPUTE_CAPABILITY = "90"
DRIVER_VERSION, RUNTIME_VERSION = 13000, 12090


@dataclasses.dataclass
class Counters:
    """What the fake GPU has been asked to do."""

    host_to_device: int = 0
    device_to_host: int = 0
    allocations: int = 0
    operations: int = 0
    """Array operations other than the backend's own kernels, each a launch on a GPU."""


counters = Counters()


@contextlib.contextmanager
def count() -> Iterator[Counters]:
    """Give the counts of what happens inside a with statement, complete at its end."""
    before, made = dataclasses.asdict(counters), Counters()
    try:
        yield made
    finally:
        for name, value in dataclasses.asdict(counters).items():
            setattr(made, name, value - before[name])


device_error: int | None = None
"""The status that every question about devices raises, 35 or 100; None: there is one device."""


def device_count() -> int:
    """Return 1, or fail as on a machine without a driver or GPU."""
    if device_error is not None:
        raise CUDARuntimeError(device_error)
    return 1


def driver_version() -> int:
    """Return the version of CUDA that the driver is for, 0 without a driver."""
    return 0 if device_error == 35 else DRIVER_VERSION


def device_properties(device: int) -> dict[str, Any]:
    """Return some of the properties that CuPy reports."""
    if device >= device_count():
        raise CUDARuntimeError(101)
    return {
        **{"name": b"Fake GPU", "totalGlobalMem": TOTAL_MEMORY, "major": 9, "minor": 0},
        **{"multiProcessorCount": 132, "warpSize": 32, "maxThreadsPerBlock": 1024},
        **{"sharedMemPerBlock": 48 * 1024, "sharedMemPerBlockOptin": 227 * 1024},
        **{"maxThreadsPerMultiProcessor": 2048, "l2CacheSize": 50 * 2**20},
    }


def memory_info() -> tuple[int, int]:
    """Return free and total bytes."""
    device_count()
    return TOTAL_MEMORY - Memory.live_bytes, TOTAL_MEMORY


class Device:
    """A GPU, as `cupy.cuda.Device`."""

    compute_capability = COMPUTE_CAPABILITY

    def __init__(self, device: int | None = None) -> None:
        self.id = int(device or 0)
        if self.id >= device_count():
            raise CUDARuntimeError(101)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id

    def use(self) -> None:
        """Make this the current device."""

    def synchronize(self) -> None:
        """Wait for all work on this device."""
        synchronize()

    @property
    def mem_info(self) -> tuple[int, int]:
        """Free and total bytes."""
        return memory_info()

    @property
    def attributes(self) -> dict[str, int]:
        """Some attributes of the device."""
        return {"MultiProcessorCount": 132, "MaxThreadsPerBlock": 1024, "WarpSize": 32}
