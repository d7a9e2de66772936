"""Copies and pickles of the parts: layers by themselves, losses, schedules, callbacks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nnkit
from tests.values import network, values


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


one_of_each = pytest.mark.parametrize("way", [copy.deepcopy, pickled])


LAYERS = {
    "Linear": (lambda: nnkit.Linear(6, 4, init="orthogonal"), (5, 6)),
    "given": (lambda: nnkit.Linear(6, 2, init=np.ones((6, 2))), (5, 6)),
    "BatchNorm1d": (lambda: nnkit.BatchNorm1d(6), (5, 6)),
    "BatchNorm2d": (lambda: nnkit.BatchNorm2d(6), (5, 2, 3, 6)),
    "LayerNorm": (lambda: nnkit.LayerNorm(6), (5, 6)),
    "Dropout": (lambda: nnkit.Dropout(0.5), (5, 6)),
    "Dropout2d": (lambda: nnkit.Dropout2d(0.5), (5, 2, 3, 6)),
    "PReLU": (lambda: nnkit.PReLU(6, alpha=0.1), (5, 6)),
    "Maxout": (lambda: nnkit.Maxout(6, 3), (5, 6)),
    "Flatten": (nnkit.Flatten, (5, 2, 3)),
    "GELU": (lambda: nnkit.GELU(approximate=True), (5, 6)),
    "Softmax": (nnkit.Softmax, (5, 6)),
}


@pytest.mark.parametrize("stage", ["unbuilt", "alone", "in a model"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(backend, rng, name, stage):
    make, shape = LAYERS[name]
    x = rng.normal(size=shape).astype("f")
    with nnkit.use_backend(backend):
        layer = make().train()
        if stage == "alone":
            layer(x)
        elif stage == "in a model":
            nnkit.Sequential(layer, nnkit.Tanh(), seed=3).train()(x)
        twins = [copy.deepcopy(layer), pickled(layer)]
        results = []
        for each in (layer, *twins):
            y = each(x)
            results.append([y, each.backward(backend.xp.ones_like(y)), *each.state().values()])
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(*(backend.to_numpy(v) if backend.owns(v) else v
                                                for v in (a, b)))  # fmt: skip
        for p in twins[0].parameters():
            p.value = np.full(p.shape, 9)
    for p in layer.parameters():
        assert (p.to_numpy() != 9).all()


class Textbook(nnkit.Layer):
    """Keeps what passes need under names, in lists and tuples; and a matrix of its own."""

    def __init__(self):
        self.x = None
        self.seen = []
        self.scale = np.full(6, 2, "f")

    def forward(self, x):
        self.x, self.late = x, (x, 1)
        self.seen.append(x)
        return x * self.backend.asarray(self.scale)

    def backward(self, dy):
        return dy * self.backend.asarray(self.scale)


def test_a_pickle_of_an_encoder_holds_the_encoder_alone(backend, rng):
    encoder = nnkit.Sequential(Textbook(), nnkit.Linear(6, 3), nnkit.Tanh(), backend=backend)
    decoder = nnkit.Sequential(nnkit.Linear(3, 1500), nnkit.Linear(1500, 6), backend=backend)
    model = nnkit.Sequential(encoder, decoder, backend=backend)
    x = rng.normal(size=(1000, 6)).astype("f")
    model.backward(model(x))
    for thing in (encoder, encoder[0], encoder[1], encoder[1].W, encoder[:2]):
        assert len(pickle.dumps(thing)) < 5000
    twin = copy.deepcopy(encoder)
    assert (twin[0].x, twin[0].seen, hasattr(twin[0], "late")) == (None, [], False)
    np.testing.assert_array_equal(twin[0].scale, encoder[0].scale)
    same = (backend.to_numpy(m(x[:2])) for m in (twin, encoder))
    np.testing.assert_array_equal(*same)


@one_of_each
def test_losses_schedules_and_callbacks(backend, data, way, simulated):
    with nnkit.use_backend(backend):
        loss = nnkit.SoftmaxCrossEntropy(label_smoothing=0.1)
        loss(np.ones((30, 3), "f"), data[1])
        twin = way(loss)
        assert twin.config() == loss.config()
        with pytest.raises(RuntimeError, match="call the loss"):
            twin.backward()
    schedule = nnkit.schedules.Warmup(3, nnkit.schedules.Cosine())
    assert way(schedule) == schedule
    trainer, stopping = (
        nnkit.Trainer(network(backend)),
        nnkit.EarlyStopping("loss", 2, restore_best=not simulated),
    )
    trainer.fit(*data, 2, 8, callbacks=[stopping])
    pairs = (trainer, stopping), way((trainer, stopping))
    for one, callback in pairs:
        one.optimizer.lr = 0.5
        one.resume(*data, epochs=6, callbacks=[callback])
    assert values(pairs[0][0].model) == values(pairs[1][0].model)
    assert pairs[0][1].best_epoch == pairs[1][1].best_epoch
