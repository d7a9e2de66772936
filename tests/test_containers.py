"""Residual and Concat: values, gradients, shapes, nesting, capture, files and errors."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import nnkit
from nnkit import Concat, Dropout, Identity, Linear, ReLU, Residual, Sequential, Tanh


def host(model, array):
    return np.array(model.backend.to_numpy(array))


def nested(backend, **options):
    return Sequential(
        Linear(6, 8),
        Residual(Linear(8, 8), nnkit.BatchNorm1d(8), ReLU(), Dropout(0.2), Linear(8, 8)),
        ReLU(),
        Concat(
            Identity(), Sequential(Linear(8, 4), Tanh(), seed=0, backend=backend), Residual(Tanh())
        ),
        Residual(Linear(20, 5), Tanh(), shortcut=Linear(20, 5)),
        Linear(5, 3),
        backend=backend,
        **{"seed": 1, "dtype": "float64", **options},
    )


def test_residual_is_f_plus_x(backend, rng):
    w, x = rng.normal(size=(4, 4)), rng.normal(size=(5, 4))
    model = Sequential(Residual(Linear(4, 4, init=w)), backend=backend, dtype="float64")
    np.testing.assert_allclose(host(model, model(x)), x @ w + x, rtol=1e-12)
    dy = rng.normal(size=(5, 4))
    np.testing.assert_allclose(host(model, model.backward(dy)), dy @ w.T + dy, rtol=1e-12)


def test_a_shortcut_changes_the_shape(backend, rng):
    w, v, x = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(5, 4))
    layer = Residual(Linear(4, 3, init=w), shortcut=Linear(4, 3, init=v))
    model = Sequential(layer, backend=backend, dtype="float64")
    np.testing.assert_allclose(host(model, model(x)), x @ w + x @ v, rtol=1e-12)


@pytest.mark.parametrize("shape", [(5, 4), (5, 2, 4)])
def test_concat_lays_side_by_side(backend, rng, shape):
    x = rng.normal(size=shape)
    model = Sequential(Concat(Tanh(), Identity(), ReLU()), backend=backend, dtype="float64")
    y = np.concatenate([np.tanh(x), x, np.maximum(x, 0)], axis=-1)
    np.testing.assert_allclose(host(model, model(x)), y, rtol=1e-12)
    dy = rng.normal(size=y.shape)
    first, second, third = np.split(dy, 3, axis=-1)
    dx = first * (1 - np.tanh(x) ** 2) + second + third * (x > 0)
    np.testing.assert_allclose(host(model, model.backward(dy)), dx, rtol=1e-12)


def test_gradients_of_nested_containers(backend, rng, small):
    model = nested(backend)
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(
            *(model, nnkit.SoftmaxCrossEntropy(), rng.normal(size=(9, 6)), rng.integers(0, 3, 9)),
            samples=5 if small else 25,
        )
    assert check, str(check)
    assert "4.shortcut.weight" in check.errors


def test_captured_as_uncaptured_fused_as_unfused(backend, rng):
    x, t = rng.normal(size=(70, 6)), rng.integers(0, 3, 70)
    first = nested(backend)
    trained = []
    for model, compiled in ((copy.deepcopy(first), True), (first, False)):
        losses = nnkit.Trainer(model).fit(x, t, 4, 16, compile=compiled).step_loss
        trained.append((losses, host(model, model.flat.values).tobytes()))
    assert trained[0] == trained[1]
    assert len(first.runs()) == 1
    plain = nested(backend, fuse=False)
    losses = nnkit.Trainer(plain).fit(x, t, 4, 16).step_loss
    np.testing.assert_allclose(losses, trained[0][0], rtol=1e-9)


def test_neighbours_are_fused_inside():
    model = nested("numpy")
    assert [type(step).__name__ for step in model[4]._through.steps] == ["LinearActivation"]
    assert [type(step).__name__ for step in nested("numpy", fuse=False)[4]._through.steps] == [
        "Linear",
        "Tanh",
    ]


def test_files_and_names(backend, tmp_path, rng):
    model = nested(backend)
    model.save(tmp_path / "m")
    loaded = nnkit.load(tmp_path / "m", backend=backend)
    x = rng.normal(size=(5, 6))
    np.testing.assert_array_equal(host(loaded, loaded(x)), host(model, model(x)))
    assert repr(loaded) == repr(model)
    names = [name for name, _ in model.named_parameters()]
    assert names[2] == "1.0.weight"
    assert names[-3:] == ["4.shortcut.bias", "5.weight", "5.bias"]


def test_summary_shows_what_is_inside():
    lines = nested("numpy").summary().splitlines()
    starts = [line.split("  ")[0].split("(")[0] for line in lines]
    assert starts[2:5] == ["1: Residual", "1.0: Linear", "1.1: BatchNorm1d"]
    assert starts[9:13] == ["3: Concat", "3.0: Identity", "3.1.0: Linear", "3.1.1: Tanh"]
    assert "(n, 20)" in lines[9]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Residual, "Residual needs at least one layer"),
        (lambda: Concat(ReLU), "Concat takes layers, not"),
        (
            lambda: Sequential(Linear(4, 4), Residual(Linear(4, 3))),
            r"layer 1: Residual\(Linear.* cannot add x of shape \(4,\) to f\(x\) of shape \(3,\): "
            "give it a shortcut= layer",
        ),
        (
            lambda: Sequential(Residual(Linear(4, 3), Linear(4, 4))),
            r"layer 0.1: Linear\(in_features=4.* takes rows of 4 numbers, not of shape \(3,\)",
        ),
        (
            lambda: Concat(Identity(), nnkit.Flatten()).output_shape((2, 3)),
            r"joins along the last axis, but its branches' outputs of shapes \(2, 3\), \(6,\)",
        ),
    ],
)
def test_errors_name_the_layer(make, message):
    with nnkit.use_backend("numpy"), pytest.raises((ValueError, TypeError), match=message):
        make()


def test_an_error_inside_is_placed(rng):
    class Broken(nnkit.Layer):
        def forward(self, x):
            raise RuntimeError("broken")

    model = Sequential(Linear(2, 2), Residual(ReLU(), Broken()), backend="numpy")
    with pytest.raises(RuntimeError, match="broken") as caught:
        model(np.ones((1, 2)))
    assert caught.value.__notes__ == ["layer 1.1: Broken()"]


def test_what_is_inside_is_indented():
    nested = nnkit.Sequential(nnkit.Flatten(), "relu", backend="numpy")
    layers = nnkit.Residual("tanh", shortcut=nested), nnkit.Concat("relu", "tanh")
    assert repr(nnkit.Sequential(*layers, backend="numpy")) == (
        "Sequential(\n"
        "  0: Residual(\n"
        "    0: Tanh()\n"
        "    shortcut: Sequential(\n"
        "      0: Flatten()\n"
        "      1: ReLU()\n"
        "    )\n"
        "  )\n"
        "  1: Concat(ReLU(), Tanh())\n"
        ")"
    )
    with pytest.raises(ValueError, match=r"^Residual\( 0: Tanh\(\) shortcut: Sequential\( "):
        layers[0].output_shape((2, 2))
