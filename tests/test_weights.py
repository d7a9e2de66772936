"""Examples that count more than others: sample_weight and class_weight."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit import SGD, Linear, Sequential, SigmoidCrossEntropy, Trainer

RNG = np.random.default_rng(5)
X = RNG.standard_normal((60, 6))
T = RNG.integers(0, 3, 60)
TIMES = RNG.integers(0, 4, 60)
"""A weight of 0 is a row that is not there."""
REPEATED = np.repeat(np.arange(60), TIMES)


def new(backend, dtype="float64", loss=None, outputs=3, optimizer=None):
    model = Sequential(
        Linear(6, 8), "tanh", Linear(8, outputs), seed=1, dtype=dtype, backend=backend
    )
    return Trainer(model, loss, optimizer or SGD(lr=0.3, momentum=0.5, nesterov=True))


def parameters(trainer):
    return np.concatenate([p.to_numpy().ravel() for p in trainer.model.parameters()])


def losses():
    """Each kind of kernel: labels, rows, and single outputs."""
    one_hot = np.eye(3)[T]
    return {
        "labels": (None, 3, T),
        "one-hot": (None, 3, one_hot),
        "smoothed": (nnkit.SoftmaxCrossEntropy(label_smoothing=0.1), 3, T),
        "yes or no": (SigmoidCrossEntropy(), 1, T == 1),
        "many answers": (SigmoidCrossEntropy(), 3, one_hot),
        "numbers": (nnkit.HuberLoss(), 2, X[:, :2] * 3),
    }


@pytest.mark.parametrize("kind", losses())
def test_whole_weights_are_repeated_rows(backend, kind):
    """Trained in full batches by captured steps, measured by evaluate."""
    loss, outputs, t = losses()[kind]
    weighted, repeated = (new(backend, loss=loss, outputs=outputs) for _ in range(2))
    first = weighted.fit(X, t, 6, 60, sample_weight=TIMES, shuffle=False)
    second = repeated.fit(X[REPEATED], t[REPEATED], 6, len(REPEATED), shuffle=False)
    np.testing.assert_allclose(parameters(weighted), parameters(repeated), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-9)
    np.testing.assert_allclose(first.accuracy, second.accuracy, rtol=1e-9)
    told = weighted.evaluate(X, t, 13, sample_weight=TIMES)
    assert told == pytest.approx(repeated.evaluate(X[REPEATED], t[REPEATED]), rel=1e-9)


def test_captured_or_not_is_the_same_bit_for_bit(backend, dtype):
    """In batches the last of which is smaller, with class weights and weights in one."""
    trained = []
    for compiled in (True, False):
        trainer = new(backend, dtype, optimizer="adam")
        history = trainer.fit(
            X, T, 5, 16, sample_weight=TIMES, class_weight="balanced", compile=compiled
        )
        trained.append((parameters(trainer).tobytes(), history.loss, history.accuracy))
    assert trained[0] == trained[1]


def test_weights_in_the_middle_of_an_epoch(backend):
    """A run that was interrupted goes on with its weights."""

    class Stop(nnkit.Callback):
        def on_step_end(self, trainer):
            trainer.stop = trainer.progress.step == 2

    whole, parts = new(backend), new(backend)
    whole.fit(X, T, 3, 16, sample_weight=TIMES)
    parts.fit(X, T, 3, 16, sample_weight=TIMES, callbacks=[Stop()])
    parts.resume(X, T, sample_weight=TIMES)
    assert parameters(whole).tobytes() == parameters(parts).tobytes()
    assert whole.history.loss == parts.history.loss


def test_only_how_weights_compare_matters(backend):
    one, other = new(backend), new(backend)
    one.fit(X, T, 2, 16, sample_weight=TIMES)
    other.fit(X, T, 2, 16, sample_weight=TIMES[:, None] * 1000.0)
    np.testing.assert_allclose(parameters(one), parameters(other), rtol=1e-12)


def test_balanced_classes_count_the_same():
    t = np.where(np.arange(60) < 50, 0, 2)
    trained = {}
    for name, how in {
        "balanced": {"class_weight": "balanced"},
        "by class": {"class_weight": {0: 60 / (2 * 50), 2: 60 / (2 * 10)}},
        "by example": {"sample_weight": np.where(t == 0, 1, 5)},
        "both": {"class_weight": {2: 5}, "sample_weight": np.full(60, 0.5)},
    }.items():
        trainer = new("numpy")
        trainer.fit(X, t, 3, 20, **how)
        trained[name] = parameters(trainer)
    for found in trained.values():
        np.testing.assert_allclose(found, trained["balanced"], rtol=1e-9)
    one_hot = new("numpy")
    one_hot.fit(X, np.eye(3)[t], 3, 20, class_weight="balanced")
    np.testing.assert_allclose(parameters(one_hot), trained["balanced"], rtol=1e-9)


def test_balanced_classes_of_repeated_rows():
    weighted, repeated = new("numpy"), new("numpy")
    weighted.fit(X, T, 3, 60, sample_weight=TIMES, class_weight="balanced", shuffle=False)
    x, t = X[REPEATED], T[REPEATED]
    repeated.fit(x, t, 3, len(t), class_weight="balanced", shuffle=False)
    np.testing.assert_allclose(parameters(weighted), parameters(repeated), rtol=1e-9)


def test_weights_of_validation_data():
    trainer = new("numpy")
    trainer.fit(X, T, 2, validation_data=(X[:30], T[:30], TIMES[:30]))
    told = trainer.evaluate(X[:30], T[:30], sample_weight=TIMES[:30])
    assert trainer.history.val_loss[-1] == pytest.approx(told["loss"])
    assert trainer.history.val_accuracy[-1] == pytest.approx(told["accuracy"])
    assert told != pytest.approx(trainer.evaluate(X[:30], T[:30]))


def test_a_part_set_aside_is_weighed_by_example_not_by_class():
    plain, weighted = new("numpy"), new("numpy")
    plain.model.frozen = weighted.model.frozen = True
    plain.fit(X, T, 1, validation_split=0.5, seed=3)
    history = weighted.fit(
        X, T, 1, validation_split=0.5, seed=3, class_weight="balanced", sample_weight=np.full(60, 7)
    )
    assert history.val_loss == pytest.approx(plain.history.val_loss)
    assert history.loss != pytest.approx(plain.history.loss)


@pytest.mark.parametrize("seed", range(3))
def test_accuracies_are_no_more_than_one(tmp_path, seed):
    """Weights are rounded to float32, whose mean may be a little more; a checkpoint is loaded."""
    weights = np.random.default_rng(seed).random(60)
    trainer = Trainer(Sequential(Linear(6, 3), seed=0), optimizer=SGD(lr=3.0))
    t = X[:, :3].argmax(axis=1)
    history = trainer.fit(X, t, 120, 16, sample_weight=weights, validation_data=(X, t, weights))
    told = trainer.evaluate(X, t, sample_weight=weights)["accuracy"]
    for accuracy in (max(history.accuracy), max(history.val_accuracy), told):
        assert 1 - 1e-6 < accuracy <= 1
    trainer.save(tmp_path / "run.safetensors")
    assert Trainer.load(tmp_path / "run.safetensors").history == history


def test_classes_without_examples():
    """They may have a weight; and one whose examples do not count takes none from the others."""
    trainer = new("numpy")
    told = trainer.evaluate(X[T < 2], T[T < 2], class_weight={0: 1, 1: 2, 2: 3})
    assert told["loss"] > 0
    weights = np.where(T == 2, 0.0, 1.0)
    trainer.fit(X, T, 2, sample_weight=weights, class_weight="balanced")
    other = new("numpy")
    counts = np.bincount(T).astype(float)
    other.fit(X, T, 2, sample_weight=weights / counts[T])
    np.testing.assert_allclose(parameters(trainer), parameters(other), rtol=1e-9)


def test_a_loss_by_itself(backend):
    loss, y = nnkit.MeanSquaredError(), RNG.standard_normal((60, 2))
    with nnkit.use_backend(backend):
        weighted = loss(y, np.zeros((60, 2)), TIMES)
        gradient = backend.to_numpy(loss.backward())
    assert weighted == pytest.approx(np.average((y**2).mean(axis=1), weights=TIMES))
    np.testing.assert_allclose(gradient, y * (TIMES / TIMES.sum())[:, None], rtol=1e-12)


class Absolute(nnkit.Loss):
    def prepare(self, backend, target, shape, dtype):
        return backend.asarray(target, dtype).reshape(shape)

    def measure(self, backend, y, t, gradient, log, counters):
        gradient[...] = backend.xp.sign(y - t) / y.size
        log[counters[0], 0] = abs(y - t).mean()


class WeightedAbsolute(Absolute):
    def measure(self, backend, y, t, gradient, log, counters, weights=None):
        super().measure(backend, y, t, gradient, log, counters)
        if weights is not None:
            gradient *= weights[:, None]
            log[counters[0], 0] = (abs(y - t).mean(axis=1) * weights).mean()


def test_a_loss_of_ones_own():
    trainer = new("numpy", loss=Absolute())
    message = (
        r"^Absolute\.measure takes no weights: give it one more argument, weights=None, for what "
        r"to multiply each example's gradient and loss by, \(n,\)$"
    )
    with pytest.raises(TypeError, match=message):
        trainer.fit(X, X[:, :3], 1, sample_weight=TIMES)
    with pytest.raises(TypeError, match=message):
        Absolute()(X[:, :3], X[:, :3], TIMES)
    assert trainer.progress is None
    trainers = [new("numpy", loss=WeightedAbsolute()) for _ in range(2)]
    trainers[0].fit(X, X[:, :3], 2, 60, sample_weight=TIMES, shuffle=False, compile=False)
    x = X[REPEATED]
    trainers[1].fit(x, x[:, :3], 2, len(x), shuffle=False, compile=False)
    np.testing.assert_allclose(parameters(trainers[0]), parameters(trainers[1]), rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"sample_weight": np.ones(59)},
            ValueError,
            r"^sample_weight must have shape \(60,\), one for each example, not \(59,\)$",
        ),
        (
            {"sample_weight": -TIMES},
            ValueError,
            r"^sample_weight must be finite numbers of at least 0, but \d+ is -\d\.0$",
        ),
        (
            {"sample_weight": np.where(np.arange(60) == 7, np.nan, 1)},
            ValueError,
            "^sample_weight must be finite numbers of at least 0, but 7 is nan$",
        ),
        (
            {"sample_weight": np.zeros(60)},
            ValueError,
            "^sample_weight is 0 for every example, so that nothing counts$",
        ),
        (
            {"class_weight": {0: 1, 7: 2}},
            ValueError,
            "^class_weight has a weight for 7, but the labels are 0, 1, 2$",
        ),
        (
            {"class_weight": [1, 2, 3]},
            TypeError,
            r'^class_weight must be "balanced" or weights by label, such as {0: 1, 1: 5}, not \[1',
        ),
        (
            {"class_weight": {0: -1}},
            ValueError,
            "^class_weight must be finite numbers of at least 0, but 0 is -1.0$",
        ),
        (
            {"sample_weight": (np.arange(60) < 5) * 1.0, "validation_split": 0.1},
            ValueError,
            "^the weights of a part of the examples are all 0, so nothing counts$",
        ),
    ],
)
def test_weights_that_are_none(given, error, message):
    trainer = new("numpy")
    before = parameters(trainer)
    with pytest.raises(error, match=message):
        trainer.fit(X, T, 1, seed=1, **given)
    assert trainer.progress is None
    assert (parameters(trainer) == before).all()


def test_class_weights_of_what_are_no_classes():
    trainer = new("numpy", loss="mse")
    message = (
        r"^class_weight is for labels and one-hot rows, but the targets, of shape \(60, 3\), are "
        "neither: give each example's weight as sample_weight$"
    )
    with pytest.raises(ValueError, match=message):
        trainer.fit(X, X[:, :3], 1, class_weight="balanced")


def test_a_run_is_resumed_with_its_weights(tmp_path):
    trainer = new("numpy")
    trainer.fit(X, T, 2, sample_weight=TIMES)
    trainer.save(tmp_path / "run.safetensors")
    again = Trainer.load(tmp_path / "run.safetensors", "numpy")
    message = "^the run was with sample_weight or class_weight: resume it so$"
    with pytest.raises(ValueError, match=message):
        again.resume(X, T, 3)
    assert len(again.resume(X, T, 3, sample_weight=TIMES)) == 3
    plain = new("numpy")
    plain.fit(X, T, 1)
    with pytest.raises(
        ValueError, match=r"^the run was without sample_weight or class_weight: resume it so$"
    ):
        plain.resume(X, T, 2, class_weight="balanced")
