"""What happens in a network that is shown an image: for the page's pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.layers import (
    Activation,
    AvgPool2d,
    Conv2d,
    Layer,
    LayerNorm,
    Linear,
    LogSoftmax,
    MaxPool2d,
    PReLU,
    Residual,
    Sequential,
    Softmax,
)
from nnkit.layers.normalization import BatchNorm
from nnkit.play.limits import DRAWN_LAYERS, DRAWN_MAPS, DRAWN_SIDE, DRAWN_UNITS, LOUDEST
from nnkit.tracing import Scores, Trace

Numbers = NDArray[Any]
BEGIN = Linear, Conv2d, MaxPool2d, AvgPool2d
"""Layers with which a picture's part of the network begins."""

GO_ON = Activation, PReLU, BatchNorm, LayerNorm
"""Those that belong to the one before."""


@dataclass
class Part:
    """Neighbouring layers that are drawn as one: what is behind the last of them."""

    name: str
    """Such as "Conv2d, ReLU"."""
    first: str
    """The path of the first layer."""
    end: str
    """The path of the last one."""


def parts(model: Sequential) -> list[Part]:
    """A model's parts, those inside of containers too, in the order of computation."""
    return list(_parts(model, ""))


def _parts(outer: Layer, path: str) -> Iterator[Part]:
    part: Part | None = None
    for name, layer in outer.children():
        here = f"{path}.{name}" if path else name
        if isinstance(layer, GO_ON) and part is not None:
            part.name, part.end = f"{part.name}, {type(layer).__name__}", here
            continue
        if part is not None:
            yield part
        part = None
        if layer.children():
            yield from _parts(layer, here)
        if isinstance(layer, (*BEGIN, *GO_ON, Residual)):
            part = Part(type(layer).__name__, here, here)
    if part is not None:
        yield part


class Insight:
    """Pictures of what a network makes of an image.

    Parameters
    ----------
    model
        A model for images with an output for each class; copies of it are used.
    taken
        The shape in which it takes an image.
    shape
        The image's height and width.
    """

    def __init__(self, model: Sequential, taken: tuple[int, ...], shape: tuple[int, int]) -> None:
        self.shape, self._trace, self._scores = shape, Trace(model), Scores(model)
        self.parts = parts(model)
        self._begin, self._behind = _first_weights(model, self.parts)
        self._follow_weights(model)
        self.drawn = self.parts[:DRAWN_LAYERS]
        blank = np.zeros((1, *taken), np.uint8 if model.inputs.bytes_scaled else np.float32)
        seen = self._trace.outputs(blank, {part.end for part in self.drawn})
        self.sizes = [list(seen[part.end].shape[1:]) for part in self.drawn]

    def follow(self, model: Sequential) -> None:
        """Take over the values that the model has now."""
        self._trace.follow(model)
        self._scores.follow(model)
        self._follow_weights(model)

    def _follow_weights(self, model: Sequential) -> None:
        if self._begin is None:
            return
        layer = dict(model.walk())[self._begin.first]
        assert isinstance(layer, Linear | Conv2d)
        weights = model.backend.to_numpy(layer.W.value).astype(np.float32)
        linear = isinstance(layer, Linear)
        self._weights = weights.T.reshape(-1, *self.shape) if linear else _kernels(weights)
        if self._behind is not None:
            self._behind.follow(copy.deepcopy(model)[int(self._begin.end) + 1 :])

    def pictures(self, x: Numbers) -> dict[str, Any]:
        """Of a batch of one: the arrays and numbers of the message "pictures".

        "gradient" is that of the answer's score by the pixels, (height, width) float32; "layer<i>"
        what a part gives, (maps, height, width) or (units,); "weights" are those of the first
        layer's units or filters that did most for the answer, (k, height, width), the loudest
        first, and "loudest" their numbers and contributions: the sum of a * ds/da over a unit's
        outputs a, s being the answer's score.
        """
        seen = self._trace.outputs(x, {part.end for part in self.drawn})
        answer, gradient = self._scores.gradient(x)
        found: dict[str, Any] = {
            "label": answer,
            "gradient": gradient.reshape(self.shape).astype(np.float32),
        }
        for i, part in enumerate(self.drawn):
            found[f"layer{i}"] = _shown(seen[part.end][0])
        if self._begin is not None:
            found |= self._loudest(seen[self._begin.end], answer)
        return found

    def _loudest(self, outputs: Numbers, answer: int) -> dict[str, Any]:
        """The units of the first layer that did most for the answer."""
        if self._behind is None:  # they are the scores
            slope = np.zeros_like(outputs)
            slope[0, answer] = 1
        else:
            slope = self._behind.gradient(outputs, answer)[1]
        did = (outputs * slope)[0].astype(np.float64)
        did = did.reshape(-1, did.shape[-1]).sum(axis=0)
        order = np.argsort(-did, kind="stable")[:LOUDEST]
        return {
            "loudest": [[int(i), float(did[i])] for i in order],
            "weights": np.ascontiguousarray(self._weights[order]),
        }


def _first_weights(model: Sequential, found: list[Part]) -> tuple[Part | None, Scores | None]:
    """The part with which the network begins, where its weights can be drawn; what is behind it."""
    layers = dict(model.walk())
    begin = found[0] if found else None
    if begin is None or not isinstance(layers[begin.first], Linear | Conv2d) or "." in begin.first:
        return None, None
    start = int(begin.end) + 1
    if all(isinstance(layer, Softmax | LogSoftmax) for layer in model.layers[start:]):
        return begin, None
    return begin, Scores(copy.deepcopy(model)[start:])


def _kernels(weights: Numbers) -> Numbers:
    """Filters (filters, height, width) of (height, width, channels, filters), gray."""
    return np.ascontiguousarray(np.moveaxis(weights.mean(axis=2), 2, 0))


def _shown(outputs: Numbers) -> Numbers:
    """Outputs of one example as they are drawn: maps first, not too many and not too large."""
    if outputs.ndim != 3:
        return outputs.reshape(-1)[:DRAWN_UNITS].astype(np.float32)
    step = -(-max(outputs.shape[:2]) // DRAWN_SIDE)
    maps = np.moveaxis(outputs[::step, ::step, :DRAWN_MAPS], 2, 0)
    return np.ascontiguousarray(maps, np.float32)
