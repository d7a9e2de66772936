"""Batches that somebody else makes: generators, lists of them, PyTorch's DataLoader."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.files import memory
from tests.test_arrays import OnDevice

rng = np.random.default_rng(0)
X, T = rng.normal(size=(26, 6)).astype("f"), np.arange(26) % 3


def batches(x=X, t=T, size=8, weights=None):
    parts = (x, t) if weights is None else (x, t, weights)
    return [tuple(part[i : i + size] for part in parts) for i in range(0, len(x), size)]


class Loader:
    """What can be read again: other examples in every epoch, by a function of its number."""

    def __init__(self, of):
        self.of, self.epochs = of, 0

    def __iter__(self):
        self.epochs += 1
        return iter(self.of(self.epochs - 1))


def trainer(backend, loss=None):
    layers = nnkit.Linear(6, 8), nnkit.ReLU(), nnkit.Linear(8, 3)
    return nnkit.Trainer(nnkit.Sequential(*layers, seed=0, backend=backend), loss)


def weights(of):
    return np.array(of.model.backend.to_numpy(of.model.flat.values)).tobytes()


def test_a_list_of_batches_is_trained_on_in_its_order(backend):
    one, other = trainer(backend), trainer(backend)
    one.fit(X, T, 3, 8, shuffle=False, validation_data=(X, T))
    other.fit(batches(), epochs=3, validation_data=iter(batches()))
    assert weights(one) == weights(other)
    assert one.history.val_loss == other.history.val_loss
    assert one.evaluate(X, T) == other.evaluate(batches()) == other.evaluate(iter(batches()))
    assert one.predict(X).tolist() == other.predict(x for x, _ in batches()).tolist()
    assert one.predict(X).tolist() == other.predict(Loader(lambda _: batches())).tolist()
    assert one.predict_proba(X).tobytes() == other.predict_proba(x for x, _ in batches()).tobytes()


def test_a_generator_is_read_once_and_kept(backend):
    one, other = trainer(backend), trainer(backend)
    one.fit(X, T, 3, 8, validation_split=0.25)
    other.fit((each for each in batches()), epochs=3, validation_split=0.25)
    assert weights(one) == weights(other)
    assert other.progress.shuffle


def test_a_generator_may_use_the_same_memory_for_every_batch(cpu):
    def reusing():
        x, t = np.empty((13, 6), "f"), np.empty(13, int)
        for start in (0, 13):
            x[:], t[:] = X[start : start + 13], T[start : start + 13]
            yield x, t

    one, other = trainer(cpu), trainer(cpu)
    one.fit(X, T, 2, 13)
    other.fit(reusing(), epochs=2)
    assert weights(one) == weights(other)
    assert one.predict(X).tolist() == other.predict(x for x, _ in reusing()).tolist()


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("room", [float("inf"), 0])
def test_every_epoch_has_its_own_examples_and_order(backend, captures, monkeypatch, compile, room):
    """As epochs of its own, one by one, also where they are streamed; a step is captured once, of a
    whole batch and of the last."""
    monkeypatch.setattr(backend, "room", lambda: room, raising=False)
    x = [X, X[::-1].copy(), X + 1, X * 0.5]
    t = [T, T[::-1].copy(), T, (T + 1) % 3]
    loader = Loader(lambda epoch: batches(x[epoch], t[epoch]))
    one = trainer(backend)
    one.fit(loader, epochs=4, compile=compile)
    assert loader.epochs == 4
    assert len(captures) == 2 * compile
    other = trainer(backend)
    for epoch in range(4):
        other.fit(x[epoch], t[epoch], 1, 8, shuffle=False, compile=compile)
    assert weights(one) == weights(other)
    assert one.model.inputs == other.model.inputs


def test_batches_with_weights(cpu):
    w = np.arange(26) % 4 + 0.5
    one, other, third = (trainer(cpu) for _ in range(3))
    one.fit(X, T, 2, 8, shuffle=False, sample_weight=w, class_weight={0: 2})
    other.fit(batches(weights=w), epochs=2, class_weight={0: 2})
    third.fit(Loader(lambda epoch: batches(weights=w * (epoch + 1))), epochs=2, class_weight={0: 2})
    assert weights(one) == weights(other) == weights(third)
    assert one.evaluate(X, T, sample_weight=w) == other.evaluate(batches(weights=w))


@pytest.fixture(params=["numpy", "numba"])
def cpu(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    return nnkit.get_backend(request.param)


def test_metrics_and_other_batches_of_an_epoch(cpu):
    of = trainer(cpu)
    seen = []
    metrics = {"first": lambda t, y: seen.append(t[0]) or 0}
    of.fit(Loader(lambda epoch: batches(t=(T + epoch) % 3)), epochs=3, metrics=metrics)
    assert seen == [0, 1, 2]


def test_the_user_s_own_arrays_stay_as_they_are(cpu):
    x, t = X.copy(), T.copy()
    trainer(cpu).fit(Loader(lambda epoch: [(x + epoch, t)] if epoch else [(x, t)]), epochs=3)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(t, T)


def test_a_run_that_goes_on(cpu):
    def loader(epoch):
        return batches(X + epoch)

    whole, part = trainer(cpu), trainer(cpu)
    whole.fit(Loader(loader), epochs=4)
    part.fit(Loader(loader), epochs=2)
    part.resume(Loader(lambda epoch: loader(epoch + 2)), epochs=4)
    assert weights(whole) == weights(part)


def test_bytes_stay_bytes(cpu):
    x = np.random.default_rng(0).integers(0, 256, (26, 16), np.uint8)
    model = [nnkit.Sequential(nnkit.Linear(16, 3), seed=0, backend=cpu) for _ in range(2)]
    nnkit.Trainer(model[0]).fit(x, T, 2, 8, shuffle=False)
    nnkit.Trainer(model[1]).fit(batches(x), epochs=2)
    assert model[0].flat.values.tobytes() == model[1].flat.values.tobytes()


def test_a_data_loader(cpu):
    """In its own order, which is drawn anew in every epoch, as PyTorch does by the same seed."""
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(T))

    def loader():
        drawn = torch.Generator().manual_seed(3)
        return torch.utils.data.DataLoader(data, 8, shuffle=True, generator=drawn)

    one, other = trainer(cpu), trainer(cpu)
    one.fit(loader(), epochs=3, validation_data=loader())
    again = loader()
    list(again)  # what the validation data were read from had the same seed, but was another one
    again = loader()
    for _ in range(3):
        x, t = (torch.cat(parts) for parts in zip(*again, strict=True))
        other.fit(x, t, 1, 8, shuffle=False)
    assert weights(one) == weights(other)
    assert one.evaluate(loader())["loss"] == pytest.approx(one.evaluate(X, T)["loss"])
    unshuffled = torch.utils.data.DataLoader(data, 8)
    assert one.predict(unshuffled).tolist() == one.predict(X).tolist()


def test_batches_on_the_gpu(backend, simulated, monkeypatch):
    if not simulated:
        pytest.skip("for the pretend GPU")
    monkeypatch.setattr("nnkit.training.batches.get_backend", lambda _: backend)
    on_gpu = [tuple(map(OnDevice, map(backend.asarray, each))) for each in batches()]
    one, other = trainer(backend), trainer(backend)
    one.fit(batches(), epochs=2)
    other.fit(on_gpu, epochs=2)
    assert weights(one) == weights(other)
    assert one.predict(X).tolist() == other.predict(x for x, _ in on_gpu).tolist()


# ------------------------------------------------------------------ what is refused

NO_BATCHES = "there are no batches: an iterator that was read before has none left"
NO_TARGETS = (
    "there are no targets: give x and t, or batches of both, such as a DataLoader, a list or a "
    "generator of pairs (x, t), not "
)


def shrinking(epoch):
    return batches(X[: 26 - epoch], T[: 26 - epoch])


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (X, {}, TypeError, NO_TARGETS + "ndarray"),
        (5, {}, TypeError, NO_TARGETS + "int"),
        ({"x": X}, {}, TypeError, NO_TARGETS + "dict"),
        ([], {}, ValueError, NO_BATCHES),
        (
            [X],
            {},
            TypeError,
            "batches must be pairs (x, t), or (x, t, sample_weight), but one is of type ndarray",
        ),
        (
            [(X, T, T, T)],
            {},
            TypeError,
            "batches must be pairs (x, t), or (x, t, sample_weight), but one is of type tuple of 4",
        ),
        (
            [(X, T[1:])],
            {},
            ValueError,
            "a batch has parts of shapes (26, 6) and (25,): there must be as many rows in each",
        ),
        (
            [(X, T), (X[:4, 1:], T[:4])],
            {},
            ValueError,
            "batches have shapes such as (26, 6) and (4, 5): only the number of rows may differ",
        ),
        (
            [(X, T), (X, T, T)],
            {},
            ValueError,
            "some batches have a sample_weight, and others have none",
        ),
        (
            batches(),
            {"batch_size": 8},
            TypeError,
            "batches have a size already: leave batch_size out",
        ),
        (
            batches(),
            {"sample_weight": T},
            TypeError,
            "batches have their own weights: give (x, t, sample_weight) in each",
        ),
        (
            batches(),
            {"validation_split": 0.5},
            ValueError,
            "validation_split cannot set aside a part of batches that are read anew in every "
            "epoch: give validation_data",
        ),
        (
            Loader(shrinking),
            {},
            ValueError,
            "the batches of an epoch had 26 examples, but now they have 25: all epochs must have "
            "as many",
        ),
        (
            Loader(lambda epoch: batches(X[:, : 6 - epoch])),
            {},
            ValueError,
            "input of shape (26, 5): layer 0: rows of 6 numbers expected, not of shape (5,)",
        ),
        (
            Loader(lambda epoch: batches(t=T if epoch else np.eye(3)[T])),
            {},
            ValueError,
            "targets had shape (26, 3) and dtype float32 in the first epoch, but now (26,) and "
            "float32",
        ),
        (
            Loader(lambda epoch: batches(t=T + epoch)),
            {},
            ValueError,
            "labels must be 0 to 2 for 3 outputs, but they reach from 1 to 3: give t - 1",
        ),
        (
            Loader(lambda epoch: batches(weights=None if epoch else T + 1)),
            {},
            ValueError,
            "the batches have a sample_weight in one epoch, and none in another",
        ),
    ],
)
def test_what_are_no_batches(given, options, error, message):
    with pytest.raises(error) as raised:
        trainer("numpy").fit(given, epochs=2, **options)
    if "rows of 6" not in message:  # the layer's own words
        assert str(raised.value) == message


def test_batches_that_never_end(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1 << 22)

    def endless():
        while True:
            yield X.repeat(1000, axis=0), T.repeat(1000)

    with pytest.raises(ValueError, match=r"held in memory: if they never end, take it"):
        trainer("numpy").fit(endless())


def test_predictions_of_no_batches():
    with pytest.raises(ValueError) as error:
        trainer("numpy").predict(iter([]))
    assert str(error.value) == NO_BATCHES


def test_validation_data_as_a_list_of_batches():
    whole, listed = trainer("numpy"), trainer("numpy")
    whole.fit(X, T, 1, validation_data=(X, T))
    listed.fit(X, T, 1, validation_data=batches())
    assert listed.history.val_loss == whole.history.val_loss


def test_batches_of_x_alone():
    """As PyTorch's `TensorDataset(x)` has them: lists of one array."""
    of = trainer("numpy")
    np.testing.assert_array_equal(of.predict([x] for x, _ in batches()), of.predict(X))
    np.testing.assert_array_equal(of.predict(x for x, _ in batches()), of.predict(X))


