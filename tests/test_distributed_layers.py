"""Layers on several ranks: each computes with its share of a batch as one process with all."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit.layers.workspace import Share, Workspace
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


@pytest.mark.parametrize("cuts", [(0, 0, 4, 7)], ids=str)
@pytest.mark.parametrize("relu", [False, True])
def test_batch_norm_gradients_equal_central_differences(rng, cuts, relu):
    """Of what all ranks' outputs sum up to, by an input of any of them."""
    x, dy, h = rng.normal(size=(7, 5)), rng.normal(size=(7, 5)), 1e-6
    make, _ = normalizing("numpy", "rows", relu)

    def differences(ranks: Any) -> np.ndarray:
        first, last = [*pairwise(cuts)][ranks.rank]
        model, found = make().train(), np.empty(x.shape)
        with model.using(None, share=Share(ranks, first, last - first, len(x))):
            for place in np.ndindex(x.shape):
                ends = []
                for step in (h, -h):
                    moved = x.copy()
                    moved[place] += step
                    y = model.run_forward(moved[first:last])
                    ends.append(sum(ranks.gather(float((y * dy[first:last]).sum()))))
                found[place] = (ends[0] - ends[1]) / (2 * h)
        return found

    got = np.concatenate([part[1] for part in passes(make, x, dy, cuts)])
    np.testing.assert_allclose(got, on_ranks(3, differences)[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("norm", ["images"])
def test_batch_norm_in_a_captured_step(backend, rng, norm):
    """Sums over ranks are made in every repetition, where a backend can call the host."""
    if backend.name == "cupy":
        pytest.skip("a CUDA graph has sums of NCCL alone")
    x, dy = rng.normal(size=(2, *NORMS[norm][1])).astype("f")
    make, _ = normalizing(backend, norm, True, "float32")

    def train(ranks: Any, capture: bool) -> dict[str, bytes]:
        mine = slice(0, 3) if ranks.rank == 0 else slice(3, 7)
        model, workspace = make().train(), Workspace()
        share = Share(ranks, mine.start, mine.stop - mine.start, len(x))
        dx = None

        def step() -> None:
            nonlocal dx
            model.run_forward(x[mine])
            dx = model._chain.backward(dy[mine], True)

        with model.using(workspace, share=share):
            step()
            if capture:
                backend.capture(step)(3)
            else:
                for _ in range(3):
                    step()
        assert capture or ranks.reductions == 8
        assert dx is not None
        arrays = model.state() | {"grads": model.flat.grads, "dx": dx}
        return {name: array.tobytes() for name, array in arrays.items()}

    captured = on_ranks(2, lambda ranks: train(ranks, True))
    assert captured == on_ranks(2, lambda ranks: train(ranks, False))


def test_batch_norm_of_halves(backend, rng):
    if "float16" not in backend.dtypes:
        pytest.skip("of the cupy backend alone")
    x, dy = rng.normal(size=(2, 7, 2, 3, 5)).astype(np.float16)
    make, _ = normalizing(backend, "images", True, "float16")
    ((y, dx, gradients),) = passes(make, x, dy)
    parts = passes(make, x, dy, (0, 3, 3, 7))
    half = {"rtol": 2e-3, "atol": 4e-3}
    close(np.concatenate([part[0] for part in parts]), y, **half)
    close(np.concatenate([part[1] for part in parts]), dx, **half)
    close(sum(part[2].astype(float) for part in parts), gradients, rtol=2e-3, atol=2e-2)


@every_norm
def test_without_sync_each_rank_normalises_its_own(rng, norm):
    """To the bit as one process with its rows; nothing is summed up."""
    x, dy = rng.normal(size=(2, *NORMS[norm][1]))
    make, made = normalizing("numpy", norm, True, sync=False)
    parts = passes(make, x, dy, (0, 3, 7))
    states = [model.state() for model in made]
    for mine, part in zip((slice(0, 3), slice(3, 7)), parts, strict=True):
        (alone,) = passes(make, x[mine], dy[mine])
        assert [a.tobytes() for a in part] == [a.tobytes() for a in alone]
        state = {name: array.tobytes() for name, array in made[-1].state().items()}
        assert state in [{name: a.tobytes() for name, a in s.items()} for s in states]


@pytest.mark.parametrize(("training", "sync", "count"), [(1, 1, 2), (1, 0, 0), (0, 1, 0)])
def test_sums_over_ranks_are_made_where_they_are_wanted(rng, training, sync, count):
    x = rng.normal(size=(4, 5))

    def work(ranks: Any) -> int:
        model = nnkit.Sequential(nnkit.BatchNorm1d(5, sync=bool(sync)), backend="numpy", seed=0)
        model.train(bool(training))
        with model.using(None, share=Share(ranks, 2 * ranks.rank, 2, 4)):
            model.run_backward(model.run_forward(x[2 * ranks.rank :][:2]))
        assert pickle.loads(pickle.dumps(model)).state().keys() == model.state().keys()
        return ranks.reductions

    assert on_ranks(2, work) == [count] * 2


def test_batches_without_a_variance():
    """Of the whole batch, or without `sync` of a rank."""
    start = r"^BatchNorm{0}\(num_features=5, eps=0\.1, momentum=0\.1, sync={1}\) cannot train on a "
    whole = (
        "batch of one {}, which has no variance: give it larger batches, or switch to evaluation"
    )
    part = (
        "batch of {} on a rank, which has no variance: give it larger batches, or take the whole "
        "one's statistics with sync=True"
    )
    for norm, shape, cuts, sync, words in (
        ("rows", (1, 5), (0, 0, 1), True, start.format("1d", True) + whole.format("row")),
        ("images", (1, 1, 1, 5), (0, 1, 1), True, start.format("2d", True) + whole.format("pixel")),
        ("rows", (2, 5), (0, 1, 2), False, start.format("1d", False) + part.format("one row")),
        ("images", (3, 2, 2, 5), (0, 3, 3), False, part.format("no pixels")),
    ):
        make, _ = normalizing("numpy", norm, False, sync=sync)
        with pytest.raises(ValueError, match=words):
            passes(make, np.ones(shape), np.ones(shape), cuts)
    make, _ = normalizing("numpy", "images", False)
    passes(make, np.ones((1, 2, 1, 5)), np.ones((1, 2, 1, 5)), (0, 0, 1))


def test_sync_is_kept_in_files_and_may_be_missing_in_old_ones():
    layer = nnkit.BatchNorm2d(3, sync=False)
    assert layer.config()["sync"] is False
    assert nnkit.BatchNorm2d.from_config({"num_features": 3, "momentum": 0.2}).sync is True
    with pytest.raises(TypeError, match="BatchNorm1d: sync must be True or False, not 2"):
        nnkit.BatchNorm1d(3, sync=2)


WITHOUT_ROWS = {
    "dense": ([nnkit.Linear(6, 8), nnkit.GELU(), nnkit.LayerNorm(8), nnkit.Linear(8, 3)], (6,)),
    "pieces": ([nnkit.Maxout(6, 4, 2), nnkit.PReLU(4), nnkit.Softmax()], (6,)),
    "joined": ([nnkit.Residual(nnkit.Linear(6, 6), nnkit.Tanh()), nnkit.Dropout(0.3)], (6,)),
    "images": (
        [nnkit.Conv2d(4, 16, 3, padding=1), nnkit.ReLU(), nnkit.MaxPool2d(2), nnkit.Flatten()],
        (6, 6, 4),
    ),
    "more images": (
        [nnkit.ConvTranspose2d(4, 8, 2, stride=2), nnkit.Dropout2d(0.3), nnkit.GlobalAvgPool2d()],
        (3, 3, 4),
    ),
}


@pytest.mark.parametrize("name", WITHOUT_ROWS)
def test_a_rank_without_examples_has_gradients_of_zero(backend, name):
    layers, shape = WITHOUT_ROWS[name]
    model = nnkit.Sequential(*copy.deepcopy(layers), seed=0, backend=backend).train()
    for parameter in model.parameters():
        parameter.grad[...] = 7
    with model.using(None):
        y = model.run_forward(backend.empty((0, *shape), model.dtype))
        dx = model.run_backward(backend.empty(y.shape, model.dtype))
    assert y.shape == (0, *model.output_shape(shape))
    assert dx.shape == (0, *shape)
    assert not any(backend.to_numpy(p.grad).any() for p in model.parameters())
