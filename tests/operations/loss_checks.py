"""How losses are checked: a log of several steps, of which a loss may write its own only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.backends import Backend
from tests.helpers import Check, counters
from tests.operations.samples import LOG
from tests.operations.shared import central_difference


def check_loss(
    check: Check, call: Callable[..., Any], z: np.ndarray, target: np.ndarray, **options: Any
) -> dict[str, np.ndarray]:
    """Check a loss that is called as ``call(backend, z, target, dz, log, counters)``."""
    got = check(
        lambda b, v: call(b, v.z, v.target, v.dz, v.log, counters(b, 2, 5, 9)),
        {"z": z, "target": target},
        {"dz": z.shape, "log": LOG},
        **options,
    )
    assert (np.delete(got["log"], 2, axis=0) == -7).all(), "wrote the log of another step"
    return got


def assert_gradient_equals_central_differences(
    backend: Backend, call: Callable[..., Any], y: np.ndarray, target: np.ndarray
) -> None:
    """Hold a loss's gradient against its values."""
    gradient = backend.empty(y.shape, np.float64)

    def value(values: np.ndarray) -> float:
        log = backend.zeros((1, 2), np.float64)
        call(backend, *map(backend.asarray, (values, target)), gradient, log, counters(backend))
        return float(backend.to_numpy(log)[0, 0])

    numeric = central_difference(value, y)
    value(y)
    np.testing.assert_allclose(backend.to_numpy(gradient), numeric, rtol=1e-6, atol=1e-8)
