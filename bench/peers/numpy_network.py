"""nnkit's layers in plain NumPy: which class has which, and how they follow each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.peers.numpy_images import Convolution, Largest, Mean, Normalized
from bench.peers.numpy_layers import Dense, Part, Relu, Shaped, Values
from nnkit import layers as ours
from nnkit.layers import Layer


def made(layers: Iterable[Layer], values: Values) -> list[Part]:
    """The same layers, which take copies of their parameters from `values` in order."""
    return [CLASSES[type(layer)](layer, values) for layer in layers]


class Chain(Part):
    """Layers one behind the other."""

    def __init__(self, layer: ours.Sequential, values: Values) -> None:
        self.inside = made(layer.layers, values)
        self.parameters = [p for part in self.inside for p in part.parameters]

    def forward(self, x: np.ndarray) -> np.ndarray:
        return forward(self.inside, x)

    def backward(self, dy: np.ndarray) -> Any:
        dx = backward(self.inside, dy)
        self.gradients = [g for part in self.inside for g in part.gradients]
        return dx


class Branches(Part):
    """``f(x) + shortcut(x)``."""

    def __init__(self, layer: ours.Residual, values: Values) -> None:
        self.through = made(layer.layers, values)
        self.around = made([] if layer.shortcut is None else [layer.shortcut], values)
        self.inside = [*self.through, *self.around]
        self.parameters = [p for part in self.inside for p in part.parameters]

    def forward(self, x: np.ndarray) -> np.ndarray:
        return forward(self.through, x) + forward(self.around, x)

    def backward(self, dy: np.ndarray) -> Any:
        dx = backward(self.through, dy) + backward(self.around, dy)
        self.gradients = [g for part in self.inside for g in part.gradients]
        return dx


def forward(parts: Iterable[Part], x: np.ndarray) -> np.ndarray:
    for part in parts:
        x = part.forward(x)
    return x


def backward(parts: Iterable[Part], dy: np.ndarray) -> np.ndarray:
    for part in reversed(list(parts)):
        dy = part.backward(dy)
    return dy


CLASSES: dict[type[Layer], type[Part]] = {
    ours.Image: Shaped,
    ours.Flatten: Shaped,
    ours.Conv2d: Convolution,
    ours.BatchNorm2d: Normalized,
    ours.ReLU: Relu,
    ours.MaxPool2d: Largest,
    ours.GlobalAvgPool2d: Mean,
    ours.Linear: Dense,
    ours.Residual: Branches,
    ours.Sequential: Chain,
}
