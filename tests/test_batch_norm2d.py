"""BatchNorm2d as a layer: formulas, gradients, a ReLU behind it, what is kept, errors."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.layers.fused_normalization import BatchNormReLU

SHAPE = 6, 5, 4, 3


def host(model, array):
    return np.array(model.backend.to_numpy(array))


def network(backend, dtype="float32", seed=0, fuse=True):
    return nnkit.Sequential(
        nnkit.BatchNorm2d(3),
        nnkit.ReLU(),
        nnkit.Dropout2d(0.2),
        nnkit.BatchNorm2d(3, momentum=0.3),
        nnkit.Tanh(),
        nnkit.Flatten(),
        nnkit.Linear(60, 8),
        nnkit.BatchNorm1d(8),
        nnkit.ReLU(),
        nnkit.Linear(8, 3),
        seed=seed,
        backend=backend,
        dtype=dtype,
        fuse=fuse,
    )


@pytest.fixture
def data(rng):
    t = rng.integers(0, 3, 40)
    x = 5 + 3 * rng.normal(size=(40, *SHAPE[1:])).astype("f")
    x[np.arange(40), 2, 1, t] += 9
    return x, t


def state(model):
    return {name: array.tobytes() for name, array in model.state().items()}


@pytest.mark.parametrize("relu", [False, True])
def test_it_is_its_formula(backend, dtype, rng, relu):
    """PyTorch's: over n, height and width, and by the averages afterwards."""
    norm = nnkit.BatchNorm2d(3, eps=1e-3, momentum=0.25)
    behind = [nnkit.ReLU()] if relu else []
    model = nnkit.Sequential(norm, *behind, backend=backend, dtype=dtype, seed=0)
    norm.gamma.value, norm.beta.value = [0.5, 1, 2], [-1, 0, 1]
    x = rng.normal(3, 2, SHAPE).astype(dtype)

    def formula(mean, var):
        y = (x - mean) / np.sqrt(var + 1e-3) * np.array([0.5, 1, 2]) + np.array([-1, 0, 1])
        return np.maximum(y, 0) if relu else y

    exact, near = x.astype(float), 1e3 * np.finfo(dtype).eps
    mean, var = exact.mean(axis=(0, 1, 2)), exact.var(axis=(0, 1, 2))
    np.testing.assert_allclose(host(model, model.train()(x)), formula(mean, var), near, near)
    running = 0.25 * mean, 0.75 + 0.25 * exact.var(axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(host(model, norm.running_mean), running[0], near)
    np.testing.assert_allclose(host(model, norm.running_var), running[1], near)
    np.testing.assert_allclose(host(model, model.eval()(x)), formula(*running), near, near)


def test_it_is_batch_norm_of_pixels(backend, rng):
    """Bit for bit that of the rows of all pixels."""
    x, dy = rng.normal(size=(2, *SHAPE)).astype("f")
    results = []
    for cls, shape in ((nnkit.BatchNorm2d, SHAPE), (nnkit.BatchNorm1d, (120, 3))):
        model = nnkit.Sequential(cls(3), nnkit.ReLU(), backend=backend, seed=0).train()
        y = host(model, model(x.reshape(shape)))
        dx = host(model, model.backward(dy.reshape(shape)))
        results.append([y.tobytes(), dx.tobytes(), host(model, model.flat.grads).tobytes()])
    assert results[0] == results[1]


def test_images_of_one_channel_need_no_axis_for_it(backend, rng):
    x = rng.normal(size=(6, 5, 4)).astype("f")
    model = nnkit.Sequential(nnkit.BatchNorm2d(1), backend=backend, seed=0).train()
    y = host(model, model(x))
    np.testing.assert_allclose(y, (x - x.mean()) / np.sqrt(x.var() + 1e-5), rtol=1e-4, atol=1e-5)
    assert host(model, model.backward(x)).shape == x.shape


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("cls", [nnkit.BatchNorm1d, nnkit.BatchNorm2d])
def test_gradients_through_a_relu_equal_central_differences(backend, rng, cls, training):
    shape = (4, 2, 3, 2) if cls is nnkit.BatchNorm2d else (9, 2)
    norm = cls(2, eps=0.1)
    model = nnkit.Sequential(norm, nnkit.ReLU(), backend=backend, dtype="float64", seed=0)
    norm.beta.value = [0.3, -0.2]
    model.train()(rng.normal(size=shape))
    model.train(training)
    x, dy = rng.normal(size=shape), rng.normal(size=shape)

    def total():
        return float((host(model, model(x)) * dy).sum())

    total()
    gradients = {"x": host(model, model.backward(dy))}
    gradients |= {name: host(model, p.grad) for name, p in norm.own_parameters().items()}
    for name, gradient in gradients.items():
        array = x if name == "x" else norm.own_parameters()[name].value
        numeric = np.empty_like(gradient)
        for place in np.ndindex(gradient.shape):
            before = float(array[place])
            array[place] = before + 1e-6
            up = total()
            array[place] = before - 1e-6
            numeric[place] = (up - total()) / 2e-6
            array[place] = before
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-7, err_msg=name)


