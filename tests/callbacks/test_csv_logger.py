"""CSVLogger: a row for each epoch, whatever happens in between."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import nnkit
from tests.callbacks.runs import Scripted, StopAfter, T, X, fit, resume, trainer


def table(path):
    """Columns by name, as floats; None where there is nothing."""
    with path.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    return {k: [float(row[k]) if row[k] else None for row in rows] for k in rows[0]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "run.csv"


def test_all_figures_of_all_epochs(path):
    one = trainer()
    history = fit(one, 3, nnkit.CSVLogger(path))
    found = table(path)
    assert [*found] == [*("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")]
    assert found == {"epoch": [1, 2, 3], "lr": [0.1] * 3, **history.to_dict()}
    assert path.read_bytes().count(b"\n") == 4
    fit(one, 1, nnkit.CSVLogger(path))
    assert table(path)["epoch"] == [1], "another run replaces the file"


def test_a_run_without_accuracy_and_validation(path):
    history = trainer(loss="mse").fit(X, np.zeros((40, 3)), 2, callbacks=[nnkit.CSVLogger(path)])
    assert table(path) == {"epoch": [1, 2], "lr": [0.1] * 2, **history.to_dict()}


def test_a_metric_with_a_name_that_needs_quotes(path):
    name = 'so-called "f1", ß'
    one = trainer()
    one.fit(X, T, 1, 8, callbacks=[nnkit.CSVLogger(path)], metrics={name: lambda t, y: 0.25})
    with path.open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))[name] == "0.25"


def test_the_rate_is_that_of_the_epoch_s_last_step(path):
    """Whether the rate of the next ones was set before or behind."""
    one = trainer(lr=1.0)
    plateau = nnkit.ReduceOnPlateau("loss", 0.5, 1, min_delta=99)
    schedule = nnkit.schedules.StepDecay(every=5, factor=0.1)
    fit(one, 4, plateau, nnkit.CSVLogger(path), schedule=schedule)
    np.testing.assert_allclose(table(path)["lr"], [1, 0.1, 0.5 * 0.01, 0.25 * 0.001])


@pytest.mark.parametrize("way", ["file", "same callback", "new callback"])
def test_a_run_that_goes_on_has_each_epoch_once(path, tmp_path, way):
    """Though there were more rows, and a part of one, before it was killed."""
    log, one = nnkit.CSVLogger(path), trainer(lr=1.0)
    plateau = nnkit.ReduceOnPlateau("loss", 0.5, 2, min_delta=99)
    fit(one, 5, log, plateau, StopAfter(3))
    if way == "file":
        one.save(tmp_path / "run")
        one = nnkit.Trainer.load(tmp_path / "run", "numpy")
    with path.open("a") as file:
        file.write("4,0.5,0.5,0.5,0.5,0.1,0.1\n5,0.4,0.")
    log = log if way == "same callback" else nnkit.CSVLogger(path)
    history = resume(one, log, nnkit.ReduceOnPlateau("loss", 0.5, 2, min_delta=99))
    assert table(path) == {
        **{"epoch": [1, 2, 3, 4, 5], "lr": [1, 1, 1, 0.5, 0.5]},
        **history.to_dict(),
    }


def test_what_is_not_known_is_left_out(path):
    one = trainer()
    one.fit(X, T, 3, 8, callbacks=[StopAfter(2)])
    history = resume(one, nnkit.CSVLogger(path))
    found = table(path)
    assert found["lr"] == [None, None, 0.1]
    assert found["loss"] == history.loss
    assert found["val_loss"] == [None, None, *history.val_loss]


def test_training_goes_on_where_a_row_cannot_be_written(path):
    """And when that is possible again, all rows are written."""

    class Block(nnkit.Callback):
        def on_epoch_end(self, trainer):
            if len(trainer.history) == 2:
                path.unlink()
                path.mkdir()
            if len(trainer.history) == 4:
                path.rmdir()

    with pytest.warns(UserWarning) as warned:
        fit(trainer(), 5, Block(), nnkit.CSVLogger(path))
    text = str(warned[0].message)
    assert text.startswith(f"CSVLogger: {path} cannot be written: ")
    assert text.endswith("; training goes on")
    assert len(warned) == 2
    assert table(path)["epoch"] == [1, 2, 3, 4, 5]


def test_a_file_that_cannot_be_written_is_told_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    one = trainer()
    with pytest.raises(OSError, match="file"):
        fit(one, 5, nnkit.CSVLogger(tmp_path / "file" / "run.csv"))
    assert len(one.history) == 0


@pytest.mark.parametrize(
    "state",
    [
        {"epoch": np.zeros(2, np.int64), "lr": np.zeros(3)},
        {"epoch": np.zeros(2), "lr": np.zeros(2)},
        {"epoch": np.zeros((1, 1), np.int64), "lr": np.zeros((1, 1))},
        {"epoch": np.zeros((), np.int64), "lr": np.zeros(())},
        {"lr": np.zeros(3)},
    ],
)
def test_a_damaged_state_is_refused(path, state):
    one, log = trainer(), nnkit.CSVLogger(path)
    fit(one, 2, log, StopAfter(1))
    one.keep({"CSVLogger.0": state})
    with pytest.raises(nnkit.CheckpointError, match=r"what was kept for CSVLogger\.0 does not fit"):
        resume(one, log)


def test_bad_settings():
    with pytest.raises(TypeError, match=r"^CSVLogger: path must be a path, not 3$"):
        nnkit.CSVLogger(3)


def test_figures_that_are_no_numbers(path):
    fit(trainer(), 2, Scripted(val_loss=[float("nan"), float("inf")]), nnkit.CSVLogger(path))
    np.testing.assert_array_equal(table(path)["val_loss"], [np.nan, np.inf])


def test_a_part_of_the_run_without_validation(path, tmp_path, capsys):
    """Its epochs have none of its figures, and those of the others stay where they are."""
    one = trainer()
    fit(one, 5, StopAfter(2))
    one.resume(X, T, callbacks=[StopAfter(3), nnkit.ProgressBar(live=False)])
    assert "validation" not in capsys.readouterr().out
    one.save(tmp_path / "run")
    one = nnkit.Trainer.load(tmp_path / "run", "numpy")
    history = resume(one, nnkit.CSVLogger(path))
    assert len(history.val_loss) == 5
    found = table(path)["val_loss"]
    assert np.isnan(found).tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(found, history.to_dict()["val_loss"])
