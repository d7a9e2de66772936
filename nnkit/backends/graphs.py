"""Training steps as CUDA graphs: captured on a stream of their own, launched on the current one.

A graph holds addresses. What a step allocates while it is captured would be handed out again after
it, and the graph would go on writing there: so allocating is refused, but for the backend's own
copies, whose memory is kept as long as the graph.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nnkit.backends.base import CaptureError
from nnkit.reasons import reason

STEPS_PER_GRAPH = 16
"""Steps launched at once when a captured step is replayed: a launch costs Python microseconds."""

_PACKAGE = Path(__file__).resolve().parents[1]


class Capture:
    """One step as a graph, and `STEPS_PER_GRAPH` of it as another.

    The stream is a non-blocking one: what other threads do on the default stream does not meet it.
    """

    def __init__(self, cupy: Any) -> None:
        self._cuda = cupy.cuda
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._pool = cupy.cuda.MemoryPool()
        self._one: Any = None
        self._many: Any = None

    def record(self, step: Callable[[], object]) -> None:
        """Capture the two graphs of a step that has run before.

        Raises CaptureError, which names the call that cannot be captured.
        """
        try:
            self._one, self._many = self._graph(step, 1), self._graph(step, STEPS_PER_GRAPH)
        except Exception as error:
            raise CaptureError(_blame(error)) from error

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

    @contextmanager
    def memory(self) -> Iterator[None]:
        """Allocate from memory that is the graphs' own, inside a ``with`` block.

        The steps of a graph run one after the other, so that what one frees the next may take.
        """
        with self._cuda.using_allocator(self._pool.malloc):
            yield

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
    """Say in which layer and by which call a capture failed, and why."""
    places = getattr(error, "__notes__", [])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_file()]
    outside = [f for f in frames if _PACKAGE not in Path(f.filename).resolve().parents]
    calls = [f"`{f.line}` ({Path(f.filename).name}, line {f.lineno})" for f in outside[:1]]
    return ": ".join([*places, *calls, reason(error)])
