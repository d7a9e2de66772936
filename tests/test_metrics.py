"""Figures of one's own, in the history and from evaluate."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import nnkit
from nnkit import History, Linear, Metric, Sequential, SoftmaxCrossEntropy, Trainer

RNG = np.random.default_rng(3)
X = RNG.standard_normal((50, 4))
T = (X[:, 0] > 0).astype(np.int64) * 2


def recall(t, answers):
    """Share of the examples of class 2 that were found."""
    return (answers[t == 2] == 2).mean()


def mean_of_two(t, p):
    assert p.shape == (len(t), 3)
    return p[:, 2].mean()


def new(backend="numpy", loss=None):
    return Trainer(Sequential(Linear(4, 3), seed=1, backend=backend), loss, nnkit.SGD(lr=0.5))


def test_of_validation_data(backend):
    trainer = new(backend)
    history = trainer.fit(
        X[:40],
        T[:40],
        4,
        16,
        validation_data=(X[40:], T[40:]),
        metrics={"recall": recall, "two": Metric(mean_of_two, of="probabilities")},
    )
    assert history.metrics.keys() == {"val_recall", "val_two"}
    assert len(history["val_recall"]) == len(history.val_loss) == 4
    assert history["val_recall"][-1] == recall(T[40:], trainer.predict(X[40:]))
    assert history["val_two"][-1] == pytest.approx(trainer.predict_proba(X[40:])[:, 2].mean())
    assert history.last()["val_two"] == history.to_dict()["val_two"][-1]
    assert history["loss"] == history.loss
    with pytest.raises(KeyError, match="val_f1"):
        history["val_f1"]


@pytest.mark.parametrize("loss", ["mse", nnkit.SigmoidCrossEntropy(), None])
@pytest.mark.parametrize("of", ["answers", "probabilities", "outputs"])
def test_of_many_batches(backend, loss, of):
    """What a model says is kept of each, in whatever array the next one is computed."""
    seen = {}
    trainer = new(backend, loss)
    t = T if loss is None else np.eye(3)[T]
    metrics = {"seen": Metric(lambda t, said: seen.update({of: said}) or 0, of=of)}
    trainer.fit(X, t, 1, 16, metrics=metrics)
    want = {
        "answers": trainer.predict(X),
        "probabilities": trainer.predict_proba(X),
        "outputs": backend.to_numpy(trainer.model(X)),
    }
    np.testing.assert_allclose(seen[of], want[of], rtol=1e-5, atol=1e-6)


def test_of_a_part_set_aside():
    seen = []
    trainer = new("numpy")
    trainer.fit(
        X, T, 1, validation_split=0.2, metrics={"rows": lambda t, y: seen.append(t) or len(t)}
    )
    assert trainer.history["val_rows"] == [10.0]
    assert np.bincount(seen[0]).sum() == 10 and set(seen[0].tolist()) == {0, 2}


def test_of_the_examples_where_there_are_no_others(backend):
    """The figures are of the whole data set, after the epoch, with what the loss sees unchanged."""
    plain, told = new(backend), new(backend)
    plain.fit(X, T, 3, 16)
    history = told.fit(X, T, 3, 16, metrics={"recall": recall})
    assert history["recall"][-1] == recall(T, told.predict(X))
    assert history.loss == plain.history.loss
    assert told.evaluate(X, T, metrics={"recall": recall})["recall"] == history["recall"][-1]


def test_targets_are_those_that_were_given():
    """Not those that a loss made of them."""
    seen = {}

    def see(t, answers):
        seen[len(t)] = t, answers
        return 0

    trainer = new("numpy", SoftmaxCrossEntropy(label_smoothing=0.2))
    trainer.fit(X, T.tolist(), 1, metrics={"seen": see})
    t, answers = seen[50]
    assert (t == T).all() and answers.shape == (50,)
    trainer.evaluate(X, np.eye(3)[T], metrics={"seen": Metric(see, of="outputs")})
    t, outputs = seen[50]
    assert t.shape == outputs.shape == (50, 3)


def test_in_checkpoints_and_copies(tmp_path):
    trainer = new("numpy")
    trainer.fit(X, T, 3, metrics={"recall": recall})
    trainer.save(tmp_path / "run.safetensors")
    again = Trainer.load(tmp_path / "run.safetensors")
    assert again.history == trainer.history
    again.resume(X, T, 4, metrics={"recall": lambda t, y: 0.25})
    assert again.history["recall"] == [*trainer.history["recall"], 0.25]
    for other in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        assert other.history == trainer.history
    read = json.loads(json.dumps({k: v.tolist() for k, v in trainer.history.state().items()}))
    assert History.of(read) == trainer.history


def test_a_metric_that_comes_and_goes():
    """Epochs without it are NaN, so that lists stay beside each other."""
    trainer = new("numpy")
    trainer.fit(X, T, 1)
    trainer.resume(X, T, 2, metrics={"one": lambda t, y: 1})
    trainer.resume(X, T, 3, metrics={"two": lambda t, y: 2})
    np.testing.assert_array_equal(trainer.history["one"], [np.nan, 1, np.nan])
    np.testing.assert_array_equal(trainer.history["two"], [np.nan, np.nan, 2])


def test_in_the_lines_of_progress(capsys):
    new("numpy").fit(X, T, 1, progress=True, metrics={"half": lambda t, y: 0.5})
    assert "   half 0.5   " in capsys.readouterr().out


def test_scikit_learns_functions_fit():
    of = pytest.importorskip("sklearn.metrics")
    trainer = new("numpy")
    trainer.fit(X, T, 5)
    told = trainer.evaluate(
        X,
        T,
        metrics={
            "f1": lambda t, y: of.f1_score(t, y, average="macro"),
            "balanced": of.balanced_accuracy_score,
            "kappa": of.cohen_kappa_score,
            "log": Metric(lambda t, p: of.log_loss(t, p, labels=[0, 1, 2]), of="probabilities"),
        },
    )
    assert told["f1"] == of.f1_score(T, trainer.predict(X), average="macro")
    assert told["log"] == pytest.approx(told["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (
            [recall],
            TypeError,
            r'^metrics must be functions by name, such as {"f1": sklearn\.metrics\.f1_score}, not',
        ),
        ({"f1": 3}, TypeError, "^a metric must be a function of targets and answers, not 3$"),
        (
            {"loss": recall},
            ValueError,
            "^a metric cannot be called 'loss': choose a name that no figure of a run has, "
            'without "val_" in front$',
        ),
        ({"val_f1": recall}, ValueError, "^a metric cannot be called 'val_f1': "),
        ({"lr": recall}, ValueError, "^a metric cannot be called 'lr': "),
        ({3: recall}, ValueError, "^a metric cannot be called 3: "),
    ],
)
def test_what_is_no_metric(metrics, error, message):
    trainer = new("numpy")
    with pytest.raises(error, match=message):
        trainer.fit(X, T, 1, metrics=metrics)
    assert trainer.progress is None


def test_what_a_metric_is_of():
    message = "^a metric is of one of 'answers', 'probabilities', 'outputs', not of 'labels'$"
    with pytest.raises(ValueError, match=message):
        Metric(recall, of="labels")


@pytest.mark.parametrize("gives", [np.zeros(3), "text", None])
def test_a_metric_that_gives_no_number(gives):
    with pytest.raises((TypeError, ValueError)) as caught:
        new("numpy").fit(X, T, 1, metrics={"odd": lambda t, y: gives})
    assert caught.value.__notes__ == ["metric 'odd'"]
