"""What a run shows now: written by the thread that trains, read by the threads of pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Fields = dict[str, Any]


class Board:
    """The latest message of each kind. Pages come and go, and each learns what it has not seen."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: dict[str, tuple[int, Fields]] = {}
        self._version = 0
        self._seen: dict[object, int] = {}
        self.stops: int | None = None
        """Number of the run that a page wants to end."""

    def pin(self, kind: str, **fields: Any) -> None:
        """Put a message in the place of the one before of its kind."""
        with self._changed:
            self._version += 1
            self._messages[kind] = self._version, fields

    def clear(self, *kinds: str) -> None:
        """Take messages off, of another run for instance."""
        with self._changed:
            for kind in kinds:
                self._messages.pop(kind, None)

    @contextmanager
    def reader(self) -> Iterator[object]:
        """Be a page inside a ``with`` block, which has seen nothing yet."""
        page = object()
        with self._changed:
            self._seen[page] = -1
        try:
            yield page
        finally:
            with self._changed:
                del self._seen[page]
                self._changed.notify_all()

    def news(self, page: object) -> tuple[int, list[tuple[str, Fields]]]:
        """What a page has not seen, the oldest first, and the version that it knows with that."""
        with self._changed:
            seen = self._seen[page]
            new = sorted((v, kind) for kind, (v, _) in self._messages.items() if v > seen)
            return self._version, [(kind, self._messages[kind][1]) for _, kind in new]

    def told(self, page: object, version: int) -> None:
        """Note that a page was sent all up to a version."""
        with self._changed:
            self._seen[page] = version
            self._changed.notify_all()

    @property
    def wanted(self) -> bool:
        """Whether a page has seen all there is, and waits for more."""
        with self._changed:
            return any(seen == self._version for seen in self._seen.values())

    def wait_until_seen(self, seconds: float) -> None:
        """Give the pages that are open so much time to be told all there is."""
        with self._changed:
            self._changed.wait_for(
                lambda: all(seen == self._version for seen in self._seen.values()), seconds
            )
