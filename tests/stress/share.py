"""How much is tried: NNKIT_STRESS=1 all of it, 0.1 a tenth; else a little, always the same."""

from __future__ import annotations

import os
import time

SHARE = float(os.environ.get("NNKIT_STRESS", "0"))


def share_of(full: int, least: int) -> int:
    """Return how many of `full` attempts to make, at least `least`."""
    return max(least, round(full * SHARE))


def first_seed() -> int:
    """Return where seeds begin: at 0 in `make test`, elsewhere in every run of `make stress`."""
    return int(time.time()) * 100_000 if SHARE else 0
