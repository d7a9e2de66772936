"""Checkpoint: which epochs are saved, under which names, and that runs go on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

import nnkit
from tests.callbacks.runs import Scripted, StopAfter, fit, resume, trainer, weights

VALUES = [5, 4, 4.5, 3, 2.9, 3.5]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("path", "options", "names"),
    [
        ("run", {}, ["run"]),
        ("a/{epoch}", {"every": 2}, ["a/2", "a/4", "a/6"]),
        ("{epoch:02}", {"every": 4}, ["04", "06"]),
        ("{epoch}", {"keep": 2}, ["5", "6"]),
        ("{val_loss:.1f}", {"best_only": True}, ["5.0", "4.0", "3.0", "2.9"]),
        ("{epoch}-{{{val_loss}}}", {"best_only": True, "keep": 1}, ["5-{2.9}"]),
        ("{epoch}", {"best_only": True, "min_delta": 0.5}, ["1", "2", "4"]),
        ("{epoch}", {"best_only": True, "mode": "max", "keep": 3}, ["1"]),
        ("{epoch}", {"best_only": True, "every": 3}, ["3", "6"]),
        ("same-{val_loss:.0f}", {"keep": 3}, ["same-5", "same-3", "same-4"]),
    ],
)
@pytest.mark.parametrize("parted", [None, 3])
def test_names(folder, path, options, names, parted):
    """In one go, and in two parts, each with another callback."""
    one, figures = trainer(), Scripted(val_loss=VALUES)
    make = lambda: nnkit.Checkpoint(path, **options)  # noqa: E731
    checkpoint = make()
    fit(one, 6, figures, checkpoint, *[] if parted is None else [StopAfter(parted)])
    if parted is not None:
        checkpoint = make()
        resume(one, figures, checkpoint)
    assert files(folder) == set(names)
    assert checkpoint.last_path in {*map(Path, names), None}


def test_only_the_best_is_in_one_file(folder):
    checkpoint, one = nnkit.Checkpoint(folder / "best", best_only=True), trainer()
    kept = {}

    class Keep(nnkit.Callback):
        def on_epoch_end(self, trainer):
            kept[len(trainer.history)] = weights(trainer)

    fit(one, 6, Scripted(val_loss=VALUES), Keep(), checkpoint)
    assert (checkpoint.best_epoch, checkpoint.last_path) == (4, folder / "best")
    assert weights(nnkit.Trainer.load("best", "numpy")) == kept[5] != weights(one)
    assert nnkit.load("best", "numpy").n_parameters == one.model.n_parameters


@pytest.mark.parametrize("first", [True, False])
def test_it_saves_what_the_others_made_of_the_epoch(first):
    """Wherever it is in the list: a run that is killed goes on as if it had not been."""

    def others():
        return [nnkit.EarlyStopping(patience=2), nnkit.ReduceOnPlateau("loss", 0.5, 1, 1.0)]

    results = []
    for killed in (False, True):
        callbacks = others()
        callbacks.insert(0 if first else 2, nnkit.Checkpoint("run"))
        one = trainer()
        fit(one, 6, *callbacks, *[StopAfter(4)] * killed)
        if killed:
            one = nnkit.Trainer.load("run", "numpy")
            resume(one, *others())
        results.append((weights(one), one.optimizer.lr, one.history.val_loss))
    assert results[0] == results[1]


def test_what_is_captured_stays_so(backend):
    """Saving changes nothing in the run."""
    results = []
    for callbacks in ([], [nnkit.Checkpoint("run")]):
        one = trainer(backend)
        fit(one, 3, *callbacks)
        results.append(weights(one))
    assert results[0] == results[1] == weights(nnkit.Trainer.load("run", backend))


class Spoil(nnkit.Callback):
    """Have a file where the folder should be, in one epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, trainer):
        if len(trainer.history) == self.epoch:
            Path("runs").write_text("in the way")
        elif Path("runs").is_file():
            Path("runs").unlink()


