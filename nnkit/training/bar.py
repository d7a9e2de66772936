"""A progress bar for training."""

from __future__ import annotations

import sys
import time
from typing import Any

from nnkit.training import Trainer
from nnkit.training.callbacks import Callback

REFRESH_SECONDS = 0.2
"""Least time between two looks at a running epoch: each waits for the device."""


class ProgressBar(Callback):
    """Show training: a live bar where there is a terminal, and a line per epoch everywhere.

    The bar, on stderr, has the epoch's loss and accuracy so far, the examples per second and the
    time left until the end of training. The lines go to stdout.

    Parameters
    ----------
    validation
        What to call the validation data in the lines.
    live
        Whether to draw the bar; None: where stderr is a terminal.
    """

    def __init__(self, validation: str = "validation", live: bool | None = None) -> None:
        self.validation = validation
        self.live = live
        self._bar: Any = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Draw an empty bar."""
        assert trainer.progress is not None
        self._start = self._epoch_start = self._shown = time.perf_counter()
        self._done_before = self._epoch_before = _examples_done(trainer)
        if sys.stderr.isatty() if self.live is None else self.live:
            from tqdm import tqdm

            self._bar = tqdm(
                total=trainer.progress.examples,
                leave=False,
                dynamic_ncols=True,
                desc=self._epoch(trainer),
                bar_format="{desc} |{bar}| {percentage:3.0f} %{postfix}",
            )

    def on_progress(self, trainer: Trainer) -> None:
        """Draw the bar anew, a few times a second."""
        now = time.perf_counter()
        if self._bar is not None and now - self._shown >= REFRESH_SECONDS:
            self._shown = now
            self._draw(trainer, self._figures(trainer, now))

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the epoch's line."""
        if self._bar is not None:
            self._bar.clear()
        print(self._line(trainer), flush=True)
        self._epoch_start = time.perf_counter()
        self._epoch_before = _examples_done(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, trainer: Trainer, figures: str) -> None:
        assert trainer.progress is not None
        progress = trainer.progress
        self._bar.n = min(progress.step * progress.batch_size, progress.examples)
        self._bar.set_description_str(self._epoch(trainer), refresh=False)
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.refresh()

    def _epoch(self, trainer: Trainer) -> str:
        assert trainer.progress is not None
        return f"epoch {trainer.progress.epoch + 1}/{trainer.progress.epochs}"

    def _figures(self, trainer: Trainer, now: float) -> str:
        assert trainer.progress is not None
        progress, done, running = trainer.progress, _examples_done(trainer), trainer.running()
        rate = (done - self._epoch_before) / (now - self._epoch_start)
        overall = (done - self._done_before) / (now - self._start)
        seconds_left = (progress.epochs * progress.examples - done) / overall
        parts = [f"loss {running['loss']:.4f}"]
        if "accuracy" in running:
            parts.append(f"accuracy {running['accuracy']:.1%}")
        return ", ".join([*parts, f"{rate:,.0f}/s", f"{_clock(seconds_left)} left"])

    def _line(self, trainer: Trainer) -> str:
        assert trainer.progress is not None
        progress, last = trainer.progress, trainer.history.last()
        number = f"{progress.epoch:>{len(str(progress.epochs))}}/{progress.epochs}"
        training = _describe(last["loss"], last.get("accuracy"))
        parts = [f"epoch {number}", training]
        if "val_loss" in last:
            validation = _describe(last["val_loss"], last.get("val_accuracy"))
            parts.append(f"{self.validation} {validation}")
        rate = (_examples_done(trainer) - self._epoch_before) / last["seconds"]
        return "   ".join([*parts, f"{last['seconds']:.1f} s  {rate:,.0f}/s"])


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
