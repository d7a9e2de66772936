"""Beginning and ending callbacks: each that was begun is ended, whatever others raise."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from nnkit.training.callbacks import Callback

if TYPE_CHECKING:
    from nnkit.training.trainer import Trainer


def begin(trainer: Trainer, callbacks: Sequence[Callback]) -> None:
    """Call all `on_fit_begin`, in their order; where one raises, end those before it."""
    for i, callback in enumerate(callbacks):
        try:
            callback.on_fit_begin(trainer)
        except BaseException:
            end(trainer, callbacks[:i])
            raise


def end(trainer: Trainer, callbacks: Sequence[Callback]) -> None:
    """Call all `on_fit_end`, in their order; what one raises is raised behind the last."""
    with ExitStack() as stack:
        for callback in reversed(callbacks):
            stack.callback(callback.on_fit_end, trainer)
