"""The figures that callbacks go by: which there are, which way they are to go, what is better."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from tests.callbacks.runs import Scripted, StopAfter, T, X, fit, resume, trainer

NAN = float("nan")


def spread(targets, answers):
    """A metric of one's own: the part of answers that are not 0."""
    return float(np.mean(answers != 0))


@pytest.mark.parametrize(
    ("monitor", "options", "values", "best"),
    [
        ("val_loss", {}, [3, 2, 1, 2], 2),
        ("accuracy", {}, [0.1, 0.3, 0.2, 0.3], 1),
        ("val_accuracy", {"mode": "min"}, [0.3, 0.2, 0.4, 0.5], 1),
        ("loss", {"mode": "max"}, [1, 2, 1, 3], 3),
        ("loss", {"min_delta": 0.5}, [3, 2.6, 2.4, 2.0], 2),
        ("loss", {}, [NAN, 3, NAN, 4], 1),
        ("loss", {}, [NAN] * 4, None),
        ("seconds", {}, [3, 1, 2, 1], 1),
    ],
)
def test_the_best_epoch(monitor, options, values, best):
    """In one go, and where the run was resumed with another one."""
    figures = Scripted(**{monitor: values})
    whole = nnkit.EarlyStopping(monitor, 9, **options, restore_best=False)
    fit(trainer(), 4, figures, whole)
    parted = nnkit.EarlyStopping(monitor, 9, **options, restore_best=False)
    one = trainer()
    fit(one, 4, figures, StopAfter(3))
    resume(one, figures, parted)
    assert whole.best_epoch == parted.best_epoch == best


@pytest.mark.parametrize(
    "make",
    [
        nnkit.EarlyStopping,
        nnkit.ReduceOnPlateau,
        lambda *a, **o: nnkit.Checkpoint("nowhere", *a, best_only=True, **o),
    ],
)
def test_metrics_of_ones_own(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    callback = make("val_spread", mode="max")
    history = fit(trainer(), 3, callback, metrics={"spread": spread})
    assert callback.best_epoch == int(np.argmax(history["val_spread"]))
    name = type(callback).__name__
    with pytest.raises(ValueError) as error:
        fit(trainer(), 1, make("val_spread"), metrics={"spread": spread})
    assert str(error.value) == (
        f"{name}: nnkit cannot know whether val_spread is to rise or to fall: say mode='max' or "
        "mode='min'"
    )
    with pytest.raises(ValueError) as error:
        fit(trainer(), 1, make("val_f1", mode="max"), metrics={"spread": spread})
    assert str(error.value) == (
        f"{name}: there is no val_f1 in the history: choose one of loss, accuracy, val_loss, "
        "val_accuracy, val_spread"
    )
    with pytest.raises(ValueError) as error:
        fit(trainer(), 1, make("spread", mode="max"), metrics={"spread": spread})
    assert str(error.value) == (
        f"{name}: there is no spread in the history: it is computed of the validation data, as "
        "'val_spread'"
    )
    callback = make("spread", mode="min")
    trainer().fit(X, T, 2, callbacks=[callback], metrics={"spread": spread})
    assert callback.best_epoch is not None


@pytest.mark.parametrize(
    ("monitor", "loss", "message"),
    [
        ("val_loss", None, "val_loss in the history: give fit validation_data, or 'loss' is the "
         "figure of training"),
        ("val_accuracy", "mse", "val_accuracy in the history, because MeanSquaredError counts no "
         "right answers"),
        ("los", "mse", "los in the history: choose one of loss"),
        ("val_los", None, "val_los in the history: choose one of loss, accuracy"),
    ],
)  # fmt: skip
def test_a_figure_that_the_run_will_not_have(monitor, loss, message):
    targets = np.zeros(20, int) if loss is None else np.zeros((20, 3))
    with pytest.raises(ValueError) as error:
        trainer(loss=loss).fit(
            np.ones((20, 6)), targets, 1, callbacks=[nnkit.ReduceOnPlateau(monitor)]
        )
    assert str(error.value) == f"ReduceOnPlateau: there is no {message}"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nnkit.ReduceOnPlateau(3), "ReduceOnPlateau: monitor must be a figure's name, not "
         "3"),
        (lambda: nnkit.EarlyStopping(mode="up"), "EarlyStopping: mode must be 'min', 'max' or None,"
         " not 'up'"),
        (lambda: nnkit.EarlyStopping(mode=["min"]), "EarlyStopping: mode must be 'min', 'max' or "
         "None, not ['min']"),
        (lambda: nnkit.ReduceOnPlateau(min_delta=-1), "ReduceOnPlateau: min_delta must be at least "
         "0, not -1"),
        (lambda: nnkit.ReduceOnPlateau(factor=1), "ReduceOnPlateau: factor must be above 0 and "
         "below 1, not 1"),
        (lambda: nnkit.ReduceOnPlateau(patience=0), "ReduceOnPlateau: patience must be an integer "
         "of at least 1, not 0"),
        (lambda: nnkit.ReduceOnPlateau(cooldown=-1), "ReduceOnPlateau: cooldown must be an integer "
         "of at least 0, not -1"),
        (lambda: nnkit.ReduceOnPlateau(min_lr=-1), "ReduceOnPlateau: min_lr must be at least 0, "
         "not -1"),
        (lambda: nnkit.ReduceOnPlateau(verbose=1), "ReduceOnPlateau got an unexpected keyword "
         "argument 'verbose' (it takes monitor, factor, patience, min_delta, cooldown, min_lr, "
         "mode): what nnkit decides is logged: logging.basicConfig(level=logging.INFO)"),
        (lambda: nnkit.ReduceOnPlateau(threshold=1), "ReduceOnPlateau got an unexpected keyword "
         "argument 'threshold' (it takes monitor, factor, patience, min_delta, cooldown, min_lr, "
         "mode): did you mean min_delta?"),
        (lambda: nnkit.EarlyStopping(restore_best_weights=True), "EarlyStopping got an unexpected "
         "keyword argument 'restore_best_weights' (it takes monitor, patience, min_delta, "
         "restore_best, mode): did you mean restore_best?"),
    ],
)  # fmt: skip
def test_bad_settings(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value) == message
