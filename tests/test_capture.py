"""The captured training step: the same bits as step by step, whatever happens between the steps."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.layers.workspace import Workspace
from nnkit.training.data import Data
from nnkit.training.steps import CaptureWarning, Steps
from tests.device import fake_cupy, simulator


def network(backend, dropout=0.0, dtype="float32"):
    layers = [nnkit.Linear(6, 16), nnkit.ReLU(), nnkit.Linear(16, 8), nnkit.Tanh()]
    if dropout:
        layers.append(nnkit.Dropout(dropout))
    return nnkit.Sequential(*layers, nnkit.Linear(8, 3), seed=0, backend=backend, dtype=dtype)


@pytest.fixture
def data(rng):
    t = rng.integers(0, 3, 50)
    x = rng.normal(size=(50, 6)).astype("f")
    x[np.arange(50), t] += 3
    return x, t


def weights(model):
    return np.array(model.backend.to_numpy(model.flat.values))


OPTIMIZERS = {
    "sgd": lambda: nnkit.SGD(0.1),
    "nesterov": lambda: nnkit.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: nnkit.Adam(0.01),
    "adamw": lambda: nnkit.AdamW(0.01),
    "adagrad": lambda: nnkit.AdaGrad(0.1, l1=0.01),
    "rmsprop": lambda: nnkit.RMSProp(0.01, clip_norm=0.5),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("dropout", "dtype"), [(0.0, "float64"), (0.3, "float32")])
def test_captured_or_not_is_the_same_bit_for_bit(backend, data, optimizer, dropout, dtype):
    results = []
    for compile in (True, False):
        model = network(backend, dropout, dtype)
        trainer = nnkit.Trainer(model, optimizer=OPTIMIZERS[optimizer]())
        history = trainer.fit(*data, epochs=4, batch_size=8, validation_data=data, compile=compile)
        results.append((weights(model).tobytes(), history.step_loss, history.val_loss))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (nnkit.SigmoidCrossEntropy(), np.eye(3)),
        (nnkit.SoftmaxCrossEntropy(), np.eye(3)),
        (nnkit.SoftmaxCrossEntropy(label_smoothing=0.1), np.arange(3)),
        (nnkit.MeanSquaredError(), np.eye(3)),
        (nnkit.HalfSquaredError(), np.eye(3)),
        (nnkit.HingeLoss(), np.eye(3)),
        (nnkit.HuberLoss(), np.eye(3)),
        (nnkit.PoissonLoss(), np.eye(3)),
    ],
    ids=repr,
)
def test_each_loss(backend, data, loss, t):
    x, labels = data
    results = []
    for compile in (True, False):
        model = network(backend)
        nnkit.Trainer(model, loss).fit(x, t[labels], 2, 10, compile=compile)
        results.append(weights(model).tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (nnkit.CategoricalCrossEntropy(), nnkit.Softmax),
        (nnkit.BinaryCrossEntropy(), nnkit.Sigmoid),
    ],
    ids=repr,
)
def test_each_loss_of_probabilities(backend, data, loss, activation):
    x, labels = data
    results = []
    for compile in (True, False):
        model = nnkit.Sequential(network(backend), activation(), seed=0, backend=backend)
        history = nnkit.Trainer(model, loss).fit(x, np.eye(3)[labels], 2, 10, compile=compile)
        results.append((weights(model).tobytes(), history.accuracy))
    assert results[0] == results[1]
    assert history.loss[1] < history.loss[0]


def test_images_of_bytes(backend, rng):
    x, t = rng.integers(0, 256, (40, 6), np.uint8), rng.integers(0, 3, 40)
    results = []
    for compile in (True, False):
        model = network(backend)
        nnkit.Trainer(model).fit(x, t, 2, 9, scale=1 / 255, compile=compile)
        results.append(weights(model).tobytes())
    assert results[0] == results[1]


def test_a_learning_rate_changed_between_epochs(backend, data):
    class Halve(nnkit.Callback):
        def on_epoch_end(self, trainer):
            trainer.optimizer.lr /= 2

    results = []
    for compile in (True, False):
        model = network(backend)
        trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(0.5))
        trainer.fit(*data, epochs=3, batch_size=8, callbacks=[Halve()], compile=compile)
        results.append(weights(model).tobytes())
    assert results[0] == results[1]
    assert trainer.optimizer.lr == 0.5 / 8


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("compile", [True, False])
def test_many_short_epochs_in_one_go_are_the_same_bit_for_bit(backend, data, shuffle, compile):
    """A callback, of whatever kind, has each epoch carried out by itself."""
    x, t = data[0][:40], data[1][:40]
    results = []
    for callbacks in ([], [nnkit.Callback()]):
        model = network(backend, dropout=0.2)
        trainer = nnkit.Trainer(model)
        history = trainer.fit(x, t, 9, 10, shuffle=shuffle, callbacks=callbacks, compile=compile)
        assert trainer.progress.finished
        assert trainer.epochs_made == len(history) == len(history.seconds) == 9
        more = trainer.resume(x, t, epochs=11, callbacks=callbacks)
        figures = more.loss, more.accuracy, more.step_loss
        results.append((weights(model).tobytes(), figures))
    assert results[0] == results[1]


def test_full_batch_training_of_many_epochs(backend):
    """XOR by the 2-6-1 network: one step an epoch."""
    x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    model = nnkit.Sequential(
        nnkit.Linear(2, 6), nnkit.Sigmoid(), nnkit.Linear(6, 1), seed=1, backend=backend
    )
    trainer = nnkit.Trainer(model, nnkit.SigmoidCrossEntropy(), nnkit.Adam(0.1))
    history = trainer.fit(x, t, epochs=300, batch_size=4)
    assert len(history) == len(history.step_loss) == 300
    np.testing.assert_array_equal(trainer.predict(x)[:, 0], t)


def test_frozen_layers_that_move_into_the_memory_of_another_model(backend, data):
    class Share(nnkit.Callback):
        def on_epoch_end(self, trainer):
            model = trainer.model
            if len(trainer.history) == 1:
                self.part = nnkit.Sequential(model[0], model[4], backend=backend)
                model[0].W.value = -model[0].W.to_numpy()

    results = []
    for compile in (True, False):
        model = nnkit.Sequential(
            *(nnkit.Linear(6, 6), nnkit.Tanh(), nnkit.Linear(6, 6), nnkit.Tanh()),
            *(nnkit.Linear(6, 3),),
            seed=0,
            backend=backend,
        )
        model[0].frozen = model[4].frozen = True
        history = nnkit.Trainer(model).fit(*data, 3, 10, callbacks=[Share()], compile=compile)
        results.append((model[2].W.to_numpy().tobytes(), history.step_loss))
    assert results[0] == results[1]


def test_another_batch_size_and_evaluation_in_between(backend, data):
    x, t = data

    class Evaluate(nnkit.Callback):
        def on_epoch_end(self, trainer):
            trainer.evaluate(x, t, batch_size=50)

    results = []
    for compile in (True, False):
        model = network(backend)
        trainer = nnkit.Trainer(model)
        trainer.fit(x, t, 2, 8, callbacks=[Evaluate()], compile=compile)
        trainer.fit(x, t, 2, 20, compile=compile)
        results.append(weights(model).tobytes())
    assert results[0] == results[1]


class Doubled(nnkit.Layer):
    """A layer of the user's own, in plain array code."""

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def test_a_layer_in_array_code_trains_uncaptured_and_says_so_once(backend, data):
    model = nnkit.Sequential(nnkit.Linear(6, 3), Doubled(), backend=backend, seed=0)
    trainer = nnkit.Trainer(model)
    with pytest.warns(CaptureWarning, match=r"step by step: Doubled\(\) does not say") as caught:
        history = trainer.fit(*data, epochs=5, batch_size=8)
    assert len(caught) == 1
    assert history.loss[-1] < history.loss[0]


