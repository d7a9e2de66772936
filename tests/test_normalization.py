"""BatchNorm1d and LayerNorm as layers: formulas, gradients, running averages, what is kept."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.backends.contract import Norm, Running
from nnkit.backends.cupy import launches
from tests.device import simulator
from tests.helpers import Check, random_array

LAYERS = {"batch": nnkit.BatchNorm1d, "layer": nnkit.LayerNorm}
SIZES = [(2, 1), (3, 5), (33, 7), (128, 19)]

every_layer = pytest.mark.parametrize("cls", LAYERS.values(), ids=LAYERS)


def host(model, array):
    return np.array(model.backend.to_numpy(array))


def alone(layer, backend, dtype="float64"):
    """A model of this layer alone, with gamma and beta that are not 1 and 0."""
    model = nnkit.Sequential(layer, backend=backend, dtype=dtype, seed=0)
    width = layer.num_features
    layer.gamma.value = np.linspace(0.5, 2, width)
    layer.beta.value = np.linspace(-1, 1, width)
    return model


def network(backend, dtype="float32", seed=0):
    return nnkit.Sequential(
        nnkit.BatchNorm1d(6),
        nnkit.Linear(6, 16),
        nnkit.BatchNorm1d(16, momentum=0.3),
        nnkit.ReLU(),
        nnkit.Linear(16, 8),
        nnkit.LayerNorm(8),
        nnkit.Tanh(),
        nnkit.Dropout(0.2),
        nnkit.Linear(8, 3),
        seed=seed,
        backend=backend,
        dtype=dtype,
    )


def state(model):
    """All that training changes in the model, as bytes."""
    buffers = {name: host(model, array).tobytes() for name, array in model.named_buffers()}
    return {"values": host(model, model.flat.values).tobytes()} | buffers


@pytest.fixture
def data(rng):
    t = rng.integers(0, 3, 50)
    x = 5 + 3 * rng.normal(size=(50, 6)).astype("f")
    x[np.arange(50), t] += 9
    return x, t


def formula(x, layer, axis, mean=None, var=None):
    """PyTorch's definition in float64."""
    mean = x.mean(axis=axis, keepdims=True) if mean is None else mean
    var = x.var(axis=axis, keepdims=True) if var is None else var
    gamma, beta = (p.to_numpy() for p in (layer.gamma, layer.beta))
    return (x - mean) / np.sqrt(var + layer.eps) * gamma + beta


@pytest.mark.parametrize("size", SIZES)
def test_layer_norm_is_its_formula(backend, dtype, rng, size):
    x = rng.normal(3, 2, size).astype(dtype)
    layer = nnkit.LayerNorm(size[1], eps=1e-3)
    model = alone(layer, backend, dtype)
    want = formula(x.astype(float), layer, axis=1)
    near = 1e3 * np.finfo(dtype).eps
    np.testing.assert_allclose(host(model, model(x)), want, rtol=near, atol=near)
    np.testing.assert_allclose(host(model, model.train()(x)), want, rtol=near, atol=near)


@pytest.mark.parametrize("size", SIZES)
def test_batch_norm_in_training_is_its_formula(backend, dtype, rng, size):
    x = rng.normal(3, 2, size).astype(dtype)
    layer = nnkit.BatchNorm1d(size[1], eps=1e-3)
    model = alone(layer, backend, dtype).train()
    want = formula(x.astype(float), layer, axis=0)
    near = 1e3 * np.finfo(dtype).eps
    np.testing.assert_allclose(host(model, model(x)), want, rtol=near, atol=near)


def test_running_averages(backend, rng):
    """They begin at 0 and 1, follow with the unbiased variance, and are used in evaluation."""
    layer = nnkit.BatchNorm1d(5, momentum=0.25)
    model = alone(layer, backend)
    mean, var = np.zeros(5), np.ones(5)
    for n in (7, 40, 2):
        x = rng.normal(3, 2, (n, 5))
        model.eval()
        np.testing.assert_allclose(host(model, model(x)), formula(x, layer, 0, mean, var), 1e-12)
        model.train()(x)
        mean = 0.75 * mean + 0.25 * x.mean(axis=0)
        var = 0.75 * var + 0.25 * x.var(axis=0, ddof=1)
        np.testing.assert_allclose(host(model, layer.running_mean), mean, rtol=1e-12)
        np.testing.assert_allclose(host(model, layer.running_var), var, rtol=1e-12)


@every_layer
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("size", [(2, 3), (5, 4), (37, 2)])
def test_gradients_equal_central_differences(backend, rng, cls, training, size):
    layer = cls(size[1], eps=0.1)
    model = alone(layer, backend)
    model.train()(rng.normal(size=(9, size[1])))
    model.train(training)
    x, dy = rng.normal(size=size), rng.normal(size=size)

    def total():
        return float((host(model, model(x)) * dy).sum())

    total()
    gradients = {"x": host(model, model.backward(dy))}
    gradients |= {name: host(model, p.grad) for name, p in layer.own_parameters().items()}
    for name, gradient in gradients.items():
        array = x if name == "x" else layer.own_parameters()[name].value
        numeric = np.empty_like(gradient)
        for place in np.ndindex(gradient.shape):
            before = float(array[place])
            array[place] = before + 1e-6
            up = total()
            array[place] = before - 1e-6
            numeric[place] = (up - total()) / 2e-6
            array[place] = before
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-7, err_msg=name)


