"""What callbacks want to be kept with a run, so that one that is resumed finds it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.checkpoint import CheckpointError
from nnkit.training.callbacks import Callback

if TYPE_CHECKING:
    from nnkit.training.trainer import Trainer

State = Mapping[str, np.ndarray[Any, Any]]
States = dict[str, State]
"""What `Callback.state` gave, by the callback's name: its class and number, "EarlyStopping.0"."""


def states(callbacks: Sequence[Callback], before: States) -> States:
    """Ask callbacks for their states; those of others, known from `before`, stay."""
    found = dict(before)
    for name, callback in _named(callbacks):
        found[name] = callback.state()
        if not found[name]:
            del found[name]
    return found


def restore(trainer: Trainer, callbacks: Sequence[Callback], known: States) -> None:
    """Give callbacks back what was kept for them; raises CheckpointError where it does not fit."""
    for name, callback in _named(callbacks):
        if name in known:
            try:
                callback.restore(trainer, known[name])
            except (KeyError, TypeError, ValueError) as error:
                raise CheckpointError(f"what was kept for {name} does not fit: {error}") from error


def flat(known: States) -> dict[str, np.ndarray[Any, Any]]:
    """Write states as tensors of a file."""
    return {f"{name}.{own}": x for name, state in known.items() for own, x in state.items()}


def nested(tensors: State) -> States:
    """Undo `flat`; raises ValueError for a tensor without the name of a callback."""
    found: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for whole, array in tensors.items():
        kind, _, rest = whole.partition(".")
        number, _, own = rest.partition(".")
        if not own:
            raise ValueError(f"no callback has a tensor {whole!r}")
        found.setdefault(f"{kind}.{number}", {})[own] = array
    return dict(found)


def _named(callbacks: Sequence[Callback]) -> Iterator[tuple[str, Callback]]:
    """The callbacks that have a state, with names that a later run finds them by."""
    counts: Counter[str] = Counter()
    for callback in callbacks:
        kind = type(callback)
        # One that has no such methods, or an attribute of that name, keeps nothing.
        if getattr(kind, "state", Callback.state) is not Callback.state:
            yield f"{kind.__name__}.{counts[kind.__name__]}", callback
            counts[kind.__name__] += 1
