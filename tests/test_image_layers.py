"""ConvTranspose2d, and networks of images: files, copies, editing, containers, errors."""

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


def host(model, array):
    return np.array(model.backend.to_numpy(array))


# ------------------------------------------------------------------ ConvTranspose2d


def ramp(shape, period):
    """Small whole numbers in turn."""
    return (np.arange(np.prod(shape)) % period - period // 2).reshape(shape).astype(float)


def numbers(text):
    return np.array(text.split(), float)


PYTORCH = [
    (
        ((2, 3, 2), (2, 2), {}),
        "9 -3 1 2 -5 2 -1 -2 -9 4 15 -5 3 -4 1 -3 -2 -4 -6 16 2 -4 2 -3",
        "-9 24 13 20 2 -6 13 -14 -9 -7 -9 11",
        "16 -10 36 -2 34 -5 -1 25 -22 -12 -13 -15 -15 -29 16 -10",
        "-5 -4",
    ),
    (
        ((2, 3, 2), (3, 2), {"stride": 2, "padding": 1, "output_padding": 1}),
        "-1 -3 0 1 1 -3 6 -5 3 -3 21 -6 7 -3 1 1 -1 5 -5 1 -2 11 -3 4 0 -3 3 -2 2 -3 -2 -4 3 -5 6 "
        "-2 1 1 0 0",
        "-18 -7 6 -10 2 -2 19 -15 2 -9 5 -9",
        "8 4 6 4 19 -11 -13 19 14 6 12 8 37 8 35 5 -6 -7 14 6 6 -11 37 8",
        "-6 -8",
    ),
    (
        ((2, 2, 2), (3, 2), {"stride": (3, 2), "padding": (0, 1), "output_padding": (2, 0)}),
        "-1 2 3 -1 -1 -3 0 1 9 -3 2 -2 -1 -2 -2 -4 3 -3 -2 -4 -3 1 -2 -4 1 -1 1 -1 1 -1 1 -1",
        "-12 10 -7 -9 -11 7 1 -6",
        "-3 6 -1 3 11 2 9 2 5 -6 7 -9 3 2 1 2 -20 15 -7 12 -5 2 -7 2",
        "-5 0",
    ),
]
"""Shape of x, kernel, options; then y, dx, dW, db of torch.nn.functional.conv_transpose2d in
PyTorch 2.14.1, for x = ramp(7), W = ramp(5), b = (1, -1) and dy = ramp(11), turned to nnkit's
layout."""


@pytest.mark.parametrize(("geometry", "y", "dx", "dweight", "dbias"), PYTORCH)
def test_values_of_pytorch(backend, dtype, geometry, y, dx, dweight, dbias):
    shape, kernel, options = geometry
    layer = ConvTranspose2d(2, 2, kernel, init=ramp((*kernel, 2, 2), 5), **options)
    model = Sequential(layer, backend=backend, dtype=dtype.name)
    layer.b.value = np.array([1, -1])
    got = host(model, model(ramp((1, *shape), 7)))
    np.testing.assert_array_equal(got.ravel(), numbers(y))
    dy = ramp(got.shape, 11)
    np.testing.assert_array_equal(host(model, model.backward(dy)).ravel(), numbers(dx))
    np.testing.assert_array_equal(host(model, layer.W.grad).ravel(), numbers(dweight))
    np.testing.assert_array_equal(host(model, layer.b.grad), numbers(dbias))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "stride": 2, "padding": 1, "output_padding": (1, 0)},
        {"kernel_size": 4, "stride": (3, 2), "padding": (0, 1), "bias": False},
        {"kernel_size": 1, "stride": 3, "output_padding": 2},
        {"kernel_size": 3, "padding": 2},
    ],
    ids=str,
)
def test_gradients(backend, rng, options):
    """By central differences, of two behind each other: the second gives a dx, too."""
    layers = ConvTranspose2d(2, 3, **options), "tanh", ConvTranspose2d(3, 1, 2), Flatten()
    model = Sequential(*layers, backend=backend, dtype="float64", seed=0)
    x = rng.normal(size=(2, 4, 3, 2))
    assert nnkit.gradcheck(model, "mse", x, rng.normal(size=model(x).shape), samples=15).ok


def test_it_is_the_gradient_of_a_convolution(backend, rng):
    """``<conv(y), x> = <y, transposed(x)>`` with the same W."""
    options = {"kernel_size": (3, 2), "stride": 2, "padding": 1, "bias": False}
    w = rng.normal(size=(3, 2, 3, 2))
    makes = {"backend": backend, "dtype": "float64"}
    down = Sequential(Conv2d(3, 2, init=w, **options), **makes)
    up = Sequential(ConvTranspose2d(2, 3, init=w, output_padding=(0, 1), **options), **makes)
    large = rng.normal(size=(2, 5, 7, 3))
    small = host(down, down(large))
    x = rng.normal(size=small.shape)
    back = host(up, up(x))
    assert back.shape == large.shape
    assert (small * x).sum() == pytest.approx((large * back).sum(), rel=1e-12)


