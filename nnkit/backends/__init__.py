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
from nnkit.backends.precision import get_precision, set_precision

__all__ = [
    "NAMES",
    "VARIABLE",
    "Array",
    "Backend",
    "BackendUnavailableError",
    "available_backends",
    "current_backend",
    "get_backend",
    "get_precision",
    "set_backend",
    "set_precision",
    "status",
    "use_backend",
]
