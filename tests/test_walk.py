"""A user's layer with layers inside: whatever is done to a model reaches them."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit


class Block(nnkit.Layer):
    """Layers one behind the other; subclasses hold them in different ways."""

    capturable = True
    options = ("layers",)

    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        for _, layer in self.children():
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for _, layer in reversed(self.children()):
            dy = layer.backward(dy)
        return dy

    def output_shape(self, shape):
        for _, layer in self.children():
            shape = layer.output_shape(shape)
        return shape


class Attributes(Block):
    capturable = True
    options = ("layers",)

    def __init__(self, layers):
        self.first, self.norm, self.drop, self.last = layers

    @property
    def layers(self):
        return [self.first, self.norm, self.drop, self.last]


class List(Block):
    capturable = True

    def sublayers(self):
        return self.layers


class Dict(Block):
    capturable = True

    def sublayers(self):
        return dict(zip("abcd", self.layers, strict=True))


KINDS = {
    Block: ["layers.0", "layers.1", "layers.2", "layers.3"],
    Attributes: ["first", "norm", "drop", "last"],
    List: ["0", "1", "2", "3"],
    Dict: ["a", "b", "c", "d"],
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def data(rng):
    return rng.normal(size=(30, 6)).astype("f"), rng.integers(0, 3, 30)


def inside(backend):
    last = nnkit.Sequential(nnkit.Linear(5, 4), nnkit.PReLU(4), backend=backend, seed=8)
    first = nnkit.Linear(5, 5, init="he")  # as in a chain, where the one behind is known
    return [first, nnkit.BatchNorm1d(5), nnkit.Dropout(0.4), last]


def network(backend, kind, seed=0, **options):
    ends = nnkit.Linear(6, 5), kind(inside(backend)), nnkit.Linear(4, 3)
    return nnkit.Sequential(*ends, seed=seed, backend=backend, **options)


def plain(backend):
    ends = nnkit.Linear(6, 5), *inside(backend), nnkit.Linear(4, 3)
    return nnkit.Sequential(*ends, seed=0, backend=backend, fuse=False)


def values(model):
    return [array.tobytes() for array in model.state().values()]


@every_kind
def test_names_modes_summary_and_frozen(backend, kind):
    model = network(backend, kind)
    first, norm, drop, last = (f"1.{name}" for name in KINDS[kind])
    names = ["0.weight", "0.bias", f"{first}.weight", f"{first}.bias"]
    names += [f"{norm}.weight", f"{norm}.bias"]
    names += [f"{last}.0.weight", f"{last}.0.bias", f"{last}.1.weight", "2.weight", "2.bias"]
    assert [name for name, _ in model.named_parameters()] == names
    assert next(n for n, _ in model.named_buffers()) == f"{norm}.running_mean"
    layers = dict(model.walk())
    assert [*layers] == ["", "0", "1", first, norm, drop, last, f"{last}.0", f"{last}.1", "2"]
    for mode in (True, False):
        model.train(mode)
        assert {layer.training for layer in layers.values()} == {mode}
    for line in (f"{drop}: Dropout(p=0.4)", f"1: {kind.__name__}", f"{last}.1: PReLU"):
        assert line in model.summary()
    assert len(model.runs()) == 1
    layers["1"].frozen = True
    assert [p.frozen for p in model.parameters()] == [False] * 2 + [True] * 7 + [False] * 2


@every_kind
def test_it_trains_like_the_same_layers_in_a_row(backend, data, kind):
    """The masks of dropout too, captured or not, in one memory."""
    results = []
    for compile in (True, False):
        model = network(backend, kind)
        trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(0.1, 0.9))
        trainer.fit(*data, 2, 8, validation_data=data, compile=compile)
        results.append(values(model))
    flat = plain(backend)
    nnkit.Trainer(flat, optimizer=nnkit.SGD(0.1, 0.9)).fit(*data, 2, 8, compile=False)
    assert results[0] == results[1] == values(flat)


@every_kind
def test_save_and_load(backend, data, kind, tmp_path):
    trainer = nnkit.Trainer(network(backend, kind))
    trainer.model[1].children()[0][1].frozen = True
    trainer.fit(*data, 1, 8)
    trainer.save(tmp_path / "a.safetensors")
    again = nnkit.Trainer.load(tmp_path / "a.safetensors", backend, custom_layers=[kind])
    assert [p.frozen for p in again.model.parameters()][:4] == [False, False, True, True]
    for each in (trainer, again):
        each.fit(*data, 1, 8)
    assert values(again.model) == values(trainer.model)
    with pytest.raises(nnkit.CheckpointError, match=f"unknown class '{kind.__name__}'"):
        nnkit.load(tmp_path / "a.safetensors", backend)


@every_kind
def test_gradients_and_moves(backend, rng, kind):
    model = network("numpy", kind, dtype="float64")
    x = rng.normal(size=(4, 6))
    before = model(x)
    model.to(backend)
    for _, layer in model.walk():
        assert (layer.backend, layer.dtype) == (backend, np.float64)
    assert all(backend.owns(a) for _, a in model.named_buffers())
    np.testing.assert_allclose(backend.to_numpy(model(x)), before, rtol=1e-12)
    with nnkit.use_backend(backend):
        t = rng.normal(size=(4, 3))
        model[1].children()[1][1].train()
        assert nnkit.gradcheck(model, nnkit.MeanSquaredError(), x, t, samples=5)
    assert [layer.training for _, layer in model.walk()].count(True) == 1


@every_kind
def test_alone(backend, rng, kind):
    with nnkit.use_backend(backend):
        layer = kind(inside(backend)).train()
        y = layer(rng.normal(size=(7, 5)))
        layer.backward(y)
        assert y.shape == (7, 4)
        before = layer.state()
        nnkit.SGD(0.1).step(layer)
    changed = [name for name, array in layer.state().items() if (array != before[name]).any()]
    assert changed == [name for name, _ in layer.named_parameters()]


@pytest.mark.parametrize("when", ["between two runs", "in fit"])
@pytest.mark.parametrize("compile", [True, False])
def test_a_layer_inside_is_replaced(backend, data, when, compile):
    """Nobody is told: the model notices at its next pass."""
    model = network(backend, Attributes)
    trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(0.1, 0.9))

    class Replace(nnkit.Callback):
        def on_epoch_end(self, trainer):
            if len(trainer.history) == 1:
                model[1].first = nnkit.Linear(5, 5, init="zeros")

    if when == "in fit":
        trainer.fit(*data, 2, 8, callbacks=[Replace()], compile=compile)
    else:
        trainer.fit(*data, 1, 8, compile=compile)
        Replace().on_epoch_end(trainer)
        assert len(model.runs()) == 1
        assert not model[1].first.W.to_numpy().any()
        trainer.fit(*data, 1, 8, compile=compile)
    assert np.abs(model[1].first.W.to_numpy()).max() > 0
    assert len(model.runs()) == 1
