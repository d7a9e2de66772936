"""Backends: what they must carry out, and how one is chosen."""

from nnkit.backends.choosing import (
    NAMES,
    VARIABLE,
    BackendUnavailableError,
    available_backends,
    current_backend,
    get_backend,
    set_backend,
    status,
    use_backend,
)
from nnkit.backends.contract import Array, Backend

__all__ = [
    "NAMES",
    "VARIABLE",
    "Array",
    "Backend",
    "BackendUnavailableError",
    "available_backends",
    "current_backend",
    "get_backend",
    "set_backend",
    "status",
    "use_backend",
]