def test_training_goes_on_where_a_file_cannot_be_written(folder):
    """And the best one is the best that there is a file of."""
    checkpoint = nnkit.Checkpoint("runs/{epoch}", best_only=True)
    with pytest.warns(UserWarning) as warned:
        fit(trainer(), 4, Scripted(val_loss=[2, 4, 5, 3]), Spoil(1), checkpoint)
    (message,) = {str(warning.message) for warning in warned}
    assert message.startswith(f"Checkpoint: {Path('runs/1')} cannot be written: ")
    assert message.endswith("; training goes on")
    assert warned[0].filename.endswith("runs.py")
    assert files(folder) == {"runs/2", "runs/4"}
    assert checkpoint.best_epoch == 3


def test_what_has_diverged_is_not_written(folder):
    one = trainer(lr=1e30)
    with pytest.warns(UserWarning) as warned:
        fit(one, 2, nnkit.Checkpoint("run"), on_nan="ignore")
    assert str(warned[0].message) == (
        "Checkpoint: model.0.weight holds NaN or infinity: training has diverged, and run is not "
        "written; training goes on"
    )
    assert files(folder) == set()


def test_files_of_others_are_left_alone(folder):
    for name in ("0", "1", "9"):
        (folder / name).write_text("mine")
    fit(trainer(), 4, nnkit.Checkpoint("{epoch}", keep=1, every=2))
    assert files(folder) == {"0", "1", "9", "4"}


BRACES = "path must have figures in braces, such as {epoch} or {val_loss:.3f}, and '{{' for a brace"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nnkit.Checkpoint(3), "path must be a path, not 3"),
        (lambda: nnkit.Checkpoint(b"run"), "path must be a path, not b'run'"),
        *(
            (lambda path=path: nnkit.Checkpoint(path), f"{BRACES}, not '{path}'")
            for path in ("{", "a}", "{}", "{0}", "{epoch.real}x{a.b}", "{epoch:zz}", "{a[0]}")
        ),
        (lambda: nnkit.Checkpoint("a", every=0), "every must be an integer of at least 1, not 0"),
        (lambda: nnkit.Checkpoint("{epoch}", keep=0), "keep must be an integer of at least 1 or "
         "None, not 0"),
        (lambda: nnkit.Checkpoint("a", best_only=1), "best_only must be True or False, not 1"),
        (lambda: nnkit.Checkpoint("a", keep=2), "there is but one file 'a', which is replaced each "
         "time: leave keep out, or put {epoch} into the path"),
        (lambda: fit(trainer(), 1, nnkit.Checkpoint("{f1}")), "there is no f1 in the history for "
         "'{f1}': choose of epoch, loss, accuracy, val_loss, val_accuracy, seconds"),
    ],
)  # fmt: skip
def test_bad_settings(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value) == f"Checkpoint: {message}"


def test_a_missing_path_and_names_of_others():
    with pytest.raises(TypeError, match=r"^Checkpoint lacks path: write Checkpoint\(path\)$"):
        nnkit.Checkpoint()
    with pytest.raises(TypeError, match=r"did you mean best_only\?$"):
        nnkit.Checkpoint("a", save_best_only=True)
    with pytest.raises(TypeError, match=r"did you mean path\?$"):
        nnkit.Checkpoint("a", filepath="b")


def test_a_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    fit(trainer(), 1, nnkit.Checkpoint("~/runs/{epoch}"))
    assert files(folder) == {"runs/1"}


def test_it_is_logged(caplog):
    values = Scripted(val_loss=[1, 2, 2])
    with caplog.at_level("INFO", "nnkit.training"):
        fit(trainer(), 3, values, nnkit.Checkpoint("run", best_only=True))
    assert caplog.messages == ["saved run"]
    assert caplog.records[0].name == "nnkit.training.saving"
