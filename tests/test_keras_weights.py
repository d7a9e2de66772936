"""Weights of Keras's: against Keras itself, and against a file that it wrote."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from tests.test_torch_weights import FILES, shaken


def ours():
    return nnkit.Sequential(
        nnkit.Conv2d(2, 4, 3, padding="same"),
        nnkit.BatchNorm2d(4, eps=1e-3),
        nnkit.ReLU(),
        nnkit.Conv2d(4, 8, 2, groups=4),
        nnkit.PReLU(8),
        nnkit.ConvTranspose2d(8, 3, 2, stride=2),
        nnkit.Flatten(),
        nnkit.Linear(192, 3),
        nnkit.LayerNorm(3, eps=1e-3),
        nnkit.Linear(3, 2),
        backend="numpy",
        seed=0,
    )


def theirs():
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((5, 5, 2)),
            layers.Conv2D(4, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(2, depth_multiplier=2),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Conv2DTranspose(3, 2, strides=2),
            layers.Flatten(),
            layers.Dense(3),
            layers.LayerNormalization(),
            layers.Dense(2),
        ]
    )


def listed(path):
    with np.load(path) as file:
        return [*file.values()]


def test_both_ways(tmp_path):
    pytest.importorskip("keras")
    net, model = theirs(), shaken(ours())
    path = tmp_path / "w.npz"
    model.save_weights(path, layout="keras")
    net.set_weights(listed(path))
    x = np.random.default_rng(0).normal(size=(3, 5, 5, 2)).astype("f")
    np.testing.assert_allclose(net(x), model(x), rtol=1e-4, atol=1e-4)
    again = ours()
    again.load_weights(net.get_weights(), layout="keras")
    np.testing.assert_array_equal(again(x), model(x))


def test_weights_that_keras_wrote():
    """How the file was made: tests/files/README.md."""
    x, y, *arrays = listed(FILES / "keras_cnn.npz")  # names come first
    model = ours()
    model.load_weights(arrays, layout="keras")
    np.testing.assert_allclose(model(x), y, rtol=1e-4, atol=1e-5)


def test_what_is_written_comes_back(tmp_path):
    model, again = shaken(ours()), shaken(ours(), seed=1)
    model.save_weights(tmp_path / "w.npz", layout="keras")
    arrays = listed(tmp_path / "w.npz")
    assert [a.shape for a in arrays[:7]] == [(3, 3, 2, 4), *[(4,)] * 5, (2, 2, 4, 2)]
    again.load_weights(arrays, layout="keras")
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, again.state()[name])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.ones((3, 2))], r"^there are 1 arrays, but the model has 2$"),
        ([np.ones((2, 3)), np.ones(2)], r"^array 0 has shape \(2, 3\), but 0\.weight of the model "
         r"has \(3, 2\)$"),
        ([np.ones((3, 2)), np.ones(2, int)], r"^its array 1 is of int64, not of real numbers$"),
    ],
)  # fmt: skip
def test_what_does_not_fit(arrays, message):
    model = nnkit.Sequential(nnkit.Linear(3, 2), backend="numpy")
    with pytest.raises(ValueError, match=message):
        model.load_weights(arrays, layout="keras")


def test_files_of_keras_are_read_by_numpy(tmp_path):
    model = nnkit.Sequential(nnkit.Linear(3, 2), backend="numpy")
    with pytest.raises(TypeError, match=r"^layout 'keras' takes the list that Keras's model\.get_"):
        model.load_weights("model.weights.h5", layout="keras")
    with pytest.raises(TypeError, match=r"^names are for layout 'torch': in 'keras' the order"):
        model.save_weights(tmp_path / "w.npz", layout="keras", names=["a"])
