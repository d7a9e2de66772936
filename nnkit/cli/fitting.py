"""Training a run, and telling about it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence

import click
import numpy as np

from nnkit.backends import Backend
from nnkit.bench import thread_count
from nnkit.cli import networks
from nnkit.cli.command import Failure, explain, notice
from nnkit.cli.interruption import StopOnSignal
from nnkit.cli.runs import Run
from nnkit.cli.tables import errors
from nnkit.data import Dataset, Table
from nnkit.data.dataset import in_words
from nnkit.distributed import RankError
from nnkit.files import atomic
from nnkit.layers.inputs import BYTE, LEAST_PIXELS
from nnkit.plotting import learning_curves
from nnkit.progress import ProgressBar
from nnkit.reasons import printable
from nnkit.showing.words import counted
from nnkit.training import DivergenceError, Trainer
from nnkit.training.callbacks import Callback


def fit(run: Run, quiet: bool, more: Sequence[Callback] = ()) -> float:
    """Train to the end, `more` callbacks told of it, and return the seconds that took.

    Stopped before, save the run; by a signal, exit the process.
    """
    trainer, data = run.trainer, run.dataset
    start = time.perf_counter()
    with StopOnSignal() as stop, _remove_if_empty(run), _told_of_rate(), _told_of_ranks(run):
        save = _Save(run)
        callbacks = [*([] if quiet else [ProgressBar("test")]), save, stop, *more]
        validation = (data.x_test, data.t_test)
        if trainer.progress is None:
            trainer.fit(
                run.x_train,
                data.t_train,
                run.epochs,
                run.batch_size,
                validation_data=validation,
                callbacks=callbacks,
                schedule=run.schedule,
                augment=run.augment,
                scale=_scale(data),
                progress=False,
            )
        else:
            trainer.resume(
                run.x_train,
                data.t_train,
                run.epochs,
                validation_data=validation,
                callbacks=callbacks,
                progress=False,
            )
        assert trainer.progress is not None
        signum = next(filter(None, trainer.ranks.gather(stop.signum)), None)
        if not trainer.progress.finished:
            _save(run)
            _say_how_to_resume(run)
            trainer.ranks.gather("saved")  # before a rank ends, and a launcher with it all
            if signum is not None:
                raise click.exceptions.Exit(128 + signum)
        elif save.failed:
            _save(run)
    return time.perf_counter() - start


@contextlib.contextmanager
def _told_of_rate() -> Iterator[None]:
    """Tell of training that diverges in the command line's words."""
    try:
        yield
    except DivergenceError as error:
        raise Failure(str(error).replace("learning rate,", "learning rate (--lr),")) from error


@contextlib.contextmanager
def _told_of_ranks(run: Run) -> Iterator[None]:
    """Tell of a rank that ended, and how to go on from the last epoch that was saved."""
    try:
        yield
    except RankError as error:
        if not run.checkpoint.exists():
            raise
        raise Failure(f"{error}; to continue: {_resuming(run)}") from error


def _resuming(run: Run) -> str:
    return f"nnkit train --resume {shlex.quote(str(run.checkpoint))}"


def _scale(data: Dataset) -> float | None:
    """Return what images are multiplied by: bytes of tiny ones too, which `fit` leaves alone."""
    tiny = data.x_train.shape[1] < LEAST_PIXELS
    return BYTE if tiny and data.x_train.dtype == np.uint8 else None