class Pretending(Doubled):
    """One that says it could be captured, and makes an array in every step."""

    capturable = True


def test_a_layer_that_only_says_it_can_be_captured_is_found_out(backend, data):
    if backend.name == "numpy":
        pytest.skip("this backend captures nothing: it calls the step")
    results = []
    for layer in (Doubled, Pretending):
        model = nnkit.Sequential(
            nnkit.Linear(6, 4), layer(), nnkit.Linear(4, 3), backend=backend, seed=0
        )
        with pytest.warns(CaptureWarning) as caught:
            nnkit.Trainer(model).fit(*data, epochs=2, batch_size=8)
        results.append(weights(model).tobytes())
    assert "made in every step: compute into arrays that self.new(name" in str(caught[0].message)
    assert results[0] == results[1]


class Halved(nnkit.Layer):
    """A layer of the user's own, in operations of the backend."""

    capturable = True

    def forward(self, x):
        y = self.new("y", x.shape)
        self.backend.activation("tanh", x, y)
        self.y = y
        return y

    def backward(self, dy):
        return self.backend.activation_backward("tanh", dy, self.y, self.new("dx", dy.shape))


def test_a_layer_in_operations_is_captured(backend, data):
    results = []
    for compile in (True, False):
        model = nnkit.Sequential(nnkit.Linear(6, 3), Halved(), backend=backend, seed=0)
        nnkit.Trainer(model).fit(*data, epochs=3, batch_size=8, compile=compile)
        results.append(weights(model).tobytes())
    assert results[0] == results[1]


