"""The Numba backend: the reference's operations as fused, compiled loops on the CPU."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from nnkit.backends.contract import Array, CaptureError, Operation, implementations
from nnkit.backends.numpy import NumpyBackend
from nnkit.reasons import importing

if TYPE_CHECKING:
    from nnkit.backends.numba.calls import Call
    from nnkit.backends.numba.planning import Plan

LINE = 64
"""Bytes of a cache line, on multiples of which arrays begin: no vector of them is in two lines."""
WORTH_ALIGNING = 4096
"""Bytes for which making an array that way, which takes a microsecond more, is worth it."""
Result = TypeVar("Result")
DTYPES = frozenset(map(np.dtype, ("f4", "f8", "u1", "i4", "i8")))
"""Dtypes that the kernels are compiled for."""


class _Recording(NamedTuple):
    """One recording of a step."""

    tapes: list[Any]
    calls: list[tuple[Any, ...]]
    """What was put on the tapes: the operation, the arguments of its kernel, scratch left out."""
    between: list[Callable[[], object]]
    """What is called after each tape but the last."""

    def replay(self, times: int) -> None:
        """Carry the step out so many times."""
        if not self.between:
            self.tapes[0].replay(times)
            return
        for _ in range(times):
            for tape, function in zip(self.tapes, self.between, strict=False):
                tape.replay(1)
                function()
            self.tapes[-1].replay(1)


class _Thread(threading.local):
    """What a thread is capturing, or planning, if it is."""

    recording: _Recording | None = None
    plan: Plan | None = None


class NumbaBackend(NumpyBackend):
    """NumPy arrays, and the kernels of ``nnkit.kernels.numba``.

    `threads` is how many threads the kernels may use (see ``kernels/numba/runtime/threads.py``);
    the results' bits do not depend on it. Numba is imported when the object is made. Each kernel is
    compiled at its first use on a machine, and kept on disk.
    """

    name = "numba"

    def __init__(self) -> None:
        from nnkit.kernels.numba.runtime import threads

        self.threads = threads.count()
        threads.limit_blas()
        from nnkit.backends.numba import ahead, calls, convolutions, images, planning
        from nnkit.kernels.numba.runtime import memory, tape

        self._calls: dict[str, Callable[..., Call | None]] = implementations(
            calls, convolutions, images
        )
        self._tape = tape
        self._planning, self._ahead = planning, ahead
        self._alone = memory.ALONE
        self._thread = _Thread()

    def empty(self, shape: int | Sequence[int], dtype: Any) -> Array:
        return _aligned(np.empty, shape, dtype)

    def zeros(self, shape: int | Sequence[int], dtype: Any) -> Array:
        return _aligned(np.zeros, shape, dtype)

    def _carry_out(self, operation: Operation, arguments: tuple[Any, ...]) -> None:
        """By a kernel, where one takes such arrays; otherwise by NumPy's formula.

        On a tape there are kernels alone: a formula would be carried out once and never again, or,
        of a plan, on arrays that nobody has filled.
        """
        name = operation.name
        call = self._calls[name](*arguments) if _fit(operation, arguments) else None
        thread = self._thread
        if call is None:
            if thread.plan is None and thread.recording is None:
                super()._carry_out(operation, arguments)
                return
            raise CaptureError(_misfit(operation, arguments))
        if thread.plan is not None:
            thread.plan.note(name, arguments, call)
        else:
            self._issue(name, call)

    def _issue(self, name: str, call: Call) -> None:
        """Call a kernel, alone or by a team, or put the call on the tape of this thread."""
        (function, grain), size, arguments, sums = call
        recording = self._thread.recording
        if recording is not None:
            recording.calls.append((name, *map(_identity, arguments)))
        if sums is not None:
            arguments = *arguments, np.empty(*sums)
        grains = size // grain
        if recording is None and (grains < self._tape.WORTH_A_TEAM or self.threads == 1):
            function(*arguments, self._alone)
            return
        tape = self._tape.Tape() if recording is None else recording.tapes[-1]
        members = max(1, min(self.threads, grains))
        tape.append(function, arguments, members, grains)
        if recording is None:
            tape.replay(1)

    def rehearse(self, work: Callable[[], Result]) -> Result:
        """Do work for the shapes of what it makes alone: no kernel is called."""
        with suppress(Exception):  # about numbers in arrays that were not filled, perhaps
            return self._planned(work, self._planning.Plan())
        return work()

    def prepare(self, step: Callable[[], object]) -> None:
        """Compile the kernels that `step` needs, by several processes where there are many."""
        plan = self._planning.Plan()
        with suppress(Exception):  # the step itself tells of it
            self._planned(step, plan)
        self._ahead.compile_ahead(plan.missing(self.threads), self.threads)

    def _planned(self, work: Callable[[], Result], plan: Plan) -> Result:
        before, self._thread.plan = self._thread.plan, plan
        try:
            with np.errstate(all="ignore"):
                return work()
        finally:
            self._thread.plan = before

    def capture(self, step: Callable[[], object]) -> Callable[[int], None]:
        """Record the kernel calls of `step` on a tape, without carrying them out.

        A second recording shows whether a step is the same each time. The first one's arrays are
        alive meanwhile: what a step makes anew lies elsewhere.
        """
        first, second = self._record(step), self._record(step)
        for call, again in zip_longest(first.calls, second.calls):
            if call != again:
                raise CaptureError(
                    f"what {(call or again)[0]} is given is made in every step: compute into "
                    "arrays that self.new(name, shape) keeps, by operations of self.backend"
                )
        return first.replay

    def call(self, function: Callable[[], object]) -> None:
        """Call a function between two tapes, of a step that is captured; of a plan it is none."""
        thread = self._thread
        if thread.recording is not None:
            thread.recording.between.append(function)
            thread.recording.tapes.append(self._tape.Tape())
        elif thread.plan is None:
            function()

    def _record(self, step: Callable[[], object]) -> _Recording:
        recording = self._thread.recording = _Recording([self._tape.Tape()], [], [])
        try:
            step()
        finally:
            self._thread.recording = None
        return recording


def _aligned(make: Callable[..., Array], shape: int | Sequence[int], dtype: Any) -> Array:
    """Make an array that begins a cache line, if it is large: NumPy's begin 16 bytes behind one."""
    kind = np.dtype(dtype)
    size = kind.itemsize * math.prod(shape if isinstance(shape, tuple | list) else (shape,))
    if size < WORTH_ALIGNING:
        return make(shape, kind)
    memory = make(size + LINE, np.uint8)
    first = -memory.__array_interface__["data"][0] % LINE
    return np.ndarray(shape, kind, memory, first)