class _Save(Callback):
    """Write a checkpoint after every epoch; one in which training diverges is not saved.

    Where that fails, training goes on: the next epoch may find room, and the end tries once more.
    """

    on_every_rank = False

    def __init__(self, run: Run) -> None:
        self.run = run
        self.failed = False
        """Whether the last epoch's could not be written."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.failed = False
        try:
            _save(self.run)
        except Failure as error:
            self.failed = True
            notice(f"{error.message}; training goes on")


def _save(run: Run) -> None:
    try:
        run.trainer.save(run.checkpoint, **run.about)
    except Exception as error:
        reason = getattr(error, "strerror", None) or explain(error)
        raise Failure(f"{run.checkpoint} cannot be written: {reason}") from error


@contextlib.contextmanager
def _remove_if_empty(run: Run) -> Iterator[None]:
    """Leave no folder behind in which nothing was saved."""
    try:
        yield
    finally:
        if run.trainer.ranks.rank == 0:
            with contextlib.suppress(OSError):
                run.checkpoint.parent.rmdir()


def _say_how_to_resume(run: Run) -> None:
    progress = run.trainer.progress
    assert progress is not None
    notice(
        f"stopped in epoch {progress.epoch + 1} of {progress.epochs}, after {progress.step} of "
        f"{counted(progress.steps, 'step')}; saved {run.checkpoint}"
    )
    notice(f"to continue: {_resuming(run)}")


def describe(run: Run) -> str:
    """Say in a few lines what is going to be trained, on what, and where results go."""
    trainer, data = run.trainer, run.dataset
    model, optimizer = trainer.model, trainer.optimizer
    shape = data.image_shape
    images = f"images of {in_words(shape)}" if shape else f"rows of {data.x_train.shape[1]}"
    steps = -(-len(data.x_train) // run.batch_size)
    schedule = "constant" if run.schedule is None else type(run.schedule).__name__.lower()
    ranks = trainer.ranks
    rows = {
        "backend": f"{model.backend.name} on {_device(model.backend, ranks.alone)}",
        "ranks": "" if ranks.alone else f"{ranks.size}, each with a share of every batch",
        "data": f"{data.name}: {len(data.x_train):,} training and {len(data.x_test):,} test "
        f"{images}, {data.told}",
        "prepared": data.note,
        "augmented": ", ".join(map(repr, run.augment)),
        "network": f"{networks.describe(model, run.about['network'])}, "
        f"{model.n_parameters:,} parameters, {model.dtype.name}",
        "training": f"{type(optimizer).__name__}, learning rate {optimizer.lr:g} "
        f"({schedule}), {counted(run.epochs, 'epoch')} of {counted(steps, 'step')}, "
        f"batch {run.batch_size}, seed {model.seed}",
        "results": f"{run.checkpoint.parent}{os.sep}",
    }
    if (progress := trainer.progress) is not None:
        rows["continued"] = f"in epoch {progress.epoch + 1}, after {counted(progress.step, 'step')}"
    return "\n".join(f"{name:<9}  {printable(text)}" for name, text in rows.items() if text)


def report(run: Run, seconds: float) -> None:
    """Write the curves and figures beside the checkpoint, and say how training ended.

    Of several ranks rank 0 does it. Of a run that was stopped in its first epoch there is nothing
    to say.
    """
    if run.trainer.ranks.rank > 0 or not len(run.trainer.history):
        return
    folder, history = run.checkpoint.parent, run.trainer.history
    files = [run.checkpoint, folder / "history.json", folder / "learning-curves.png"]
    try:
        figures = {name: values.tolist() for name, values in history.state().items()}
        atomic.replace(files[1], (json.dumps(figures) + "\n").encode())
        learning_curves(history, files[2], title=run.dataset.name, validation="test")
    except ImportError as error:
        notice(f"no learning-curves.png: {error}")
        del files[2]
    except OSError as error:
        raise Failure(f"results cannot be written into {folder}: {error.strerror}") from error
    last = history.last()
    click.echo(f"test {_figure(run, last)} after {seconds:.1f} s")
    click.echo(printable(f"saved {', '.join(map(str, files))}"))


def _figure(run: Run, last: dict[str, float]) -> str:
    """Return the accuracy, or of amounts the error in their units."""
    if "val_accuracy" in last:
        return f"accuracy {last['val_accuracy']:.2%}"
    assert isinstance(run.dataset, Table)
    squared, root = errors(run.dataset.encoder, last["val_loss"])
    return f"error {squared:.4g} (MSE), {root:.4g} (RMSE)"


def _device(backend: Backend, alone: bool) -> str:
    if backend.name == "cupy":
        from cupy.cuda import runtime

        return str(runtime.getDeviceProperties(runtime.getDevice())["name"].decode())
    return counted(thread_count(), "CPU thread") + ("" if alone else " a rank")