def test_capturability_is_not_inherited():
    class Mine(nnkit.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    assert nnkit.Linear.capturable
    assert not Mine.capturable


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 3, "schedule": nnkit.schedules.Cosine()}], ids=str
)
def test_a_step_allocates_no_arrays(backend, data, monkeypatch, options):
    """After warm-up the backend is never asked for another array."""
    model = network(backend, dropout=0.2)
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(clip_norm=1.0))
    asked = []

    class Watch(nnkit.Callback):
        def on_epoch_end(self, trainer):
            if len(trainer.history) == 3:
                monkeypatch.undo()
            elif len(trainer.history) == 1:
                for name in ("empty", "zeros"):
                    make = getattr(backend, name)
                    monkeypatch.setattr(
                        backend, name, lambda *a, make=make: asked.append(a) or make(*a)
                    )

    trainer.fit(*data, epochs=3, batch_size=8, callbacks=[Watch()], compile=False, **options)
    assert asked == []


def test_a_replayed_step_costs_the_same_launches_and_nothing_else(backend, simulated, data, rng):
    """On the simulated GPU: no transfer, no allocation, a constant number of launches a step.

    Of three linear layers: two gathers, bias and tanh, the loss, gradients of tanh and ReLU, Adam,
    the counters; and eight small products, which see to the other biases and their gradient.
    """
    if not simulated:
        pytest.skip("launches are counted by the simulator")
    model, loss, optimizer = network(backend), nnkit.SoftmaxCrossEntropy(), nnkit.Adam()
    optimizer.attach(model)
    examples = Data(model, loss, *data, model.inputs)
    steps = Steps(model, loss, optimizer, examples, 5, 1, Workspace(), True)
    model.train()
    steps.begin(rng.permutation(50))
    steps.make(2, [5])
    launches, products, library = [], [], backend.libraries.multiplier.cublaslt.library
    for n in (1, 2, 4):
        before, products_before = simulator.launch_count, library.calls
        with fake_cupy.count() as made:
            steps.make(n, [5])
        launches.append((simulator.launch_count - before) / n)
        products.append((library.calls - products_before) / n)
        transfers = made.host_to_device, made.device_to_host
        assert transfers == (0, 0)
        assert made.allocations == 0
    print(f"{launches[0]:.0f} launches a step, 0 transfers, 0 allocations")
    assert set(launches) == {16}
    assert set(products) == {0}