def test_gradcheck(backend, data):
    model = network(backend, "float64")
    nnkit.Trainer(model).fit(*data, epochs=2, batch_size=10)
    with nnkit.use_backend(backend):
        result = nnkit.gradcheck(model, nnkit.SoftmaxCrossEntropy(), *data, samples=10)
    assert result, str(result)


@pytest.mark.parametrize("batch_size", [8, 10])
def test_captured_or_not_is_the_same_bit_for_bit(backend, data, dtype, batch_size):
    results = []
    for compile in (True, False):
        model = network(backend, dtype.name)
        trainer = nnkit.Trainer(model)
        history = trainer.fit(*data, 4, batch_size, validation_data=data, compile=compile)
        results.append((state(model), history.step_loss, history.val_loss))
    assert results[0] == results[1]
    assert history.val_loss[-1] < history.val_loss[0]


def test_a_captured_step_moves_the_averages_every_time(backend, data):
    """Rows all alike, so that the averages after k steps are known."""
    x, t = np.tile(np.float32([2, 4]), (12, 1)), np.zeros(12, int)
    layer = nnkit.BatchNorm1d(2, momentum=0.5)
    model = nnkit.Sequential(layer, nnkit.Linear(2, 2), seed=0, backend=backend)
    nnkit.Trainer(model).fit(x, t, epochs=2, batch_size=3)
    left = 0.5**8
    assert host(model, layer.running_mean).tolist() == [2 * (1 - left), 4 * (1 - left)]
    assert host(model, layer.running_var).tolist() == [left, left]


class StopInEpoch(nnkit.Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, trainer):
        self.steps -= 1
        trainer.stop = self.steps == 0


def test_a_saved_run_goes_on_bit_for_bit(backend, data, tmp_path):
    whole = nnkit.Trainer(network(backend))
    whole.fit(*data, epochs=3, batch_size=8)
    part = nnkit.Trainer(network(backend))
    part.fit(*data, epochs=3, batch_size=8, callbacks=[StopInEpoch(10)])
    part.save(tmp_path / "run")
    again = nnkit.Trainer.load(tmp_path / "run", backend=backend)
    assert state(again.model) == state(part.model) != state(whole.model)
    again.resume(*data)
    assert state(again.model) == state(whole.model)


def test_a_saved_model_answers_alike(backend, data, tmp_path):
    model = network(backend)
    nnkit.Trainer(model).fit(*data, epochs=2, batch_size=10)
    model.save(tmp_path / "model")
    other = network(backend, seed=1)
    other.load_weights(tmp_path / "model")
    for loaded in (other, nnkit.load(tmp_path / "model", backend=backend)):
        assert host(loaded, loaded(data[0])).tobytes() == host(model, model(data[0])).tobytes()


def test_a_file_must_have_the_averages_and_no_others(tmp_path):
    batch = nnkit.Sequential(nnkit.BatchNorm1d(3), backend="numpy")
    layer = nnkit.Sequential(nnkit.LayerNorm(3), backend="numpy")
    batch.save(tmp_path / "batch")
    layer.save(tmp_path / "layer")
    with pytest.raises(nnkit.CheckpointError, match=r"it has no 0\.running_mean"):
        batch.load_weights(tmp_path / "layer")
    with pytest.raises(nnkit.CheckpointError, match=r"the model has no 0\.running_"):
        layer.load_weights(tmp_path / "batch")


def test_moving_a_model_moves_the_averages(backend, data):
    model = network(backend, "float64")
    nnkit.Trainer(model).fit(*data, epochs=1, batch_size=10)
    before, y = state(model), host(model, model(data[0]))
    model.to("numpy")
    assert state(model) == before
    assert all(isinstance(array, np.ndarray) for _, array in model.named_buffers())
    np.testing.assert_allclose(model(data[0]), y, rtol=1e-9)
    model.to(backend)
    assert state(model) == before
    assert host(model, model(data[0])).tobytes() == y.tobytes()
    assert all(backend.owns(array) for _, array in model.named_buffers())


def test_names_of_what_is_kept(backend):
    model = nnkit.Sequential(
        nnkit.Linear(2, 4), nnkit.Sequential(nnkit.BatchNorm1d(4), backend=backend), backend=backend
    )
    names = [name for name, _ in model.named_buffers()]
    assert names == ["1.0.running_mean", "1.0.running_var"]
    assert {array.dtype for _, array in model.named_buffers()} == {model.dtype}
    parameters = [name for name, _ in model.named_parameters()]
    assert parameters == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]


