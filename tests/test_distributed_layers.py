"""Layers on several ranks: each computes with its share of a batch as one process with all."""

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


NORMS = {
    "rows": (lambda **o: nnkit.BatchNorm1d(5, eps=0.1, **o), (7, 5)),
    "images": (lambda **o: nnkit.BatchNorm2d(5, eps=0.1, **o), (7, 2, 3, 5)),
}
every_norm = pytest.mark.parametrize("norm", NORMS)


def normalizing(backend: Any, norm: str, relu: bool, dtype: str = "float64", **options: Any) -> Any:
    """Make models of a normalisation, perhaps with a ReLU behind it, that remember themselves."""
    made = []

    def make() -> nnkit.Sequential:
        behind = [nnkit.ReLU()] if relu else []
        layer = NORMS[norm][0](**options)
        model = nnkit.Sequential(layer, *behind, seed=0, backend=backend, dtype=dtype)
        layer.gamma.value, layer.beta.value = np.linspace(0.5, 2, 5), np.linspace(-1, 1, 5)
        made.append(model)
        return model

    return make, made


def close(got: Any, want: Any, **options: Any) -> None:
    np.testing.assert_allclose(got, want, **({"rtol": 1e-12, "atol": 1e-12} | options))


@every_cut
@every_norm
@pytest.mark.parametrize("relu", [False, True])
def test_batch_norm_is_that_of_the_whole_batch(backend, rng, cuts, norm, relu):
    x, dy = 1e3 + rng.normal(size=NORMS[norm][1]), rng.normal(size=NORMS[norm][1])
    make, made = normalizing(backend, norm, relu)
    ((y, dx, gradients),) = passes(make, x, dy)
    parts = passes(make, x, dy, cuts)
    close(np.concatenate([part[0] for part in parts]), y, atol=1e-11)
    close(np.concatenate([part[1] for part in parts]), dx, atol=1e-11)
    close(sum(part[2] for part in parts), gradients, atol=1e-11)
    alone, *on_ranks = [model.state() for model in made]
    for state in on_ranks:
        for name, array in alone.items():
            close(state[name], array)
            assert state[name].tobytes() == on_ranks[0][name].tobytes()