def test_a_class_that_an_epoch_does_not_have():
    """Its weight is no fault then."""
    loader = Loader(lambda epoch: batches(t=T if epoch == 0 else np.minimum(T, 1)))
    assert len(trainer("numpy").fit(loader, epochs=2, class_weight={0: 1, 2: 5})) == 2


def test_the_free_memory_is_asked_for_all_along(monkeypatch):
    """Also where little more has come since the last time."""
    asked = []
    monkeypatch.setattr(nnkit.training.batches, "too_much", asked.append)
    monkeypatch.setattr(nnkit.training.batches, "CHECKED_BYTES", 200)
    trainer("numpy").fit(batches(size=2), epochs=1)
    assert len(asked) > 2 and max(np.diff(asked)) < 400


def test_pictures_in_batches_are_changed_as_in_an_array(backend):
    """With weights, captured or not, to the bit."""
    x, weighs = rng.random((26, 6, 6, 1), np.float32), rng.random(26)
    trained = []
    for given, how in (
        ((Loader(lambda _: batches(x, weights=weighs)),), {}),
        ((Loader(lambda _: batches(x, weights=weighs)),), {"compile": False}),
        ((x, T), {"sample_weight": weighs, "batch_size": 8, "shuffle": False}),
    ):
        layers = nnkit.Conv2d(1, 2, 3), nnkit.ReLU(), nnkit.Flatten(), nnkit.Linear(32, 3)
        one = nnkit.Trainer(nnkit.Sequential(*layers, seed=0, backend=backend))
        one.fit(*given, epochs=2, augment=nnkit.augment.Shift(1), seed=3, **how)
        trained.append(weights(one))
    assert trained[0] == trained[1] == trained[2]
