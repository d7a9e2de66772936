"""Layers on several ranks: each computes with its share of a batch as one process with all of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit.layers.workspace import Share
from tests.ranks import on_ranks

UNEVEN = (0, 2, 7), (0, 5, 5, 7), (0, 1, 4, 7)
"""Where the shares of seven examples begin and end: on two ranks, and on three."""

every_cut = pytest.mark.parametrize("cuts", UNEVEN, ids=lambda cuts: "-".join(map(str, cuts)))


def passes(
    make: Any, x: np.ndarray, dy: np.ndarray, cuts: Sequence[int] = ()
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Outputs, input gradients and flat gradients of a training pass, of each rank its own."""

    def work(ranks: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        model, share, mine = make(), None, slice(None)
        if cuts:
            first, last = [*pairwise(cuts)][ranks.rank]
            share, mine = Share(ranks, first, last - first, len(x)), slice(first, last)
        backend = model.backend
        model.train()
        with model.using(None, share=share):
            y = model.run_forward(backend.asarray(x[mine], model.dtype))
            dx = model.run_backward(backend.asarray(dy[mine], model.dtype))
        return tuple(np.array(backend.to_numpy(a)) for a in (y, dx, model.flat.grads))

    return on_ranks(max(1, len(cuts) - 1), work)


@every_cut
@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 5), (7, 2, 3, 5)], ids=str)
def test_dropout_has_the_masks_of_the_whole_batch(backend, rng, cuts, shape):
    def make() -> nnkit.Sequential:
        images = [nnkit.Dropout2d(0.3)] if len(shape) == 4 else []
        return nnkit.Sequential(nnkit.Dropout(0.4), *images, seed=3, backend=backend)

    x, dy = rng.normal(size=(2, *shape))
    ((y, dx, _),) = passes(make, x, dy)
    parts = passes(make, x, dy, cuts)
    assert np.concatenate([part[0] for part in parts]).tobytes() == y.tobytes()
    assert np.concatenate([part[1] for part in parts]).tobytes() == dx.tobytes()
