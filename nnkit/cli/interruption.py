"""Ctrl-C, or the signal that asks a process to end, at a point where training can be continued."""

from __future__ import annotations

import signal
from types import FrameType

from nnkit.training import Trainer
from nnkit.training.callbacks import Callback


class StopOnSignal(Callback):
    """Inside a ``with`` block let SIGINT or SIGTERM end training after the current step.

    A second signal raises KeyboardInterrupt. A signal that the process was started to ignore, as
    ``nohup`` and background jobs are, stays ignored.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        """The signal that came."""

    def __enter__(self) -> StopOnSignal:
        self._before = {
            signum: signal.signal(signum, self._remember)
            for signum in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(signum) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def on_progress(self, trainer: Trainer) -> None:
        """Stop here if a signal has come."""
        if self.signum is not None:
            trainer.stop = True

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Stop here if a signal has come."""
        self.on_progress(trainer)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum
