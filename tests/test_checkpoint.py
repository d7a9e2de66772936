"""Checkpoint files: what comes back, and what damaged or foreign files say."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import nnkit


def network(backend="numpy", widths=(5, 4, 3), **options):
    return nnkit.Sequential(
        nnkit.Linear(widths[0], widths[1]),
        nnkit.Sigmoid(),
        nnkit.Dropout(0.25),
        nnkit.Linear(widths[1], widths[2], bias=False),
        backend=backend,
        **{"seed": 7, **options},
    )


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    network().save(path)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_model_comes_back_on_any_backend(backend, tmp_path, rng, dtype):
    model = network(backend, dtype=dtype)
    path = tmp_path / "model.safetensors"
    model.save(path)
    for target in (backend, "numpy"):
        loaded = nnkit.load(path, backend=target)
        assert loaded.config() == model.config()
        np.testing.assert_array_equal(
            loaded.backend.to_numpy(loaded.flat.values), backend.to_numpy(model.flat.values)
        )
    x = rng.normal(size=(2, 5))
    again = nnkit.load(path, backend=backend)
    np.testing.assert_array_equal(backend.to_numpy(again(x)), backend.to_numpy(model(x)))


def test_tensors_have_plain_names(saved):
    tensors = load_file(saved)
    assert sorted(tensors) == ["model.0.bias", "model.0.weight", "model.3.weight"]
    assert tensors["model.0.weight"].shape == (5, 4)


def test_nested_models(tmp_path):
    inner = nnkit.Sequential(nnkit.Linear(2, 2), nnkit.ReLU(), backend="numpy")
    model = nnkit.Sequential(inner, nnkit.Linear(2, 1), backend="numpy", seed=1)
    model.save(tmp_path / "m")
    loaded = nnkit.load(tmp_path / "m", backend="numpy")
    np.testing.assert_array_equal(loaded([[1.0, 2.0]]), model([[1.0, 2.0]]))


class Scale(nnkit.Layer):
    """A layer of the user's own, with an option."""

    options = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return self.factor * x

    def backward(self, dy):
        return self.factor * dy


def test_custom_layers(tmp_path):
    model = nnkit.Sequential(nnkit.Linear(2, 2), Scale(3.0), backend="numpy", seed=0)
    model.save(tmp_path / "m")
    with pytest.raises(nnkit.CheckpointError, match="unknown class 'Scale'; pass your own in cus"):
        nnkit.load(tmp_path / "m", backend="numpy")
    loaded = nnkit.load(tmp_path / "m", backend="numpy", custom_layers=[Scale])
    np.testing.assert_array_equal(loaded([[1.0, 2.0]]), model([[1.0, 2.0]]))


def test_load_weights(saved):
    model = network(seed=8)
    model.load_weights(saved)
    np.testing.assert_array_equal(model.flat.values, network(seed=7).flat.values)


def test_weights_of_another_network(saved):
    with pytest.raises(
        nnkit.CheckpointError, match=r"another network: its 0.weight has shape \(5, 4\), but"
    ):
        network(widths=(5, 6, 3)).load_weights(saved)
    with pytest.raises(nnkit.CheckpointError, match=r"another network: it has no 1.weight"):
        nnkit.Sequential(nnkit.Flatten(), nnkit.Linear(5, 3), backend="numpy").load_weights(saved)
    one = nnkit.Sequential(nnkit.Linear(5, 4), backend="numpy")
    with pytest.raises(nnkit.CheckpointError, match=r"another network: the model has no 3\.weight"):
        one.load_weights(saved)


def test_failing_to_load_changes_nothing(saved):
    model = network(widths=(5, 4, 2))
    before = model.flat.values.copy()
    with pytest.raises(nnkit.CheckpointError):
        model.load_weights(saved)
    np.testing.assert_array_equal(model.flat.values, before)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(nnkit.CheckpointError, match="is no safetensors file or is damaged"):
        nnkit.load(saved)


def test_every_mutation_of_the_header_is_an_error_or_harmless(saved, rng):
    """Flip bytes of the header: CheckpointError, or a model as before; nothing else."""
    data = saved.read_bytes()
    length = 8 + int.from_bytes(data[:8], "little")
    for at in rng.integers(0, length, 150):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        saved.write_bytes(damaged)
        try:
            nnkit.load(saved, backend="numpy")
        except nnkit.CheckpointError as error:
            assert str(saved) in str(error)


def test_a_foreign_safetensors_file(tmp_path):
    save_file({"a": np.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(nnkit.CheckpointError, match="safetensors file, but not one of nnkit's"):
        nnkit.load(tmp_path / "foreign")


def test_a_later_format(tmp_path):
    metadata = {"nnkit": json.dumps({"version": 99})}
    save_file({"a": np.zeros(1)}, tmp_path / "later", metadata)
    with pytest.raises(nnkit.CheckpointError, match=r"format 99; this nnkit reads up to 2"):
        nnkit.load(tmp_path / "later")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*nowhere"):
        nnkit.load(tmp_path / "nowhere")


def test_a_model_is_no_training_state(saved):
    with pytest.raises(nnkit.CheckpointError, match="a model without a training state"):
        nnkit.Trainer.load(saved)


def test_a_full_disk_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        network(seed=9).save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_folders_are_made(tmp_path):
    network().save(tmp_path / "a" / "b" / "model.safetensors")
    assert nnkit.load(tmp_path / "a" / "b" / "model.safetensors", backend="numpy")


def test_others_may_read_what_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        network().save(tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644