def test_a_relu_right_behind_is_fused():
    layers = nnkit.BatchNorm2d(3), nnkit.ReLU(), nnkit.BatchNorm2d(3), nnkit.Tanh()
    model = nnkit.Sequential(*layers, backend="numpy")
    steps = model._chain.steps
    assert [type(step) for step in steps] == [BatchNormReLU, nnkit.BatchNorm2d, nnkit.Tanh]


def test_fused_or_not_and_captured_or_not_is_the_same_bit_for_bit(backend, data, dtype):
    results = []
    for fuse, compile in ((True, True), (True, False), (False, True)):
        model = network(backend, dtype.name, fuse=fuse)
        trainer = nnkit.Trainer(model)
        history = trainer.fit(*data, 3, 8, validation_data=data, compile=compile)
        results.append((state(model), history.step_loss, history.val_loss))
    assert results[0] == results[1] == results[2]
    assert history.val_loss[-1] < history.val_loss[0]


def test_a_saved_model_predicts_alike(backend, data, tmp_path):
    model = network(backend)
    trainer = nnkit.Trainer(model)
    trainer.fit(*data, epochs=2, batch_size=10)
    model.save(tmp_path / "model")
    other = network(backend, seed=1)
    other.load_weights(tmp_path / "model")
    for loaded in (other, nnkit.load(tmp_path / "model", backend=backend)):
        assert host(loaded, loaded(data[0])).tobytes() == host(model, model(data[0])).tobytes()
    answers = host(model, model(data[0])).argmax(axis=1)
    assert np.asarray(trainer.predict(data[0])).tolist() == answers.tolist()


def test_names_of_what_is_kept():
    model = nnkit.Sequential(nnkit.BatchNorm2d(4), backend="numpy")
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    assert names == ["0.weight", "0.bias", "0.running_mean", "0.running_var"]


@pytest.mark.parametrize("norm", [nnkit.BatchNorm1d(30), nnkit.BatchNorm2d(30)], ids=repr)
def test_weights_in_front_are_those_that_suit_a_relu(norm):
    linear = nnkit.Linear(20, 30) if isinstance(norm, nnkit.BatchNorm1d) else nnkit.Conv2d(5, 30, 2)
    model = nnkit.Sequential(linear, norm, backend="numpy", seed=0)
    he = nnkit.Sequential(
        type(linear)(*([20, 30] if isinstance(linear, nnkit.Linear) else [5, 30, 2]), init="he"),
        backend="numpy",
        seed=0,
    )
    np.testing.assert_array_equal(model[0].weight.value, he[0].weight.value)


def test_a_batch_of_one_pixel(backend):
    model = nnkit.Sequential(nnkit.BatchNorm2d(3), backend=backend)
    one = np.ones((1, 1, 1, 3))
    assert model(one).shape == one.shape
    message = (
        r"^BatchNorm2d\(num_features=3, eps=1e-05, momentum=0\.1, sync=True\) cannot train on a "
        "batch of one pixel, which has no variance: give it larger batches, or switch to "
        "evaluation mode"
    )
    with pytest.raises(ValueError, match=message):
        model.train()(one)
    assert model.train()(np.ones((1, 1, 2, 3))).shape == (1, 1, 2, 3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 4, 4, 5), r"\(height, width, 3\), not shape \(4, 4, 5\); write BatchNorm2d\(5\)$"),
        (
            (2, 3, 4, 4),
            r"shape \(3, 4, 4\); put ChannelsLast\(\) in front for shape \(3, ",
        ),
        ((2, 48), r"not shape \(48,\); put Image\(4, 4, 3\) in front$"),
    ],
)
def test_images_that_do_not_fit(shape, message):
    with pytest.raises(ValueError, match=message):
        nnkit.Sequential(nnkit.BatchNorm2d(3), backend="numpy")(np.ones(shape))
