"""What a network of the playground looks like now: its answers, and those of its units."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit import activations
from nnkit.backends import get_backend
from nnkit.data.problems import GATES
from nnkit.layers import Sequential
from nnkit.losses import HingeLoss, Loss
from nnkit.play.playground import pictures
from nnkit.play.playground.settings import Settings
from nnkit.play.wire import Array
from nnkit.tracing import Trace

BOUNDED = ("sigmoid", "tanh", "softsign", "hard_sigmoid")
"""Activations that saturate."""
FLAT = 0.05
"""An answer of a unit is saturated where the derivative of its activation is smaller than this."""

Points = tuple[Array, Array]


class View:
    """Looks at a model through a copy of it, built once.

    `train` and `test` are the points x, t that it is trained on, and those held out.
    """

    def __init__(
        self, settings: Settings, model: Sequential, loss: Loss, train: Points, test: Points
    ) -> None:
        self.settings, self.model, self.loss = settings, model, loss
        self._backend = get_backend("numpy")
        self._trace = Trace(model)
        block = 2 + settings.batch_norm + bool(settings.dropout)
        starts = [block * i for i in range(len(settings.hidden) + 1)]
        self.linear = [*map(str, starts)]
        """Paths of the layers with weights."""
        self._given = [str(start + settings.batch_norm) for start in starts[:-1]]
        self._active = [str(start + settings.batch_norm + 1) for start in starts[:-1]]
        self._output = str(len(model) - 1)
        self.curved = settings.problem == "sine"
        self.plane = (-0.5, 1.5) if settings.problem in GATES else (-1.25, 1.25)
        """From where to where the pictures go, in both directions."""
        self._grid = pictures.line(*self.plane) if self.curved else pictures.plane(*self.plane)
        self._train, self._test = train, test

    def figures(self) -> dict[str, Any]:
        """Losses and accuracies (None for the sine) on the points, and on those held out."""
        self._trace.follow(self.model)
        x = np.concatenate([self._train[0], self._test[0]])
        with np.errstate(all="ignore"):
            return self._figures(self._trace.outputs(x, {self._output})[self._output])

    def frame(self) -> dict[str, Any]:
        """All there is to be seen, by the names that a frame has."""
        self._trace.follow(self.model)
        x = np.concatenate([self._grid, self._train[0], self._test[0]])
        n, m = len(self._grid), len(self._train[0])
        with np.errstate(all="ignore"):  # of what has diverged
            seen = self._trace.outputs(x, {*self._given, *self._active, self._output})
            answers = self._answers(seen[self._output])[:n, 0]
            found = self._figures(seen[self._output][n:])
            found["layers"] = self._layers([seen[path][n : n + m] for path in self._given])
            found |= {name: self._flat(name) for name in ("weights", "biases", "gradients")}
            if self.curved:
                found["curve"] = answers
            else:
                found["regions"] = pictures.regions(answers)
            of_units = pictures.curves if self.curved else pictures.images
            found["neurons"] = of_units([seen[path][:n] for path in self._active])
            found["boundaries"] = of_units([seen[path][:n] for path in self._given])
        return found

    def _figures(self, y: Array) -> dict[str, Any]:
        m = len(self._train[0])
        found: dict[str, float | None] = {}
        parts = (("", self._train[1], y[:m]), ("test_", self._test[1], y[m:]))
        for name, t, given in parts:
            log, counters = np.zeros((1, 2)), np.zeros(3, np.int64)
            wanted = self.loss.prepare(self._backend, t, given.shape, given.dtype)
            self.loss.measure(self._backend, given, wanted, np.empty_like(given), log, counters)
            found[f"{name}loss"] = float(log[0, 0])
            right = (self._answers(given)[:, 0] > 0.5) == t.reshape(-1)
            found[f"{name}accuracy"] = None if self.curved else float(right.mean())
        return found

    def _answers(self, y: Array) -> Array:
        """Probabilities of class 1, as far as the loss has such; of a sine its values."""
        if self.curved:
            return y
        y = (1 + y) / 2 if isinstance(self.loss, HingeLoss) else y
        answers: Array = self.loss.probabilities(self._backend, y).clip(0, 1)
        return answers

    def _layers(self, given: list[Array]) -> list[dict[str, Any]]:
        """Of each layer the sizes, root mean squares; of hidden ones what their units do."""
        found = [
            {
                "weight_size": _size(self._array(path, "weights")),
                "gradient_size": _size(self._array(path, "gradients")),
                "dead": None,
                "saturated": None,
            }
            for path in self.linear
        ]
        for layer, z in zip(found, given, strict=False):
            slope = np.abs(activations.derivative(self.settings.activation, z))
            layer["dead"] = float((slope == 0).all(axis=0).mean())
            if self.settings.activation in BOUNDED:
                layer["saturated"] = float((slope < FLAT).mean())
        return found

    def _flat(self, name: str) -> Array:
        return np.concatenate([self._array(path, name).reshape(-1) for path in self.linear])

    def _array(self, path: str, name: str) -> Array:
        """Weights, biases or gradients of the weights of a layer, on the host."""
        layer: Any = self.model[int(path)]
        parameter = layer.b if name == "biases" else layer.W
        array = parameter.grad if name == "gradients" else parameter.value
        return np.array(self.model.backend.to_numpy(array))


def _size(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
