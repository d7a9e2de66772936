"""What streams record while they capture, and what spoils it."""

from __future__ import annotations

from collections.abc import Iterable

from tests.device.fake_errors import CUDARuntimeError
from tests.device.queues import Work


class Capture:
    """The work that a stream, of this number, is given while it captures."""

    def __init__(self, stream: int, blocking: bool) -> None:
        self.stream, self.blocking = stream, blocking
        self.work: list[Work] = []
        self.valid = True

    def record(self, work: Work) -> None:
        """Add work, unless a refused call has made the capture invalid."""
        if not self.valid:
            raise CUDARuntimeError(901)
        self.work.append(work)


ongoing: list[Capture] = []


def refuse(status: int, captures: Iterable[Capture | None]) -> None:
    """Raise an error if there are captures, which are invalid from now on."""
    concerned = [capture for capture in captures if capture is not None]
    for capture in concerned:
        capture.valid = False
    if concerned:
        raise CUDARuntimeError(status)


def implicit(stream: int) -> list[Capture]:
    """Return the captures that work on a stream would have to wait for: the legacy default's."""
    return [capture for capture in ongoing if capture.blocking] if stream == 0 else []
