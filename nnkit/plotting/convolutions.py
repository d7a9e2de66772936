"""The convolutions of a model, and what their filters show of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.layers import Activation, Conv2d, Layer, PReLU, Residual, Sequential
from nnkit.layers.shapes import is_open
from nnkit.tracing import Trace

Maps = NDArray[np.float64]


def convolutions(model: Sequential) -> dict[str, Conv2d]:
    """All convolutions with their paths, such as "0" or "3.1", in order."""
    return {path: layer for path, layer in model.walk() if isinstance(layer, Conv2d)}


def chosen(model: Sequential, layer: str | int | None) -> dict[str, Conv2d]:
    """The convolution with this path, or all of them; raises ValueError where there is none."""
    found = convolutions(model)
    if not found:
        raise ValueError("the model has no Conv2d layer, whose filters could be drawn")
    if layer is None:
        return found
    if str(layer) not in found:
        listed = ", ".join(f"{path}: {convolution!r}" for path, convolution in found.items())
        raise ValueError(f"layer {layer} is no convolution; there are {listed}")
    return {str(layer): found[str(layer)]}


def activated(model: Sequential, shape: tuple[int, ...]) -> dict[str, str]:
    """For the path of each convolution, that of the layer behind which its maps are to be seen.

    It is the activation behind the convolution, if there is one before the size changes, else the
    convolution. `shape` is that of an image.
    """
    shapes = {path: there for path, _, there in model.shapes(shape) if there and not is_open(there)}
    ends = {path: path for path in convolutions(model)}
    for chain in _chains(model):
        for i, (path, layer) in enumerate(chain):
            if not isinstance(layer, Conv2d) or path not in shapes:
                continue
            for end, behind in chain[i + 1 :]:
                if isinstance(behind, Conv2d) or shapes.get(end) != shapes[path]:
                    break
                if isinstance(behind, Activation | PReLU):
                    ends[path] = end
                    break
    return ends


def _chains(model: Sequential) -> list[list[tuple[str, Layer]]]:
    """Layers, with their paths, of which each takes what the one before gives."""
    return [
        [(f"{path}.{name}" if path else name, layer) for name, layer in outer.children()]
        for path, outer in model.walk()
        if isinstance(outer, Sequential | Residual)
    ]


def outputs(model: Sequential, x: Any, paths: set[str]) -> dict[str, Maps]:
    """What the layers with these paths give for the first example of x, as float64."""
    seen = Trace(model).outputs(x, paths)
    return {path: y[0].astype(np.float64) for path, y in seen.items()}
