"""Seeds for models that are given none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_draw: ContextVar[Callable[[], int] | None] = ContextVar("nnkit_seeds", default=None)


def new_seed() -> int:
    """Draw a seed below 2^63: from the operating system, unless within `seeds_from`."""
    draw = _draw.get()
    if draw is not None:
        return draw()
    entropy = np.random.SeedSequence().entropy
    assert isinstance(entropy, int)
    return entropy % 2**63


@contextmanager
def seeds_from(draw: Callable[[], int]) -> Iterator[None]:
    """Take the seeds that are drawn inside a ``with`` block from a function."""
    token = _draw.set(draw)
    try:
        yield
    finally:
        _draw.reset(token)
