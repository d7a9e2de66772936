"""Data sets that do not fit on the device: fed in blocks, with the result of those that do."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.training import streaming


@pytest.fixture
def cramped(backend, monkeypatch):
    """Return the backend, with no room for data and blocks of a few rows."""
    monkeypatch.setattr(backend, "room", lambda: 0, raising=False)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 20 * 16)
    return backend


def network(backend):
    return nnkit.Sequential(
        nnkit.Linear(16, 8), nnkit.ReLU(), nnkit.Linear(8, 3), seed=0, backend=backend
    )


def weights(model):
    return np.array(model.backend.to_numpy(model.flat.values)).tobytes()


def train(backend, x, t, **options):
    trainer = nnkit.Trainer(network(backend))
    history = trainer.fit(x, t, 3, 8, validation_data=(x, t), **options)
    return weights(trainer.model), history.step_loss, history.val_loss, trainer.predict(x).tolist()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", ["bytes", "reals"])
def test_streamed_is_the_same_bit_for_bit(backend, rng, kind, accumulate, monkeypatch):
    x = rng.integers(0, 256, (75, 16), np.uint8)
    if kind == "reals":
        x = (x / 255).astype("f")
    t = rng.integers(0, 3, 75)
    resident = train(backend, x, t, accumulate=accumulate)
    monkeypatch.setattr(backend, "room", lambda: 0, raising=False)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 20 * x[0].nbytes)
    copied = []
    copy = backend.copy_from_host
    monkeypatch.setattr(
        backend, "copy_from_host", lambda h, o: copied.append(len(h)) or copy(h, o), raising=False
    )
    assert train(backend, x, t, accumulate=accumulate) == resident
    assert train(backend, x, t, accumulate=accumulate, compile=False) == resident
    assert max(copied) == 16
    assert sum(copied) >= 2 * 3 * 75


def test_stop_and_resume_in_the_middle(cramped, rng):
    x, t = rng.integers(0, 256, (75, 16), np.uint8), rng.integers(0, 3, 75)

    class Stop(nnkit.Callback):
        def on_step_end(self, trainer):
            trainer.stop = trainer.progress.step == 5

    whole = nnkit.Trainer(network(cramped))
    whole.fit(x, t, 2, 8)
    part = nnkit.Trainer(network(cramped))
    part.fit(x, t, 2, 8, callbacks=[Stop()])
    part.resume(x, t)
    assert weights(part.model) == weights(whole.model)


def test_a_memory_map(backend, rng, tmp_path):
    x, t = rng.integers(0, 256, (75, 16), np.uint8), rng.integers(0, 3, 75)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.uint8, "r", shape=x.shape)
    assert train(backend, mapped, t) == train(backend, x, t)


def test_a_memory_map_is_not_copied_whole(tmp_path):
    """A file of 256 MB is trained on with little memory of one's own."""
    import tracemalloc

    path = tmp_path / "x"
    np.memmap(path, np.uint8, "w+", shape=(40_000, 6_400))[:1] = 255
    x = np.memmap(path, np.uint8, "r", shape=(40_000, 6_400))
    model = nnkit.Sequential(nnkit.Linear(6_400, 2), seed=0, backend="numpy")
    tracemalloc.start()
    nnkit.Trainer(model).fit(x, np.zeros(40_000, int), 1, 4_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 220e6


def test_nan_far_down_is_found(backend):
    x, t = np.ones((5000, 1000), "f"), np.zeros(5000, int)
    x[4500, 7] = -np.inf
    model = nnkit.Sequential(nnkit.Linear(1000, 2), seed=0, backend=backend)
    with pytest.raises(ValueError, match="first in row 4500"):
        nnkit.Trainer(model).fit(x, t, 1, 100)
