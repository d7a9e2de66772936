"""Training steps as CUDA graphs: captured on a stream of their own, launched on the current one.

A graph holds addresses. What a step allocates while it is captured would be handed out again after
it, and the graph would go on writing there: so allocating is refused, but for the backend's own
copies, whose memory is kept as long as the graph.
"""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnkit.backends.contract import CaptureError
from nnkit.reasons import named_reason, reason

STEPS_PER_GRAPH = 16
"""Steps launched at once when a captured step is replayed: a launch costs Python microseconds."""

_PACKAGE = Path(__file__).resolve().parents[2]


class Capture:
    """One step as a graph, and `STEPS_PER_GRAPH` of it as another.

    The stream is a non-blocking one: what other threads do on the default stream does not meet it.
    """

    def __init__(self, cupy: Any) -> None:
        self._cupy, self._cuda = cupy, cupy.cuda
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._pool = cupy.cuda.MemoryPool()
        self._kept: dict[int, Any] = {}
        # A pool that is forgotten keeps its memory; freeing it waits for the graphs' last launch.
        weakref.finalize(self, self._pool.free_all_blocks).atexit = False
        self._one: Any = None
        self._many: Any = None

    def record(self, step: Callable[[], object]) -> None:
        """Capture the two graphs of a step that has run before.

        Raises CaptureError, which names the call that cannot be captured; what has nothing to do
        with capturing, such as a ValueError of a layer, is raised as it is.
        """
        try:
            self._one, self._many = self._graph(step, 1), self._graph(step, STEPS_PER_GRAPH)
        except Exception as error:
            if not any(isinstance(each, RuntimeError | MemoryError) for each in _chain(error)):
                raise
            raise CaptureError(_blame(error)) from error

    def keep(self, arrays: Iterable[Any]) -> None:
        """Keep arrays whose addresses the graphs hold as long as these."""
        self._kept.update((id(array), array) for array in arrays)

    def _graph(self, step: Callable[[], object], times: int) -> Any:
        with self._cuda.using_allocator(_refuse), self._stream:
            self._stream.begin_capture()
            try:
                for _ in range(times):
                    step()
            except BaseException:
                with suppress(RuntimeError):  # that the capture has failed, which we know
                    self._stream.end_capture()
                raise
            return self._stream.end_capture()

    def copy(self, array: Any) -> Any:
        """Make an array contiguous, in memory that is the graphs' own.

        The steps of a graph run one after the other, so that what one frees the next may take.
        """
        with self._cuda.using_allocator(self._pool.malloc):
            return self._cupy.ascontiguousarray(array)

    def launch(self, times: int) -> None:
        """Issue the step so many times to the current stream."""
        for _ in range(times // STEPS_PER_GRAPH):
            self._many.launch()
        for _ in range(times % STEPS_PER_GRAPH):
            self._one.launch()


def _refuse(size: int) -> Any:
    raise CaptureError(
        "an array is made in every step: compute into arrays that self.new(name, shape) keeps, by "
        "operations of self.backend"
    )


def _blame(error: Exception) -> str:
    """Say in which layer and by which call a capture failed, and why.

    The call is the first that is not nnkit's own; compiled code, as CuPy's, has no lines to show.
    """
    places = getattr(error, "__notes__", [])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.line]
    outside = [f for f in frames if _PACKAGE not in Path(f.filename).resolve().parents]
    calls = [f"`{f.line}` ({Path(f.filename).name}, line {f.lineno})" for f in outside[:1]]
    why = reason(error) if isinstance(error, CaptureError) else named_reason(error)
    return ": ".join([*places, *calls, why])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Go from an error to those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
