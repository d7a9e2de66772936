"""What streams are given, and where they keep it until it is carried out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.device.stub_driver import functions
from tests.device.stub_driver.allocations import is_held
from tests.device.stub_driver.races import Access

LEGACY, PER_THREAD = 0, 2
"""Handles of the two default streams. The latter is a blocking stream like others."""


@dataclass(eq=False)
class Operation:
    """Something that a stream does after all of `after`; an event without `work`."""

    what: str
    work: Callable[[], None] | None = None
    after: tuple[Operation, ...] = ()
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()
    number: int = 0
    done: bool = False
    access: Access = field(default_factory=Access)

    def carry_out(self) -> None:
        """Do the work, unless a GPU would find the memory gone."""
        self.done = True
        try:
            if lost := [each for each in self.reads | self.writes if not is_held(each)]:
                raise MemoryError(f"uses memory that was given back, or never was, at {lost}")
            if self.work is not None:
                self.work()
        except Exception as error:
            functions.fail(self.what, error)


@dataclass(eq=False)
class Capture:
    """What a stream has been given since its capture began."""

    operations: list[Operation] = field(default_factory=list)
    invalid: bool = False


@dataclass(eq=False)
class Stream:
    """A stream's queue; while it captures, it records instead.

    What is left to do when a stream is destroyed is still done some time.
    """

    handle: int
    blocking: bool
    queue: deque[Operation] = field(default_factory=deque)
    capture: Capture | None = None
    destroyed: bool = False
    last: Operation | None = None

    @property
    def legacy(self) -> bool:
        return self.handle == LEGACY
