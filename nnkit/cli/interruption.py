"""Signals that ask a process to end, at a point where training can be continued."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

from nnkit.training import Trainer
from nnkit.training.callbacks import Callback

SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
]
"""Ctrl-C, `kill`, a terminal that was closed, and Ctrl-Break on Windows."""


class StopOnSignal(Callback):
    """Inside a ``with`` block let a signal of `SIGNALS` end training after the current step.

    A second signal raises KeyboardInterrupt, and a third ends the process at once. A signal that
    the process was started to ignore, as ``nohup`` and background jobs are, stays ignored.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        """The signal that came."""
        self._ending = False

    def __enter__(self) -> StopOnSignal:
        self._before = {
            signum: signal.signal(signum, self._remember)
            for signum in SIGNALS
            if signal.getsignal(signum) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ending:
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
            self._ending = True
            end_at_once_next_time(self._before)
            raise KeyboardInterrupt
        self.signum = signum


def end_at_once_next_time(signals: Iterable[int] = (signal.SIGINT,)) -> None:
    """Have the system's own answer to signals, which is to end the process without a word.

    For a process that is about to end, whose clearing up another Ctrl-C would break off with a
    traceback.
    """
    sys.unraisablehook = _with_lost_signals
    for signum in signals:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)


def _with_lost_signals(unraisable: Any) -> None:
    """Give a signal that came while its handler was changed, which Python tells of, its answer."""
    told = re.fullmatch(r"Signal (\d+) ignored due to race condition", str(unraisable.exc_value))
    if told:
        signal.raise_signal(int(told[1]))
    else:
        sys.__unraisablehook__(unraisable)
