"""One run, told to a board as it goes."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np

from nnkit.layers.inputs import LEAST_PIXELS
from nnkit.play.watching import frame
from nnkit.play.watching.answers import AT_THE_END, EXAMPLES, answers
from nnkit.play.watching.board import Board
from nnkit.play.watching.budget import Budget
from nnkit.play.watching.curves import Curve, thinned
from nnkit.play.watching.weights import first_weights, sizes
from nnkit.training import Trainer

FRAMES, ANSWERS = (0.01, 0.1), (0.02, 0.5)
"""Shares of the time, and least seconds between two: of figures, of answers to validation data."""


class WatchedRun:
    """Tells of a run what pages wait for; where none does, next to nothing is done.

    All is called by the thread that trains, and nothing of the run is changed.
    """

    def __init__(
        self,
        board: Board,
        number: int,
        trainer: Trainer,
        image_shape: tuple[int, ...] | None,
        class_names: tuple[str, ...],
    ) -> None:
        self.board, self.number = board, number
        self.image_shape = image_shape or _image_shape(trainer)
        self._clock = frame.Clock(trainer)
        self._frames, self._answers = Budget(*FRAMES), Budget(*ANSWERS)
        self._loss, self._right = Curve(), Curve()
        begun = frame.position(trainer)
        self._rates: list[tuple[int, float]] = [(begun["epoch"], begun["lr"])]
        """Epochs, and the learning rates of their last steps; that of the first step in front."""
        self._taken = 0
        """Steps of the current epoch that the curves have."""
        self._answered: object = None
        """Epoch and step of the answers that the board has, and to how many examples."""
        self._recall(trainer)
        board.clear("frame", "answers")
        board.pin("run", number=number, **frame.about(trainer, class_names))
        self._tell(trainer, "training")

    def look(self, trainer: Trainer) -> None:
        """Tell how things are, where a page waits for it and the time allows."""
        if self.board.stops == self.number:
            trainer.stop = True
        if not self.board.wanted:
            return
        if self._answers.there:
            self._answer(trainer)
        if self._frames.there:
            self._tell(trainer, "training")

    def epoch(self, trainer: Trainer) -> None:
        """Take in what epochs have logged that are over now."""
        assert trainer.progress is not None
        self._rates.append((trainer.progress.epoch, trainer.optimizer.last_lr))
        self._take(trainer, len(trainer.log))
        self._taken = 0
        self.look(trainer)

    def end(self, trainer: Trainer) -> None:
        """Tell how it ended, whoever waits."""
        assert trainer.progress is not None
        ended = "stopped" if trainer.stop else "interrupted"
        self._answer(trainer, AT_THE_END)
        self._tell(trainer, "finished" if trainer.progress.finished else ended)

    def _recall(self, trainer: Trainer) -> None:
        """Take in what was recorded before the run was resumed."""
        history, progress = trainer.history, trainer.progress
        assert progress is not None
        if history.accuracy:
            self._right.extend(np.repeat(history.accuracy, progress.steps))
        self._loss.extend(np.array(history.step_loss))

    def _take(self, trainer: Trainer, end: int) -> None:
        """Take in the steps of the current log up to one."""
        progress = trainer.progress
        if trainer.log is None or end <= self._taken:
            return
        assert progress is not None
        log = trainer.model.backend.to_numpy(trainer.log)[self._taken : end]
        self._loss.extend(log[:, 0])
        if trainer.loss.counts_correct:
            rows = progress.batch_sizes(progress.steps)
            rows = rows[np.arange(self._taken, end) % progress.steps]
            self._right.extend(log[:, 1] / (rows * trainer.answers_per_row))
        self._taken = end

    def _tell(self, trainer: Trainer, state: str) -> None:
        progress = trainer.progress
        assert progress is not None
        with self._frames.spending(), np.errstate(over="ignore", invalid="ignore"):
            self._take(trainer, progress.step)
            self.board.pin(
                "frame",
                run=self.number,
                state=state,
                running=trainer.running() if progress.step else {},
                **frame.position(trainer),
                **self._clock.look(trainer),
                **frame.epochs(trainer),
                **self._curves(),
                **sizes(trainer.model),
                **first_weights(trainer.model, self.image_shape),
            )

    def _curves(self) -> dict[str, Any]:
        places, losses = self._loss.points()
        _, right = self._right.points()
        _, rates = thinned(self._rates)
        return {
            "curve_steps": places,
            "curve_loss": losses,
            "curve_right": right,
            "rates_at": [epoch for epoch, _ in rates],
            "rates": [rate for _, rate in rates],
        }

    def _answer(self, trainer: Trainer, most: int = EXAMPLES) -> None:
        """Tell what the network says to so many validation examples, if that is not told yet."""
        progress = trainer.progress
        assert progress is not None
        now = progress.epoch, progress.step, most
        if trainer.validation is None or now == self._answered:
            return
        self._answered = now
        with self._answers.spending():
            found = answers(trainer, trainer.validation, self.image_shape, most)
            self.board.pin("answers", run=self.number, step=progress.step, **found)


def _image_shape(trainer: Trainer) -> tuple[int, ...] | None:
    """That of the examples, where they seem to be images; rows of bytes may be square ones."""
    model, data = trainer.model, trainer.validation
    shape = model.input_shape if data is None else data.x.shape[1:]
    if shape is None or len(shape) != 1:
        return shape if shape is not None and len(shape) in (2, 3) else None
    side = isqrt(shape[0])
    square = side * side == shape[0] >= LEAST_PIXELS
    return (side, side) if square and model.inputs.bytes_scaled else None
