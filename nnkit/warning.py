"""Warnings of what is probably not meant, at the line of the user's program that it comes from."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np


class DataWarning(UserWarning):
    """Examples are probably not scaled as they should be; the message says what to do."""


class CacheWarning(UserWarning):
    """Compiled kernels cannot be kept on disk; the message says why, and what to do."""


class DivergenceWarning(RuntimeWarning):
    """Losses, weights or outputs are NaN or infinite: training has diverged."""


_PASSED = ("nnkit.", "numba.", "contextlib")
"""Modules that lie between a user's line and a warning."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn of the first line outside nnkit that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PASSED):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def warn_of_weights(path: str | PathLike[str], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Warn if weights that are saved are NaN or infinite; say which."""
    name = next((k for k, x in weights.items() if not np.isfinite(x).all()), None)
    if name is not None:
        warn(
            f"{path} is of a model whose {name} holds NaN or infinity: training has diverged, and "
            "what is saved is of no use",
            DivergenceWarning,
        )
