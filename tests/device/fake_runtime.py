"""The look-alike of `cupy.cuda`: streams, captured graphs, events, devices, pools and errors.

All GPU work goes through `submit`, which runs it at once, or records it while the stream captures.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from tests.device.memory import Memory

COMPUTE_CAPABILITY = "90"
DRIVER_VERSION, RUNTIME_VERSION = 13000, 12090
TOTAL_MEMORY = 80 * 2**30

Work = Callable[[], None]


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


class CUDARuntimeError(RuntimeError):
    """An error code of the CUDA runtime, as `cupy.cuda.runtime.CUDARuntimeError`."""

    MESSAGES = {  # noqa: RUF012
        35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime "
        "version",
        100: "cudaErrorNoDevice: no CUDA-capable device is detected",
        101: "cudaErrorInvalidDevice: invalid device ordinal",
        900: "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing",
        906: "cudaErrorStreamCaptureImplicit: operation would make the legacy stream depend on a "
        "capturing blocking stream",
    }

    def __init__(self, status: int) -> None:
        super().__init__(self.MESSAGES[status])
        self.status = status


# ------------------------------------------------------------------ streams and graphs

_local = threading.local()
_capturing: list[Stream] = []


def current_stream() -> Stream:
    """Return the stream of the innermost with statement, or the default stream."""
    return _streams()[-1]


def _streams() -> list[Stream]:
    if not hasattr(_local, "streams"):
        _local.streams = [Stream.null]
    return _local.streams


def submit(work: Work, stream: Stream | None = None) -> None:
    """Run work on a stream, by default the current one."""
    stream = current_stream() if stream is None else stream
    if stream._recorded is not None:
        stream._recorded.append(work)
    elif stream.ptr == 0 and _capturing:
        raise CUDARuntimeError(906)
    else:
        work()


def is_capturing() -> bool:
    """Whether the current stream records its work instead of running it."""
    return current_stream().is_capturing()


def refuse_while_capturing(what: str, stream: Stream | None = None) -> None:
    """Raise what CuPy raises when a capturing stream is asked for a transfer."""
    if (current_stream() if stream is None else stream).is_capturing():
        raise RuntimeError(f"the current stream is capturing, so {what} are disallowed")


def synchronize() -> None:
    """Wait for the device: not allowed while any stream captures."""
    if _capturing:
        raise CUDARuntimeError(900)


class Stream:
    """A stream, as `cupy.cuda.Stream`."""

    null: Stream
    ptds: Stream
    _next_ptr = 2

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        self.ptr = 0 if null else 1 if ptds else Stream._next_ptr
        if self.ptr > 1:
            Stream._next_ptr += 1
        self.is_non_blocking, self.priority, self.device_id = non_blocking, priority or 0, 0
        self._recorded: list[Work] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __enter__(self) -> Stream:
        _streams().append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _streams().pop()

    def use(self) -> Stream:
        """Make this the current stream."""
        _streams()[-1] = self
        return self

    @property
    def done(self) -> bool:
        """Whether all work has been done."""
        self.synchronize()
        return True

    def synchronize(self) -> None:
        """Wait for the work of this stream."""
        if self.is_capturing():
            raise CUDARuntimeError(900)

    def record(self, event: Event | None = None) -> Event:
        """Record an event."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Have later work wait for an event."""

    def begin_capture(self, mode: int | None = None) -> None:
        """Record work from now on instead of running it."""
        if self.ptr in (0, 1):
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.is_capturing():
            raise CUDARuntimeError(900)
        self._recorded = []
        _capturing.append(self)

    def end_capture(self) -> Graph:
        """Return the recorded work."""
        if self._recorded is None:
            raise CUDARuntimeError(900)
        recorded, self._recorded = self._recorded, None
        _capturing.remove(self)
        return Graph._of(recorded)

    def is_capturing(self) -> bool:
        """Whether work is recorded instead of run."""
        return self._recorded is not None


Stream.null = Stream(null=True)
Stream.ptds = Stream(ptds=True)


class Graph:
    """Recorded work, as `cupy.cuda.Graph`."""

    _work: list[Work]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "currently this class cannot be initiated by the user and must be created via "
            "stream capture"
        )

    @classmethod
    def _of(cls, work: list[Work]) -> Graph:
        graph = cls.__new__(cls)
        graph._work = work
        return graph

    def launch(self, stream: Stream | None = None) -> None:
        """Run the recorded work."""
        for work in self._work:
            submit(work, stream)

    def upload(self, stream: Stream | None = None) -> None:
        """Prepare for the first launch."""


class Event:
    """A point in a stream, as `cupy.cuda.Event`. No time passes on the fake GPU."""

    done = True

    def __init__(
        self, block: bool = False, disable_timing: bool = False, interprocess: bool = False
    ) -> None:
        self._timed, self._recorded_in_capture = not disable_timing, False

    def record(self, stream: Stream | None = None) -> None:
        """Record the event on a stream."""
        stream = current_stream() if stream is None else stream
        self._recorded_in_capture = stream.is_capturing()

    def synchronize(self) -> None:
        """Wait for the event."""
        if self._recorded_in_capture:
            raise CUDARuntimeError(900)


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Return milliseconds between two events."""
    if not (start_event._timed and end_event._timed):
        raise ValueError("an event without timing")
    return 0.0


# ------------------------------------------------------------------ devices and memory

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


class MemoryPool:
    """A memory pool that keeps nothing, as `cupy.cuda.MemoryPool`."""

    def __init__(self, allocator: Any = None) -> None:
        self._limit = 0

    def malloc(self, size: int) -> NoReturn:
        """Stand for the method, which is passed to `set_allocator` and never called here."""
        raise NotImplementedError("the fake GPU allocates whole arrays only")

    def used_bytes(self) -> int:
        """Return the size of all arrays."""
        return Memory.live_bytes

    total_bytes = used_bytes

    def free_bytes(self) -> int:
        """Return 0: freed memory is not kept."""
        return 0

    n_free_blocks = free_bytes

    def free_all_blocks(self, stream: Stream | None = None) -> None:
        """Give back memory that is kept but not used."""

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Limit the size of the pool."""
        self._limit = int(TOTAL_MEMORY * fraction) if size is None else size

    def get_limit(self) -> int:
        """Return the limit, 0 for none."""
        return self._limit


class PinnedMemoryPool:
    """A pool of pinned host memory, as `cupy.cuda.PinnedMemoryPool`."""

    def n_free_blocks(self) -> int:
        """Return 0: freed memory is not kept."""
        return 0

    def free_all_blocks(self) -> None:
        """Give back memory that is kept but not used."""


default_pool, default_pinned_pool = MemoryPool(), PinnedMemoryPool()


def set_allocator(allocator: Any = None) -> None:
    """Accept an allocator; the fake GPU has only one."""


@contextlib.contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    """Accept an allocator inside a with statement."""
    yield


class CompileException(Exception):  # noqa: N818
    """A source that does not compile, as `cupy.cuda.compiler.CompileException`."""

    def __init__(
        self, msg: str, source: str, name: str, options: tuple[str, ...], backend: str = "nvrtc"
    ) -> None:
        super().__init__()
        self._msg, self.source, self.name = msg, source, name
        self.options, self.backend = options, backend

    def __str__(self) -> str:
        return self._msg

    def get_message(self) -> str:
        """Return the compiler's log."""
        return self._msg
