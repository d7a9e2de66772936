"""A network that is taught the drawings of one page, and forgets them again."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.losses import SoftmaxCrossEntropy
from nnkit.optimizers import Adam
from nnkit.play.drawing.gallery import Examples
from nnkit.play.limits import TAUGHT_SECONDS, TAUGHT_STEPS
from nnkit.recognising import Recogniser

Numbers = NDArray[Any]

LR, GROWTH = 0.0005, 1.02
"""The first step is small, and each is larger than the one before: as much as it takes."""

REHEARSED, DRAWN = 48, 16
"""Images of a step's batch: known ones, and drawings, each as often as it takes."""

KEPT = 5
"""States that can be gone back to."""


@dataclass(frozen=True)
class Lesson:
    """What a few steps changed."""

    steps: int
    before: tuple[int, ...]
    """The classes that the drawings were taken for."""
    after: tuple[int, ...]
    rehearsal: tuple[float, float] | None
    """The part of known images that is right, before and after; None where there are none."""


class Pupil:
    """A copy of a network, which learns.

    Parameters
    ----------
    recogniser
        The network as it was; it stays so.
    rehearsal
        Images (n, ...) as the network takes them, and labels, that it is not to forget.
    """

    def __init__(self, recogniser: Recogniser, rehearsal: Examples | None) -> None:
        self.recogniser = recogniser.having(lambda model: copy.deepcopy(model).eval())
        self._known = rehearsal
        self._before: deque[dict[str, Numbers]] = deque(maxlen=KEPT)

    def learn(self, images: Numbers, labels: Numbers, going: Callable[[], object]) -> Lesson:
        """Train until all drawings (n, ...) of bytes are right, or for as long as is allowed.

        `going` is called between steps, and raises what ends it.
        """
        model = self.recogniser.trainer.model
        self._before.append(model.state())
        x, optimizer, loss = self.recogniser.batch(images), Adam(LR), SoftmaxCrossEntropy()
        known_before, before = self._known_right(), self._answers(x)
        rng, end = np.random.default_rng(0), time.monotonic() + TAUGHT_SECONDS
        answers, steps = before, 0
        while (answers != labels).any() and steps < TAUGHT_STEPS and time.monotonic() < end:
            going()
            rows, wanted = self._batch(x, labels, rng)
            loss(model(rows), wanted)
            model.backward(loss.backward())
            optimizer.lr = LR * GROWTH**steps
            optimizer.step(model)
            answers, steps = self._answers(x), steps + 1
        known = None if known_before is None else (known_before, self._known_right() or 0.0)
        return Lesson(steps, tuple(before.tolist()), tuple(answers.tolist()), known)

    def undo(self) -> bool:
        """Have the weights from before the last lesson; whether there is one to go back behind."""
        if not self._before:
            return False
        self.recogniser.trainer.model.restore(self._before.pop())
        return True

    def _batch(self, x: Numbers, labels: Numbers, rng: np.random.Generator) -> Examples:
        """The drawings, and some of what is known."""
        times = -(-DRAWN // len(x))
        x, labels = np.concatenate([x] * times), np.concatenate([labels] * times)
        if self._known is None:
            return x, labels
        known, named = self._known
        rows = rng.integers(len(known), size=REHEARSED)
        chosen = known[rows].reshape(-1, *x.shape[1:])
        return np.concatenate([x, chosen]), np.concatenate([labels, named[rows]])

    def _answers(self, x: Numbers) -> Numbers:
        answers: Numbers = self.recogniser.trainer.predict_proba(x).argmax(axis=1)
        return answers

    def _known_right(self) -> float | None:
        if self._known is None:
            return None
        x, labels = self._known
        x = x.reshape(-1, *self.recogniser.taken)
        return float((self._answers(x) == labels).mean())
