"""What happens inside a network that is given an example: for pictures, and for the page."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.backends import Array
from nnkit.layers import LogSoftmax, Sequential, Softmax

Numbers = NDArray[Any]


class Trace:
    """A copy of a model in evaluation mode, whose layers are carried out one by one.

    So each has an output, also where the model has several in one fused operation.
    """

    def __init__(self, model: Sequential) -> None:
        self._model = copy.deepcopy(model)
        self._model.fused = False
        self._model.to(self._model.backend).eval()
        self._seen: dict[str, Array] = {}
        for path, layer in self._model.walk():
            vars(layer)["forward"] = self._keeping(path, layer.forward)

    def outputs(self, x: Any, paths: Collection[str] | None = None) -> dict[str, Numbers]:
        """What the layers with these paths (None: all that have none inside) give for a batch x.

        On the host, by path, in the order in which they were computed.
        """
        if paths is None:
            paths = {path for path, layer in self._model.walk() if not layer.children()}
        self._seen.clear()
        self._model(x)
        to_numpy = self._model.backend.to_numpy
        return {path: to_numpy(y).copy() for path, y in self._seen.items() if path in paths}

    def follow(self, model: Sequential) -> None:
        """Take over the values that the model has now; it is still built as it was."""
        self._model.restore(model.state())

    def _keeping(self, path: str, forward: Callable[[Array], Array]) -> Callable[[Array], Array]:
        def kept(x: Array) -> Array:
            y = self._seen[path] = forward(x)
            return y

        return kept


class Scores:
    """A copy of a model for classes, in evaluation mode, and how its scores depend on its input.

    A score is what the network gives before softmax.
    """

    def __init__(self, model: Sequential) -> None:
        self._model = copy.deepcopy(model).eval()
        if len(self._model) > 1 and isinstance(self._model[-1], Softmax | LogSoftmax):
            self._model = self._model[:-1]

    def gradient(self, x: Any, label: int | None = None) -> tuple[int, Numbers]:
        """The class, and the gradient of its score by x, a batch of one, in the shape of x.

        `label` is the class's number; None: the network's answer. The gradient is that by what the
        first layer is given: of bytes, by pixels from 0 to 1. It is the saliency of K. Simonyan, A.
        Vedaldi and A. Zisserman, "Deep inside convolutional networks" (2013).

        Raises ValueError where the model has no score for each class, or not this class.
        """
        to_numpy = self._model.backend.to_numpy
        scores = to_numpy(self._model(x))
        if scores.ndim != 2:
            raise ValueError(
                f"the model gives outputs of shape {scores.shape[1:]}, and no score for each class"
            )
        classes = scores.shape[1]
        if label is not None and not 0 <= label < classes:
            raise ValueError(f"label must be a class from 0 to {classes - 1}, not {label}")
        answer = int(scores[0].argmax()) if label is None else int(label)
        dy = np.zeros(scores.shape, scores.dtype)
        dy[0, answer] = 1
        return answer, np.array(to_numpy(self._model.backward(dy)))

    def follow(self, model: Sequential) -> None:
        """Take over the values that the model has now; it is still built as it was."""
        state = model.state()
        self._model.restore({name: state[name] for name in self._model.state() if name in state})
