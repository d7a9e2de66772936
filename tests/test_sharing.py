"""Layers that two models share: one truth, whichever of them trains."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit

OPTIMIZERS = {
    "sgd": lambda: nnkit.SGD(0.1),
    "momentum": lambda: nnkit.SGD(0.1, 0.9, clip_norm=0.1),
    "adam": lambda: nnkit.Adam(0.01, weight_decay=0.01),
    "adamw": lambda: nnkit.AdamW(0.01, clip_norm=1.0),
    "adagrad": lambda: nnkit.AdaGrad(0.1),
    "rmsprop": lambda: nnkit.RMSProp(0.01, l1=0.001),
}


@pytest.fixture
def data(rng):
    return rng.normal(size=(36, 6)).astype("f"), rng.integers(0, 3, 36)


def base(backend, seed=1):
    layers = nnkit.Linear(6, 5), nnkit.BatchNorm1d(5), nnkit.Tanh(), nnkit.Linear(5, 3)
    return nnkit.Sequential(*layers, seed=seed, backend=backend)


def outputs(model, x):
    return np.array(model.backend.to_numpy(model(x)))


def values(model):
    return {name: array.tobytes() for name, array in model.state().items()}


def test_an_encoder_of_a_trained_autoencoder(backend, data, tmp_path):
    x, _ = data
    encoder = nnkit.Sequential(nnkit.Linear(6, 2), nnkit.Tanh(), seed=1, backend=backend)
    decoder = nnkit.Sequential(nnkit.Linear(2, 6), seed=2, backend=backend)
    whole = nnkit.Sequential(encoder, decoder, seed=3, backend=backend)
    before = outputs(encoder, x)
    nnkit.Trainer(whole, nnkit.MeanSquaredError(), nnkit.Adam(0.05)).fit(x, x, 2, 9)
    after = outputs(encoder, x)
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(outputs(decoder, after), outputs(whole, x), rtol=1e-6, atol=1e-7)
    encoder.save(tmp_path / "encoder.safetensors")
    again = nnkit.load(tmp_path / "encoder.safetensors", backend)
    np.testing.assert_array_equal(outputs(again, x), after)
    assert [len(m.runs()) for m in (encoder, decoder, whole)] == [1, 1, 1]
    encoder[0].W.value = np.zeros((6, 2))
    assert not whole[0][0].W.to_numpy().any()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_shared_or_alone_trains_the_same(backend, data, name, accumulate):
    """A head on trained layers, some runs of memory, against the same weights in one model."""
    x, t = data
    results = []
    for compile in (True, False, None):
        trained = base(backend)
        head = nnkit.Sequential(
            *trained.layers[:2], nnkit.Linear(5, 4), nnkit.Linear(4, 2), seed=2, backend=backend
        )
        trained.append(nnkit.ReLU())  # which brings its own layers together again
        assert len(head.runs()) == 2
        model = nnkit.Sequential(nnkit.Linear(6, 5), nnkit.BatchNorm1d(5), nnkit.Linear(5, 4),
                                 nnkit.Linear(4, 2), backend=backend, seed=2)  # fmt: skip
        model.restore({n: a for n, a in head.state().items() if n != "counters"})
        assert len(model.runs()) == 1
        chosen = model if compile is None else head
        trainer = nnkit.Trainer(chosen, optimizer=OPTIMIZERS[name]())
        options = {"accumulate": accumulate, "compile": compile is not False}
        trainer.fit(x, t % 2, 2, 8, **options)
        results.append(chosen.state())
        if chosen is head:
            np.testing.assert_array_equal(head[0].W.to_numpy(), trained[0].W.to_numpy())
    for key, array in results[0].items():
        assert array.tobytes() == results[1][key].tobytes(), key
        np.testing.assert_allclose(array, results[2][key], rtol=1e-4, atol=1e-6)


def test_a_gan_trained_in_turn(backend, rng):
    make, loss = nnkit.Sequential, nnkit.SigmoidCrossEntropy
    generator = make(nnkit.Linear(2, 4), nnkit.ReLU(), nnkit.Linear(4, 3), seed=1, backend=backend)
    critic = make(nnkit.Linear(3, 5), nnkit.ReLU(), nnkit.Linear(5, 1), seed=2, backend=backend)
    both = make(generator, critic, seed=3, backend=backend)
    alone = nnkit.Trainer(critic, loss(), nnkit.Adam(0.01))
    whole = nnkit.Trainer(both, loss(), nnkit.Adam(0.01))
    z, ones = rng.normal(size=(16, 2)).astype("f"), np.ones((16, 1))
    real = rng.normal(size=(16, 3)).astype("f")
    for _ in range(3):
        made = outputs(generator, z)
        before = values(generator), values(critic)
        critic.frozen = False
        alone.fit(np.concatenate([real, made]), np.concatenate([ones, 0 * ones]), 1, 8)
        middle = values(generator), values(critic)
        assert (middle[0] == before[0], middle[1] == before[1]) == (True, False)
        critic.frozen = True
        whole.fit(z, ones, 1, 8)
        after = values(generator), values(critic)
        assert (after[0] == middle[0], after[1] == middle[1]) == (False, True)
    np.testing.assert_array_equal(outputs(both, z), outputs(critic, outputs(generator, z)))


def test_a_part_shares_and_costs_no_run(backend, data):
    model = base(backend)
    part, rest = model[:2], model[2:]
    assert [len(m.runs()) for m in (model, part, rest)] == [1, 1, 1]
    assert model.flat.memory is part.flat.memory is rest.flat.memory
    nnkit.Trainer(model).fit(*data, 1, 9)
    np.testing.assert_array_equal(outputs(rest, outputs(part, data[0])), outputs(model, data[0]))
    part.flat.values[...] = 3
    assert (model[0].W.to_numpy() == 3).all()
    for _ in range(100):
        model[:2](data[0])
    assert model[0]._guard.last() is model._guard.last()


def test_each_is_saved_shown_and_checked(backend, rng, tmp_path):
    with nnkit.use_backend(backend):
        model = nnkit.Sequential(nnkit.Linear(6, 4), nnkit.Tanh(), nnkit.Linear(4, 3),
                                 seed=0, dtype="float64")  # fmt: skip
        head = nnkit.Sequential(*model.layers[:2], nnkit.Linear(4, 2), seed=2, dtype="float64")
        x = rng.normal(size=(5, 6))
        for each, width in ((model, 3), (head, 2), (model, 3)):
            loss, t = nnkit.MeanSquaredError(), rng.normal(size=(5, width))
            assert nnkit.gradcheck(each, loss, x, t, samples=10)
            assert f"(n, {width})" in each.summary()
            each.save(tmp_path / "a.safetensors")
            again = nnkit.load(tmp_path / "a.safetensors", backend)
            before = values(each)
            assert values(again) == before
            each[0].W.value = np.zeros((6, 4))
            each.load_weights(tmp_path / "a.safetensors")
            assert values(each) == before


def test_backward_after_something_else(backend, data):
    x, _ = data
    model = base(backend)
    others = {
        "a part": lambda: model[:2](x),
        "a layer": lambda: model[0](x),
        "another model": lambda: nnkit.Sequential(model[0], backend=backend)(x),
        "a prediction": lambda: nnkit.Trainer(model).predict(x),
        "an evaluation": lambda: nnkit.Trainer(model).evaluate(*data),
    }
    for other in others.values():
        y = model(x)
        other()
        with pytest.raises(RuntimeError, match=r"layer 0 has computed something else since"):
            model.backward(y)
    dy = model(x)
    nnkit.Trainer(base(backend)).evaluate(*data)  # shares nothing
    assert model.backward(dy).shape == x.shape


def test_gradients_move_with_their_parameters(backend, data):
    model, twin = base(backend).eval(), base(backend).eval()
    for each in (model, twin):
        each.backward(each(data[0]))
    nnkit.Sequential(model[0], nnkit.Linear(5, 2), backend=backend)
    for each in (model, twin):
        nnkit.SGD(0.1).step(each)
    assert values(model) == values(twin)


def test_a_part_that_moved_to_another_backend(backend, data, tmp_path):
    x, _ = data
    other = "numpy" if backend.name != "numpy" else "numba"
    pytest.importorskip(other)
    model = base(backend)
    part = model[:2].to(other)
    remedy = rf"layer 0 is in another model too, and moved .* model\.to\('{other}'\)"
    trainer = nnkit.Trainer(model)
    for use in (
        lambda: model(x),
        lambda: trainer.fit(*data, 1, 9),
        lambda: trainer.predict(x),
        lambda: model.save(tmp_path / "a.safetensors"),
        lambda: nnkit.SGD(0.1).step(model.eval()),
        model.runs,
    ):
        with pytest.raises(RuntimeError, match=remedy):
            use()
    model.to(other)
    np.testing.assert_array_equal(outputs(model[2:], outputs(part, x)), outputs(model, x))


def test_a_parameter_in_two_places(backend):
    class Tied(nnkit.Layer):
        def __init__(self, weight):
            self.weight = weight

    first = nnkit.Linear(2, 2)
    with pytest.raises(ValueError, match=r"parameter 1\.weight is parameter 0\.weight again"):
        nnkit.Sequential(first, Tied(first.W), backend=backend)