def _identity(argument: Any) -> Any:
    """Return what a tape holds of an argument: numbers as they are, arrays as their places."""
    if isinstance(argument, np.ndarray):
        return argument.__array_interface__["data"][0], argument.shape, argument.dtype
    return argument


def _fit(operation: Operation, arguments: tuple[Any, ...]) -> bool:
    """Whether all arrays lie in memory as kernels take them, but for those of any layout."""
    for i in operation.dense:
        a = arguments[i]
        if a is not None and not (a.flags.c_contiguous and a.dtype in DTYPES):
            return False
    for i, j in operation.dense_within:
        a = arguments[i][j]
        if a is not None and not (a.flags.c_contiguous and a.dtype in DTYPES):
            return False
    return True


def _misfit(operation: Operation, arguments: tuple[Any, ...]) -> str:
    """Say why an operation cannot be captured, and what to do."""
    arrays = list(operation.arrays(arguments))
    blamed = [
        (name, kind, a)
        for name, kind, a in arrays
        if kind != "View" and not (a.flags.c_contiguous and a.dtype in DTYPES)
    ]
    what = ", ".join(
        f"{name} ({array.dtype}, shape {array.shape}, strides {array.strides})"
        for name, _, array in blamed or arrays
    )
    return (
        f"no kernel of {operation.name} takes {what}: give it C-contiguous arrays of one dtype, "
        "float32 or float64, as self.new(name, shape) makes them"
    )


def create() -> NumbaBackend:
    """Make the backend; raises ImportError if Numba is not installed, or broken."""
    with importing("numba", "Numba", "numba is not installed: pip install numba"):
        pass  # llvmlite, which the kernels need too, came with it or is missing with it
    return NumbaBackend()
