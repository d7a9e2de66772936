"""Warnings of what is probably not meant, at the line of the user's program that it comes from."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class DataWarning(UserWarning):
    """Examples are probably not scaled, or not laid out, as they should be; it says what to do."""


class CacheWarning(UserWarning):
    """Compiled kernels cannot be kept on disk; the message says why, and what to do."""


class DivergenceWarning(RuntimeWarning):
    """Losses, weights or outputs are NaN or infinite: training has diverged."""


_PASSED = ("nnkit.", "numba.", "contextlib")
"""Modules that lie between a user's line and a warning."""

_heard = ContextVar("heard", default=True)


@contextmanager
def unheard() -> Iterator[None]:
    """Say nothing inside a ``with`` block, in this thread: another process says the same."""
    token = _heard.set(False)
    try:
        yield
    finally:
        _heard.reset(token)


def warn(message: str, category: type[Warning]) -> None:
    """Warn of the first line outside nnkit that led here."""
    if not _heard.get():
        return
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PASSED):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