def test_one_channel_needs_no_axis(backend, rng):
    model = Sequential(ConvTranspose2d(1, 2, 2, stride=2), backend=backend, dtype="float64")
    x = rng.normal(size=(2, 3, 4))
    with_axis = host(model, model(x[..., None]))
    np.testing.assert_array_equal(host(model, model(x)), with_axis)
    assert model.backward(np.ones((2, 6, 8, 2))).shape == x.shape


def test_named_initial_weights_count_its_inputs():
    """Not its outputs, as they would by the shape of W; other ones get that shape."""
    wide = ConvTranspose2d(200, 2, 3, init="he"), ConvTranspose2d(2, 200, 3, init="he")
    for layer, inputs in zip(wide, (200, 2), strict=True):
        Sequential(layer, backend="numpy", seed=0)
        assert layer.W.to_numpy().std() == pytest.approx((2 / (9 * inputs)) ** 0.5, rel=0.05)
    seen = []
    layer = ConvTranspose2d(4, 5, 3, init=lambda rng, shape: seen.append(shape) or np.ones(shape))
    Sequential(layer, backend="numpy")
    assert seen == [(3, 3, 5, 4)] == [layer.weight.shape]


def test_it_takes_what_suits_the_activation():
    models = [
        Sequential(ConvTranspose2d(4, 5, 3, init=init), "relu", backend="numpy", seed=3)
        for init in (None, "he", "xavier")
    ]
    values = [model[0].W.to_numpy() for model in models]
    assert (values[0] == values[1]).all()
    assert (values[0] != values[2]).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ConvTranspose2d(3, 4, 3, stride=(2, 1), output_padding=1),
            "ConvTranspose2d(3, 4, 3, stride=(2, 1), output_padding=1): output_padding must be "
            "less than stride; a larger stride makes larger images",
        ),
        (
            lambda: ConvTranspose2d(3, 4, 2, padding=4).output_shape((3, 3, 3)),
            "ConvTranspose2d(3, 4, 2, padding=4) makes images of -4 x -4 of shape (3, 3, 3): less "
            "padding leaves more of them",
        ),
        (
            lambda: ConvTranspose2d(3, 4, 2).output_shape((3, 5, 5)),
            "ConvTranspose2d(3, 4, 2) takes (height, width, 3), not shape (3, 5, 5); put "
            "ChannelsLast() in front for shape (3, height, width)",
        ),
    ],
)
def test_errors_of_the_transposed_convolution(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == message


# ------------------------------------------------------------------ weights of PyTorch


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
        "7: Upsample2d(scale=(1, 2)) (n, 8, 16, 3) 0",
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
def test_a_run_goes_on_in_a_copy(backend, rng, tmp_path, way):
    x, t = data(rng)
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
    message = r"layer 2: Conv2d\(3, 4, 3\) takes \(height, width, 3\), not shape \(8, 8, 4\)$"
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
            "numbers, not of shape (864,)",
        ),
        (
            (Conv2d(3, 6, 5), Linear(6, 10)),
            (32, 32, 3),
            "layer 1: Linear(in_features=6, out_features=10, bias=True) takes rows of 6 numbers, "
            "not of shape (28, 28, 6); put Flatten() in front of it",
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
            "layer 0: PReLU(features=4, alpha=0.25) takes rows of 4 numbers, not of shape "
            "(5, 5, 3)",
        ),
        (
            (Residual(Conv2d(3, 8, 3, padding=1)),),
            (9, 9, 3),
            "layer 0: Residual(Conv2d(3, 8, 3, padding=1)) cannot add x of shape (9, 9, 3) to f(x) "
            "of shape (9, 9, 8): give it a shortcut= layer from the one to the other, such as "
            "Conv2d(3, 8, 1)",
        ),
        (
            (Residual(Conv2d(3, 8, 3, padding=1, stride=2)),),
            (9, 9, 3),
            "layer 0: Residual(Conv2d(3, 8, 3, stride=2, padding=1)) cannot add x of shape "
            "(9, 9, 3) to f(x) of shape (5, 5, 8): give it a shortcut= layer from the one to the "
            "other, such as Conv2d(3, 8, 1, 2)",
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
        "its last layer, or GlobalAvgPool2d() for the mean of each channel"
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
