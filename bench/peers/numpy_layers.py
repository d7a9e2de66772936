"""The layers of rows as one writes them by hand in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Values = Iterator[np.ndarray[Any, Any]]


class Part:
    """A layer: `backward` keeps the gradients of its parameters, and returns the input's."""

    wanted = True
    """Whether anybody needs the input's gradient."""

    def __init__(self, layer: Any, values: Values) -> None:
        self.layer = layer
        self.parameters = [next(values).copy() for _ in layer.own_parameters()]
        self.gradients: list[np.ndarray] = []

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, dy: np.ndarray) -> Any:
        raise NotImplementedError


class Dense(Part):
    def forward(self, x: np.ndarray) -> np.ndarray:
        w, b = self.parameters
        self.x = x
        return x @ w + b

    def backward(self, dy: np.ndarray) -> Any:
        self.gradients = [self.x.T @ dy, dy.sum(axis=0)]
        return dy @ self.parameters[0].T if self.wanted else None


class Relu(Part):
    def forward(self, x: np.ndarray) -> np.ndarray:
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, dy: np.ndarray) -> Any:
        return dy * (self.y > 0)


class Shaped(Part):
    """Images of rows, or rows of images."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape = x.shape
        return x.reshape(len(x), *self.layer.output_shape(x.shape[1:]))

    def backward(self, dy: np.ndarray) -> Any:
        return dy.reshape(self.shape)
