"""A progress bar for training."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from nnkit.showing.bars import bar_class, columns
from nnkit.showing.watching import in_notebook, person_watches
from nnkit.training.callbacks import Callback

if TYPE_CHECKING:
    from nnkit.training import Trainer

REFRESH_SECONDS = 0.2
"""Least time between two looks at a running epoch: each waits for the device."""

MOST_LINES = 30
"""Epochs that have a line each; of more, every second has one, or fifth, tenth and so on."""

LINE_SECONDS = 10.0
"""After this time the next epoch has a line in any case."""

LEAST_BAR = 8
"""Columns that the bar itself has where there are few."""


class ProgressBar(Callback):
    """Show training: a live bar where a person watches, and a line per epoch.

    The bar, on stderr, shows how much of the run is done, the epoch's loss and accuracy so far, the
    examples per second and the time left; where the terminal is narrow, as much of it as fits. The
    lines go to stdout: one for each epoch, or for at most 30 of many short ones.

    Parameters
    ----------
    validation
        What to call the validation data in the lines.
    live
        Whether to draw the bar; None: where stderr is a terminal, and in notebooks.
    lines
        Whether to write the lines.
    """

    each_epoch = on_every_rank = False

    def __init__(
        self, validation: str = "validation", live: bool | None = None, lines: bool = True
    ) -> None:
        self.validation = validation
        self.live = live
        self.lines = lines
        self._bar: Any = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Draw an empty bar."""
        assert trainer.progress is not None
        progress = trainer.progress
        self._start = self._epoch_start = self._shown = self._told_at = time.perf_counter()
        self._done_before = self._epoch_before = _examples_done(trainer)
        self._seen = self._told = progress.epoch
        self._first = progress.epoch, self._done_before % progress.examples
        live = person_watches() if self.live is None else self.live
        bar = bar_class(needed=self.live is not None) if live and sys.stderr is not None else None
        if bar is not None:
            self._bar = bar(
                total=progress.epochs * progress.examples,
                initial=self._done_before,
                leave=False,
                ncols=None if in_notebook() else columns(),
                desc=_epoch(trainer),
                bar_format="{desc} |{bar}| {percentage:3.0f} %{postfix}",
            )

    def on_progress(self, trainer: Trainer) -> None:
        """Draw the bar anew, a few times a second."""
        now = time.perf_counter()
        if self._bar is not None and now - self._shown >= REFRESH_SECONDS:
            self._shown = now
            self._draw(trainer, self._figures(trainer, now))

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the line of the epoch, or of those that there were since, as far as they have one.

        Draw the bar anew where no step is seen between.
        """
        assert trainer.progress is not None
        progress = trainer.progress
        for epoch in range(self._seen + 1, progress.epoch + 1):
            late = time.perf_counter() - self._told_at >= LINE_SECONDS
            if _has_line(epoch, progress.epochs) or (late and epoch == progress.epoch):
                self._tell(trainer, epoch)
        self._seen = progress.epoch
        self.on_progress(trainer)
        self._epoch_start = time.perf_counter()
        self._epoch_before = _examples_done(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Write the last epoch's line, if it has none yet, and remove the bar."""
        if self._seen > self._told:
            self._tell(trainer, self._seen)
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _tell(self, trainer: Trainer, epoch: int) -> None:
        """Write an epoch's line; epochs count from 1."""
        self._told, self._told_at = epoch, time.perf_counter()
        if self.lines:
            if self._bar is not None:
                self._bar.clear()
            print(self._line(trainer, epoch), flush=True)

    def _draw(self, trainer: Trainer, figures: list[str]) -> None:
        bar = self._bar
        bar.n = _examples_done(trainer)
        bar.set_description_str(_epoch(trainer), refresh=False)
        if not in_notebook():
            bar.ncols = columns()
            room = bar.ncols - len(f"{_epoch(trainer)} || 100 %, ") - LEAST_BAR
            while figures and len(", ".join(figures)) > room:
                figures.pop()
        bar.set_postfix_str(", ".join(figures), refresh=False)
        bar.refresh()

    def _figures(self, trainer: Trainer, now: float) -> list[str]:
        """What stands behind the bar; the last is the first to go where there is no room."""
        assert trainer.progress is not None
        progress, done = trainer.progress, _examples_done(trainer)
        running = trainer.running() or trainer.history.last()
        parts = [f"loss {running['loss']:.4f}"]
        if "accuracy" in running:
            parts.append(f"accuracy {running['accuracy']:.1%}")
        if done > self._epoch_before:
            rate = (done - self._epoch_before) / (now - self._epoch_start)
            parts.append(f"{rate:,.0f}/s")
        if done > self._done_before:
            overall = (done - self._done_before) / (now - self._start)
            seconds_left = (progress.epochs * progress.examples - done) / overall
            parts.append(f"{_clock(seconds_left)} left")
        return parts

    def _line(self, trainer: Trainer, epoch: int) -> str:
        assert trainer.progress is not None
        progress, history = trainer.progress, trainer.history
        behind = epoch - 1 - len(history)
        figures = {k: v[behind] for k, v in history.to_dict().items()}
        number = f"{epoch:>{len(str(progress.epochs))}}/{progress.epochs}"
        parts = [f"epoch {number}", _describe(figures["loss"], figures.get("accuracy"))]
        if "val_loss" in figures and trainer.validates:
            validation = _describe(figures["val_loss"], figures.get("val_accuracy"))
            parts.append(f"{self.validation} {validation}")
        parts += [f"{name} {figures[name]:.4g}" for name in history.metrics]
        before = self._first[1] if epoch == self._first[0] + 1 else 0
        rate = (progress.examples - before) / figures["seconds"]
        return "   ".join([*parts, f"{figures['seconds']:.1f} s  {rate:,.0f}/s"])


def _has_line(epoch: int, epochs: int) -> bool:
    """Whether an epoch, from 1, of so many has a line whatever time it takes."""
    every = 1
    while epochs > every * MOST_LINES:  # 1, 2, 5, 10, 20, 50
        every = every * 5 // 2 if str(every)[0] == "2" else every * 2
    return epoch % every == 0 or epoch == epochs


def _epoch(trainer: Trainer) -> str:
    assert trainer.progress is not None
    progress = trainer.progress
    return f"epoch {min(progress.epoch + 1, progress.epochs)}/{progress.epochs}"


def _examples_done(trainer: Trainer) -> int:
    assert trainer.progress is not None
    progress = trainer.progress
    in_epoch = min(progress.step * progress.batch_size, progress.examples)
    return progress.epoch * progress.examples + in_epoch


def _describe(loss: float, accuracy: float | None) -> str:
    text = f"loss {loss:.4f}"
    return text if accuracy is None else f"{text}  accuracy {accuracy:>7.2%}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
