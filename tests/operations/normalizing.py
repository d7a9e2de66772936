"""What the families of normalisation share."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from nnkit.backends.contract import Norm
from tests.helpers import random_array

EPS = 1e-5


def inputs_of(
    rng: np.random.Generator, shape: tuple[int, int], names: str
) -> dict[str, np.ndarray]:
    """Make some of gamma, beta, mean, var (m,), x, y and dy (n, m), by their names."""
    m = shape[1]
    arrays = {name: random_array(rng, m) for name in ("gamma", "beta", "mean")}
    arrays |= {name: random_array(rng, shape) for name in ("x", "dy", "y")}
    arrays |= {"var": rng.random(m) + 0.1}
    return {name: arrays[name] for name in names.split()}


def norm_of(v: SimpleNamespace) -> Norm:
    """Return what the operations take."""
    return Norm(v.gamma, v.beta, EPS)
