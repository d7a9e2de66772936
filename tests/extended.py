"""The guide's activation, in a copy of the sources that has it: run by test_extending.py."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit import activations, cli, loading


def test_all_names_follow():
    assert type(activations.get("arctan")) is nnkit.Arctan
    assert nnkit.Arctan is loading.LAYER_CLASSES["Arctan"]
    assert nnkit.Arctan.capturable
    assert activations.serialize(nnkit.Arctan()) == "arctan"
    assert type(activations.get(activations.arctan)) is nnkit.Arctan
    assert activations.arctan([1.0]).tolist() == [np.arctan(1.0)]
    assert "arctan" in activations.HIDDEN
    choices = {option.name: option.type for option in cli.cli.commands["train"].params}
    assert "arctan" in choices["activation"].choices
    with pytest.raises(AttributeError, match="no attribute 'arctangent'"):
        _ = activations.arctangent


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "plain"])
def test_values_and_gradients(backend, rng, tmp_path, fuse):
    layers = nnkit.Linear(3, 5), nnkit.Arctan()
    model = nnkit.Sequential(*layers, seed=0, dtype="float64", backend=backend, fuse=fuse)
    assert len(model.steps) == 2 - fuse
    x, dy = rng.normal(size=(4, 3)), rng.normal(size=(4, 5))
    y, dx = (backend.to_numpy(a).copy() for a in (model(x), model.backward(dy)))
    parameters = layers[0].W, layers[0].b
    W, b = (backend.to_numpy(p.value) for p in parameters)
    dW, db = (backend.to_numpy(p.grad) for p in parameters)
    z = x @ W + b
    dz = dy / (1 + z**2)
    for got, want in ((y, np.arctan(z)), (dx, dz @ W.T), (dW, x.T @ dz), (db, dz.sum(axis=0))):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    model.save(tmp_path / "model.safetensors")
    again = nnkit.load(tmp_path / "model.safetensors", backend)
    assert repr(again[1]) == "Arctan()"
    assert backend.to_numpy(again(x)).tolist() == y.tolist()
