"""Figures, the learning rate and the weights in TensorBoard."""

from __future__ import annotations

import time
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.callbacks.figures import figures_now
from nnkit.dtypes import as_arithmetic
from nnkit.files.paths import expand
from nnkit.given.keywords import explained
from nnkit.given.options import integer, shown
from nnkit.reasons import importing
from nnkit.training.callbacks import Callback

if TYPE_CHECKING:
    from nnkit.training import Trainer

FLUSH_SECONDS = 1
"""How often what was told is brought to the file: little is lost in a kill."""


class TensorBoard(Callback):
    """Write each epoch's figures for TensorBoard: ``tensorboard --logdir runs``.

    Training and validation are runs of their own there, ``folder/train`` and
    ``folder/validation``, so that both curves of "loss", of "accuracy" and of metrics of your own
    lie in one chart. Steps are epochs, from 1. The learning rate is "lr", that of the epoch's last
    step. Where a run is resumed, what was written of later epochs before a kill is hidden.

    Parameters
    ----------
    folder
        Where to; a folder for each run, such as "runs/adam".
    histograms
        Write histograms of all parameters after every so many epochs; 0: none.

    Needs tensorboardX, and raises ImportError without it.
    """

    on_every_rank = False

    histograms: int = integer(least=0)

    @explained
    def __init__(self, folder: str | PathLike[str], histograms: int = 0) -> None:
        if not isinstance(folder, str | PathLike):
            raise TypeError(f"TensorBoard: folder must be a path, not {shown(folder)}")
        self.folder = folder
        self.histograms = histograms
        self._writers: dict[str, Any] = {}

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Begin files in the folders."""
        remedy = "TensorBoard needs tensorboardX: pip install tensorboardX"
        with importing("tensorboardX", "tensorboardX", remedy):
            from tensorboardX import SummaryWriter
        assert trainer.progress is not None
        for name in ("train", *["validation"] * trainer.validates):
            self._writers[name] = SummaryWriter(
                str(expand(self.folder) / name),
                purge_step=trainer.progress.epoch + 1,
                flush_secs=FLUSH_SECONDS,
                # Names have the time in seconds, in which two runs may begin. TensorBoard reads
                # files in the order of their names.
                filename_suffix=f".{time.time_ns()}",
            )

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the figures, and histograms if it is time."""
        assert trainer.progress is not None
        epoch = trainer.progress.epoch
        for name, value in figures_now(trainer).items():
            plain = name.removeprefix("val_")
            writer = self._writers["train" if name == plain else "validation"]
            writer.add_scalar(plain, value, epoch)
        if self.histograms and epoch % self.histograms == 0:
            for name, parameter in trainer.model.named_parameters():
                values = as_arithmetic(trainer.model.backend.to_numpy(parameter.value))
                finite = values[np.isfinite(values)]
                if finite.size:  # tensorboardX cannot draw none
                    self._writers["train"].add_histogram(name, finite, epoch)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the files."""
        while self._writers:
            self._writers.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_writers": {}}
