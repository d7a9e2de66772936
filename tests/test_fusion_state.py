"""Steps of several layers: what they keep, and where layers were changed or overridden."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import nnkit
from nnkit.layers import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential


def trained(backend, fuse=True):
    layers = Conv2d(2, 3, 3), BatchNorm2d(3), ReLU(), Flatten(), Linear(48, 2)
    model = Sequential(*layers, seed=1, dtype="float64", backend=backend, fuse=fuse)
    x = np.random.default_rng(0).standard_normal((5, 6, 6, 2))
    model.train()
    for _ in range(3):
        model(x)
    return model.eval(), x, np.random.default_rng(1).standard_normal((5, 2))


def gradients(model):
    return [model.backend.to_numpy(p.grad).copy() for p in model.parameters()]


def test_evaluation_and_its_gradients_folded_or_not(backend):
    results = []
    for fuse in (True, False):
        model, x, dy = trained(backend, fuse)
        y = model.backend.to_numpy(model(x))
        results.append([y, model.backend.to_numpy(model.backward(dy)), *gradients(model)])
    for folded, plain in zip(*results, strict=True):
        np.testing.assert_allclose(folded, plain, rtol=1e-9, atol=1e-11)


def test_the_mode_of_the_forward_pass_counts_backward(backend):
    model, x, dy = trained(backend)
    model(x)
    wanted = model.backend.to_numpy(model.backward(dy)).copy()
    average = model.backend.to_numpy(model[1].running_mean).copy()
    model.train()
    with model.in_mode(training=False):
        model(x)
    np.testing.assert_array_equal(model.backend.to_numpy(model.backward(dy)), wanted)
    np.testing.assert_array_equal(model.backend.to_numpy(model[1].running_mean), average)


def test_training_with_a_normalisation_in_evaluation_mode_is_captured(backend, recwarn):
    class Freeze(nnkit.Callback):
        def on_epoch_begin(self, trainer, epoch):
            trainer.model[1].eval()

    states = []
    for compile in (True, False):
        model, x, _ = trained(backend)
        nnkit.Trainer(model, optimizer=nnkit.SGD(0.1)).fit(
            x, np.arange(5) % 2, 3, 5, callbacks=[Freeze()], compile=compile
        )
        states.append(model.state())
    assert not [w for w in recwarn if issubclass(w.category, nnkit.training.CaptureWarning)]
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name])


@pytest.mark.parametrize("behind", [BatchNorm2d(2), MaxPool2d(1)])
def test_another_model_around_a_part_leaves_what_backward_needs(backend, behind):
    layers = Residual(Conv2d(2, 2, 3, padding="same"), behind), Flatten(), Linear(72, 2)
    model = Sequential(*layers, seed=0, dtype="float64", backend=backend)
    x, dy = np.random.default_rng(0).random((3, 6, 6, 2)), np.ones((3, 2))
    model(x)
    model.backward(dy)
    wanted = gradients(model)
    model(x)
    assert len(model[:1]) == 1
    model.backward(dy)
    for one, other in zip(gradients(model), wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_copy_of_branches_has_no_activations():
    layers = Residual(Conv2d(2, 2, 3, padding="same"), "relu", MaxPool2d(1)), Flatten()
    model = Sequential(*layers, Linear(72, 2), backend="numpy")
    before = len(pickle.dumps(model))
    model(np.zeros((100, 6, 6, 2)))
    assert len(pickle.dumps(model)) < before + 2000


def test_a_pooling_that_was_changed_is_carried_out_as_it_is(backend):
    results = []
    for fuse in (True, False):
        layers = Conv2d(2, 3, 3), ReLU(), MaxPool2d(2), Flatten()
        model = Sequential(*layers, seed=0, dtype="float64", backend=backend, fuse=fuse)
        x = np.random.default_rng(0).standard_normal((2, 8, 8, 2))
        model(x)
        model[2].padding, model[2].stride = 1, 1
        y = model.backend.to_numpy(model(x))
        results.append([y, model.backend.to_numpy(model.backward(np.ones(y.shape)))])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_a_pass_of_one_s_own_is_called():
    class Doubled(MaxPool2d):
        def forward(self, x):
            return 2 * super().forward(x)

    class Halved(Linear):
        def forward(self, x):
            return super().forward(x) / 2

    x = np.random.default_rng(0).random((2, 6, 6, 1))
    plain, own = (
        Sequential(
            Conv2d(1, 2, 3), pool(2), Flatten(), linear(8, 3), ReLU(), seed=0, backend="numpy"
        )
        for pool, linear in ((MaxPool2d, Linear), (Doubled, Halved))
    )
    np.testing.assert_allclose(own(x), plain(x), rtol=1e-6)