def test_the_best_epoch_comes_back_with_its_averages(data):
    best = nnkit.EarlyStopping("loss", patience=1)

    class Worse(nnkit.Callback):
        """Spoils the model after two epochs, and keeps what it was."""

        def on_epoch_end(self, trainer):
            if trainer.epochs_made == 2:
                self.state = state(trainer.model)
                trainer.model.flat.values[...] *= -9

    worse = Worse()
    model = network("numpy")
    nnkit.Trainer(model).fit(*data, epochs=9, batch_size=10, callbacks=[best, worse])
    assert best.best_epoch == 1
    assert state(model) == worse.state


def test_frozen_layers_follow_the_averages(backend, data):
    model = network(backend)
    model[0].frozen = True
    nnkit.Trainer(model).fit(*data, epochs=1, batch_size=10)
    assert np.array_equal(model[0].gamma.to_numpy(), np.ones(6))
    assert (host(model, model[0].running_mean) > 1).all()


def test_a_batch_of_one_row(backend):
    layer = nnkit.BatchNorm1d(3)
    model = nnkit.Sequential(layer, nnkit.Linear(3, 2), backend=backend)
    one = np.ones((1, 3))
    assert model(one).shape == (1, 2)
    with pytest.raises(ValueError, match=r"BatchNorm1d\(num_features=3, .*a batch of one row"):
        model.train()(one)
    assert host(model, layer.running_mean).tolist() == [0, 0, 0]
    x, t = np.ones((7, 3)), np.zeros(7, int)
    with pytest.raises(ValueError, match="7 examples in batches of 3 end with one of 1: choose"):
        nnkit.Trainer(model).fit(x, t, batch_size=3)
    assert host(model, layer.running_mean).tolist() == [0, 0, 0]
    nnkit.Trainer(model).fit(x, t, epochs=1, batch_size=5)


@pytest.mark.parametrize("order", simulator.ORDERS)
@pytest.mark.parametrize(("rows", "columns"), [(45, 130), (700, 3)])
def test_columns_that_cuda_blocks_share(backend, monkeypatch, dtype, rows, columns, order):
    """More of them than one block adds up at once; the order in which they end does not matter."""
    if backend.name != "cupy":
        pytest.skip("of the cupy backend alone")
    tiles = -(-columns * dtype.itemsize // (32 * 16))
    grid = (tiles, 19), (32, 8)
    monkeypatch.setattr(launches, "tiles", lambda *_, **__: grid)
    rng = np.random.default_rng(3)
    inputs = {name: random_array(rng, (rows, columns)) for name in ("dy", "x")}
    inputs |= {name: rng.random(columns) + 0.5 for name in ("gamma", "var")}
    inputs |= {name: rng.random(rows) for name in ("center", "scale")}
    vectors = dict.fromkeys(("mean", "spread", "dgamma", "dbeta"), (columns,))
    averages = {"running_mean": np.zeros(columns), "running_var": np.ones(columns)}
    matrices = dict.fromkeys(("y", "dx", "constant_dx", "layer_dx"), (rows, columns))

    def run(b, v):
        norm = Norm(v.gamma, v.var, 1e-3)
        b.batch_norm_forward(
            *("relu", v.x, norm, Running(v.running_mean, v.running_var, 0.2), v.mean, v.spread, v.y)
        )
        gradients = v.dgamma, v.dbeta
        b.layer_norm_backward(v.dy, v.x, norm, v.center, v.scale, *gradients, v.layer_dx)
        b.batch_norm_backward(
            *("relu", v.dy, v.y, v.x, norm, v.var, v.var, *gradients, v.constant_dx, False)
        )
        b.batch_norm_backward(
            *("identity", v.dy, None, v.x, norm, v.mean, v.spread, *gradients, v.dx, True)
        )

    with simulator.thread_order(order):
        Check(backend, dtype)(
            *(run, inputs, vectors | averages | matrices), ulps=16, scale=4 * rows
        )


@every_layer
def test_a_layer_alone(backend, rng, cls):
    with nnkit.use_backend(backend):
        y = backend.to_numpy(cls(4)(rng.normal(size=(6, 4))))
    assert y.shape == (6, 4)
    assert np.isfinite(y).all()


@every_layer
def test_errors(cls):
    name = cls.__name__
    with pytest.raises(ValueError, match=f"{name}: num_features must be an integer of at least 1"):
        cls(0)
    with pytest.raises(ValueError, match=f"{name}: eps must be positive, not 0"):
        cls(3, eps=0)
    with pytest.raises(ValueError, match=rf"layer 1: {name}\(.* takes rows of 3 numbers, not of s"):
        nnkit.Sequential(nnkit.Linear(2, 4), cls(3), backend="numpy")
    with pytest.raises(ValueError, match=r"rows of 3 numbers, not of shape \(3, 3\); put Flatten"):
        nnkit.Sequential(cls(3), backend="numpy")(np.ones((2, 3, 3)))


@pytest.mark.parametrize("momentum", [0, -0.1, 1.1, np.nan])
def test_momentum_that_makes_no_average(momentum):
    with pytest.raises(ValueError, match="BatchNorm1d: momentum must be above 0 and at most 1"):
        nnkit.BatchNorm1d(3, momentum=momentum)
