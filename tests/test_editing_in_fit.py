"""Models that callbacks edit in the middle of fit."""

from __future__ import annotations

import pytest

import nnkit


@pytest.fixture
def data(rng):
    return rng.normal(size=(30, 6)).astype("f"), rng.integers(0, 3, 30)


def network(backend, seed=0):
    layers = nnkit.Linear(6, 5), nnkit.ReLU(), nnkit.Dropout(0.2), nnkit.Linear(5, 3)
    return nnkit.Sequential(*layers, seed=seed, backend=backend)


def values(model):
    return {name: array.tobytes() for name, array in model.state().items()}


class Edit(nnkit.Callback):
    """Makes a change once, after so many steps."""

    def __init__(self, change, step=4):
        self.change, self.left = change, step

    def on_step_end(self, trainer):
        self.left -= 1
        if self.left == 0:
            self.change(trainer.model)


def in_two_steps(model):
    model[1] = nnkit.Tanh()
    model[1] = nnkit.Sigmoid()


SAME_SHAPE = {
    "insert": lambda m: m.insert(1, nnkit.BatchNorm1d(5)),
    "pop": lambda m: m.pop(2),
    "set": lambda m: m.__setitem__(1, nnkit.PReLU(5)),
    "twice": in_two_steps,
    "wider": lambda m: m.insert(
        1, nnkit.Sequential(nnkit.Linear(5, 9), nnkit.Linear(9, 5), backend=m.backend, seed=3)
    ),
    "inside": lambda m: m[3].append(nnkit.Linear(3, 3)),
    "a head": lambda m: nnkit.Sequential(m[0], m[3], backend=m.backend),
    "moved here": lambda m: m.to(m.backend),
}


@pytest.mark.parametrize("name", SAME_SHAPE)
def test_an_edit_in_the_middle_of_fit(backend, data, name):
    """Captured or not; and the same as ending the run, editing, and going on by hand."""
    results = []
    for compile in (True, False, None):
        model = network(backend)
        model[3] = nnkit.Sequential(model[3], backend=backend, seed=5)
        trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(0.01))
        if compile is None:
            trainer.fit(*data, 3, 8, callbacks=[Stop()], compile=False)
            SAME_SHAPE[name](model)
            trainer.resume(*data, compile=False)
        else:
            edit = [Edit(SAME_SHAPE[name])]
            trainer.fit(*data, 3, 8, callbacks=edit, compile=compile)
        results.append((values(model), trainer.history.step_loss))
        assert not any(layer.training for _, layer in model.walk())
    assert results[0] == results[1] == results[2]


class Stop(Edit):
    def __init__(self):
        super().__init__(None)

    def on_step_end(self, trainer):
        self.left -= 1
        trainer.stop = self.left == 0


@pytest.mark.filterwarnings("ignore:SoftmaxCrossEntropy takes logits")  # without the last layer
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.append(nnkit.Linear(3, 4)), r"outputs were changed from shape \(3,\) to \(4,"),
        (lambda m: m[3].append(nnkit.Linear(3, 4)), r"outputs were changed from shape"),
        (lambda m: m.pop(), r"outputs were changed from shape \(3,\) to \(5,\)"),
    ],
)
def test_another_shape_in_the_middle_of_fit(backend, data, change, message, compile):
    model = network(backend)
    model[3] = nnkit.Sequential(model[3], backend=backend, seed=5)
    trainer = nnkit.Trainer(model)
    with pytest.raises(ValueError, match=message):
        trainer.fit(*data, 2, 10, callbacks=[Edit(change)], compile=compile)
    assert (trainer.progress.epoch, trainer.progress.step, model.training) == (1, 1, False)
    t = data[1] % model.out_features
    trainer.fit(data[0], t, 1, 10, compile=compile)
