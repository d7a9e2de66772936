"""Which backends are timed."""

from __future__ import annotations

import os

from nnkit.backends import available_backends

VARIABLE = "NNKIT_BENCH_BACKENDS"


def backends() -> list[str]:
    """Names from NNKIT_BENCH_BACKENDS, else of all backends that work here."""
    named = os.environ.get(VARIABLE, "").replace(",", " ").split()
    return named or available_backends()
