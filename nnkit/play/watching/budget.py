"""How much of a run's time may be spent on showing it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Lets something be done as often as it takes no more than a share of the time.

    Parameters
    ----------
    share
        Of the time, from 0 to 1.
    seconds
        The least time between two.
    """

    def __init__(self, share: float, seconds: float) -> None:
        self.share, self.seconds = share, seconds
        self._next = 0.0

    @property
    def there(self) -> bool:
        """Whether it may be done now."""
        return time.perf_counter() >= self._next

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Do it inside a ``with`` block."""
        start = time.perf_counter()
        yield
        now = time.perf_counter()
        self._next = now + max(self.seconds, (now - start) / self.share)
