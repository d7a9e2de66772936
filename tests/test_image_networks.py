"""Networks of images: PyTorch's weights, files, copies, editing, containers, what does not fit."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnkit
from nnkit import (
    AvgPool2d,
    ChannelsLast,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Image,
    Linear,
    MaxPool2d,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Upsample2d,
)
from nnkit.backends import choosing


def host(model, array):
    return np.array(model.backend.to_numpy(array))


# ------------------------------------------------------------------ weights of PyTorch


def ramp(shape, period):
    """Small whole numbers in turn."""
    return (np.arange(np.prod(shape)) % period - period // 2).reshape(shape).astype(float)


def test_weights_of_pytorch(backend, dtype):
    """The recipe's turns: of kernels, of a transposed convolution's, and of Linear's rows.

    The outputs are those of PyTorch 2.14.1 for ``Sequential(Conv2d(2, 3, 3, padding=1), ReLU(),
    MaxPool2d(2), ConvTranspose2d(3, 2, 2, stride=2), Flatten(), Linear(48, 2))``.
    """
    model = Sequential(
        ChannelsLast(),
        Conv2d(2, 3, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        ConvTranspose2d(3, 2, 2, stride=2),
        Flatten(),
        Linear(48, 2),
        backend=backend,
        dtype=dtype.name,
    )
    model[1].W.value = ramp((3, 2, 3, 3), 5).transpose(2, 3, 1, 0)
    model[1].b.value = ramp((3,), 3)
    model[4].W.value = ramp((3, 2, 2, 2), 7).transpose(2, 3, 1, 0)
    model[4].b.value = ramp((2,), 2)
    behind = ramp((2, 48), 11).reshape(2, 2, 4, 6).transpose(2, 3, 1, 0)
    model[6].W.value = behind.reshape(48, 2)
    model[6].b.value = ramp((2,), 3)
    outputs = host(model, model(ramp((2, 2, 4, 6), 9)))
    np.testing.assert_array_equal(outputs, [[5617, -195], [3116, -662]])


# ------------------------------------------------------------------ networks of images


def network(backend, **options):
    """Each layer of images, nested."""
    return Sequential(
        Image(8, 8),
        Conv2d(1, 4, 3, padding="same"),
        ReLU(),
        MaxPool2d(2),
        Residual(
            Conv2d(4, 6, 3, padding=1, bias=False),
            PReLU(6),
            Conv2d(6, 6, (3, 1), padding=(1, 0), groups=2),
            shortcut=Conv2d(4, 6, 1),
        ),
        Concat(Identity(), Sequential(Conv2d(6, 2, 1), "tanh", seed=0), AvgPool2d(3, 1, 1)),
        ConvTranspose2d(14, 3, 3, stride=2, padding=1, output_padding=1),
        Upsample2d((1, 2)),
        Conv2d(3, 5, 3, stride=(1, 2), dilation=2),
        GlobalAvgPool2d(),
        Linear(5, 3),
        backend=backend,
        **{"seed": 1, "dtype": "float64", **options},
    )


def data(rng):
    return rng.normal(size=(10, 64)), np.arange(10) % 3


def test_gradients_of_all_together(backend, rng):
    """By central differences on NumPy, which the other backends come to as well."""
    x, _ = data(rng)
    models = network("numpy"), network(backend)
    assert nnkit.gradcheck(models[0], "cross_entropy", x[:3], [0, 1, 2], samples=12).ok
    dy = rng.normal(size=(10, 3))
    want, got = ((host(m, m(x)), host(m, m.backward(dy)), host(m, m.flat.grads)) for m in models)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_the_table_shows_images():
    lines = network("numpy", dtype="float32").summary().splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "layer output parameters",
        "0: Image(height=8, width=8, channels=1) (n, 8, 8, 1) 0",
        "1: Conv2d(1, 4, 3, padding='same') (n, 8, 8, 4) 40",
        "2: ReLU() (n, 8, 8, 4) 0",
        "3: MaxPool2d(2) (n, 4, 4, 4) 0",
        "4: Residual (n, 4, 4, 6) 0",
        "4.0: Conv2d(4, 6, 3, padding=1, bias=False) (n, 4, 4, 6) 216",
        "4.1: PReLU(features=6, alpha=0.25) (n, 4, 4, 6) 6",
        "4.2: Conv2d(6, 6, (3, 1), padding=(1, 0), groups=2) (n, 4, 4, 6) 60",
        "4.shortcut: Conv2d(4, 6, 1) (n, 4, 4, 6) 30",
        "5: Concat (n, 4, 4, 14) 0",
        "5.0: Identity() (n, 4, 4, 6) 0",
        "5.1.0: Conv2d(6, 2, 1) (n, 4, 4, 2) 14",
        "5.1.1: Tanh() (n, 4, 4, 2) 0",
        "5.2: AvgPool2d(3, stride=1, padding=1) (n, 4, 4, 6) 0",
        "6: ConvTranspose2d(14, 3, 3, stride=2, padding=1, output_padding=1) (n, 8, 8, 3) 381",
        "7: Upsample2d((1, 2)) (n, 8, 16, 3) 0",
        "8: Conv2d(3, 5, 3, stride=(1, 2), dilation=2) (n, 4, 6, 5) 140",
        "9: GlobalAvgPool2d() (n, 5) 0",
        "10: Linear(in_features=5, out_features=3, bias=True) (n, 3) 18",
        "total 905",
        "float32 on numpy",
    ]


def through_a_file(trainer, path):
    trainer.save(path)
    return nnkit.Trainer.load(path, trainer.model.backend)


WAYS = {
    "deepcopy": lambda trainer, path: copy.deepcopy(trainer),
    "pickle": lambda trainer, path: pickle.loads(pickle.dumps(trainer)),
    "file": through_a_file,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_goes_on_in_a_copy(backend, rng, tmp_path, monkeypatch, way):
    x, t = data(rng)
    monkeypatch.setitem(choosing._loaded, backend.name, backend)  # a simulated one, for the pickle
    trainer = nnkit.Trainer(network(backend))
    trainer.fit(x, t, 2, 4)
    other = WAYS[way](trainer, tmp_path / "run.safetensors")
    for each in (trainer, other):
        each.resume(x, t, 3)
    runs = [host(each.model, each.model.flat.values) for each in (trainer, other)]
    np.testing.assert_array_equal(*runs)
    assert repr(other.model) == repr(trainer.model)


def test_a_model_of_a_file_on_another_backend(backend, rng, tmp_path):
    x, _ = data(rng)
    model = network(backend)
    model.save(tmp_path / "model.safetensors")
    loaded = nnkit.load(tmp_path / "model.safetensors", "numpy")
    want = host(model, model(x))
    np.testing.assert_allclose(loaded(x), want, rtol=1e-9, atol=1e-12)
    assert loaded[6].output_padding == (1, 1), "a tuple again"
    np.testing.assert_allclose(model.to("numpy")(x), want, rtol=1e-9, atol=1e-12)


def test_editing(rng):
    x, _ = data(rng)
    model = network("numpy")
    kept = model[1].W.to_numpy()
    model.insert(2, Conv2d(4, 4, 3, padding=1))
    model[3] = "leaky_relu"
    assert model(x).shape == (10, 3)
    np.testing.assert_array_equal(model[1].W.to_numpy(), kept)
    message = r"layer 2: Conv2d\(3, 4, 3\) takes \(height, width, 3\), not shape \(8, 8, 4\); "
    with pytest.raises(ValueError, match=message):
        model.insert(2, Conv2d(3, 4, 3))
    assert len(model) == 12
    assert model[:5](x).shape == (10, 4, 4, 4)


def test_slopes_of_channels(backend, rng):
    slope, x = np.array([0.5, -1.0, 2.0]), rng.normal(size=(2, 4, 5, 3))
    model = Sequential(PReLU(3), backend=backend, dtype="float64")
    model[0].weight.value = slope
    np.testing.assert_allclose(host(model, model(x)), np.where(x > 0, x, slope * x), rtol=1e-12)
    dy = rng.normal(size=x.shape)
    dx = np.where(x > 0, dy, slope * dy)
    np.testing.assert_allclose(host(model, model.backward(dy)), dx, rtol=1e-12)
    dslope = (dy * np.minimum(x, 0)).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(host(model, model[0].weight.grad), dslope, rtol=1e-12)


# ------------------------------------------------------------------ what does not fit


LENET = Conv2d(3, 6, 5), ReLU(), MaxPool2d(2), Flatten(), Linear(6 * 14 * 14, 10)


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        (
            LENET,
            (3, 32, 32),
            "layer 0: Conv2d(3, 6, 5) takes (height, width, 3), not shape (3, 32, 32); put "
            "ChannelsLast() in front for shape (3, height, width)",
        ),
        (
            LENET,
            (3072,),
            "layer 0: Conv2d(3, 6, 5) takes (height, width, 3), not shape (3072,); put "
            "Image(32, 32, 3) in front",
        ),
        (
            LENET,
            (3000,),
            "layer 0: Conv2d(3, 6, 5) takes (height, width, 3), not shape (3000,); put "
            "Image(height, width, 3) in front",
        ),
        (
            LENET,
            (32, 3),
            "layer 0: Conv2d(3, 6, 5) takes (height, width, 3), not shape (32, 3); a single image "
            "is x[None]",
        ),
        (
            LENET,
            (28, 28, 3),
            "layer 4: Linear(in_features=1176, out_features=10, bias=True) takes rows of 1176 "
            "numbers, not of shape (864,); write Linear(864, 10) (layer 3, Flatten(), gives shape "
            "(864,))",
        ),
        (
            (MaxPool2d(4), Linear(6, 10)),
            (32, 32, 3),
            "layer 1: Linear(in_features=6, out_features=10, bias=True) takes rows of 6 numbers, "
            "not of shape (8, 8, 3); put Flatten() in front of it (layer 0, MaxPool2d(4), gives "
            "shape (8, 8, 3))",
        ),
        (
            (MaxPool2d(2),),
            (28, 28),
            "layer 0: MaxPool2d(2) takes (height, width, channels), not shape (28, 28); put "
            "Image(28, 28) in front",
        ),
        (
            (GlobalAvgPool2d(),),
            (784,),
            "layer 0: GlobalAvgPool2d() takes (height, width, channels), not shape (784,); put "
            "Image(height, width, channels) in front",
        ),
        (
            (PReLU(4),),
            (5, 5, 3),
            "layer 0: PReLU(features=4, alpha=0.25) takes rows or pixels of 4 numbers, not of "
            "shape (5, 5, 3); write PReLU(3), or PReLU() for one slope",
        ),
        (
            (Residual(MaxPool2d(1), Conv2d(3, 8, 3, padding=1)),),
            (9, 9, 3),
            "layer 0: Residual(MaxPool2d(1), Conv2d(3, 8, 3, padding=1)) cannot add x of shape "
            "(9, 9, 3) to f(x) of shape (9, 9, 8): give it a shortcut= layer from the one to the "
            "other, such as Conv2d(3, 8, 1)",
        ),
        (
            (Residual(MaxPool2d(1), Conv2d(3, 8, 3, padding=1, stride=2)),),
            (9, 9, 3),
            "layer 0: Residual(MaxPool2d(1), Conv2d(3, 8, 3, stride=2, padding=1)) cannot add x of "
            "shape (9, 9, 3) to f(x) of shape (5, 5, 8): give it a shortcut= layer from the one to "
            "the other, such as Conv2d(3, 8, 1, 2)",
        ),
        (
            (Residual(Conv2d(3, 3, 3)),),
            (9, 9, 3),
            "layer 0: Residual(Conv2d(3, 3, 3)) cannot add x of shape (9, 9, 3) to f(x) of shape "
            "(7, 7, 3): give it a shortcut= layer from the one to the other; a convolution of "
            "stride 1 keeps the size with padding='same'",
        ),
        (
            (Residual(Linear(4, 3)),),
            (4,),
            "layer 0: Residual(Linear(in_features=4, out_features=3, bias=True)) cannot add x of "
            "shape (4,) to f(x) of shape (3,): give it a shortcut= layer from the one to the "
            "other, such as Linear(4, 3)",
        ),
        (
            (Concat(Conv2d(3, 4, 3), Identity()),),
            (9, 9, 3),
            "layer 0: Concat(Conv2d(3, 4, 3), Identity()) joins along the last axis, but its "
            "branches' outputs of shapes (7, 7, 4), (9, 9, 3) differ in another one",
        ),
    ],
)
def test_shapes_that_do_not_fit(layers, shape, message):
    with nnkit.use_backend("numpy"), pytest.raises(ValueError) as caught:
        Sequential(*copy.deepcopy(layers))(np.zeros((2, *shape)))
    assert str(caught.value).removeprefix(f"input of shape {(2, *shape)}: ") == message


@pytest.mark.parametrize(
    ("shape", "remedy"), [((8, 8, 3), Identity()), ((3, 8, 8), ChannelsLast()), ((192,), None)]
)
def test_the_remedies_work(backend, rng, shape, remedy):
    layers = remedy or Image(8, 8, 3), Conv2d(3, 2, 3), Flatten(), Linear(72, 4)
    trainer = nnkit.Trainer(Sequential(*layers, seed=0, backend=backend))
    trainer.fit(rng.normal(size=(8, *shape)), np.arange(8) % 4, 1, 4)


def test_outputs_that_are_images(rng):
    model = Sequential(Conv2d(1, 2, 3, padding="same"), backend="numpy")
    x = rng.random((4, 6, 6))
    with pytest.raises(ValueError) as caught:
        nnkit.Trainer(model, "mse").fit(x, x)
    assert str(caught.value) == (
        "the model's outputs must be rows of numbers, not of shape (6, 6, 2): put Flatten() behind "
        "the last layer, or GlobalAvgPool2d() for the mean of each channel"
    )
    model.append(Flatten())
    t = rng.random((4, 6, 6, 2))
    with pytest.raises(ValueError) as caught:
        nnkit.Trainer(model, "mse").fit(x, t)
    assert str(caught.value) == (
        "targets of shape (4, 6, 6, 2) for predictions of shape (4, 72): give t.reshape(len(t), -1)"
    )
    nnkit.Trainer(model, "mse").fit(x, t.reshape(len(t), -1), 1, 2)
    labels = rng.integers(0, 2, (4, 6, 6))
    with pytest.raises(ValueError) as caught:
        nnkit.Trainer(model).fit(x, labels)
    assert str(caught.value) == (
        "targets of shape (4, 6, 6) for predictions of shape (4, 72): integer labels (4,) or "
        "one-hot rows (4, 72) expected"
    )


def test_what_a_last_layer_gives_is_seen_through_the_layers_of_images():
    """A sigmoid's outputs are probabilities behind Flatten and Upsample2d, too."""
    layers = ConvTranspose2d(1, 1, 2), nnkit.Sigmoid(), Upsample2d(2), Flatten()
    model = Sequential(*layers, backend="numpy")
    with pytest.warns(UserWarning, match=r"but layer 1, Sigmoid\(\), .* trains badly"):
        nnkit.Trainer(model, "bce_with_logits").fit(np.ones((2, 2, 2)), np.ones((2, 36)), 1, 2)


def test_a_summary_for_a_shape_that_no_layer_determines():
    model = nnkit.Sequential(Conv2d(3, 6, 5), MaxPool2d(2), Flatten(), backend="numpy")
    assert "(n, height, width, 6)" in model.summary()
    assert "(n, numbers)" in model.summary()
    assert "(n, ...)" in nnkit.Sequential(MaxPool2d(2), backend="numpy").summary()
    assert "(n, 14, 14, 6)" in model.summary((32, 32, 3))
    with pytest.raises(ValueError, match=r"layer 0: Conv2d\(3, 6, 5\) takes .* not shape \(9,\)"):
        model.summary((9,))


def test_batch_norm_of_images_is_another_layer():
    with pytest.raises(ValueError, match=r"; for images there is BatchNorm2d\(6\) \(layer 0, "):
        nnkit.Sequential(Conv2d(3, 6, 5), nnkit.BatchNorm1d(6), backend="numpy")
