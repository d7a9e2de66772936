"""nnkit's layers as PyTorch's modules, with the same parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from nnkit import layers as ours
from nnkit.layers import Layer

Values = Iterator[np.ndarray[Any, Any]]
PLAIN: dict[type[Layer], Callable[[Any], nn.Module]] = {
    ours.ReLU: lambda layer: nn.ReLU(),
    ours.MaxPool2d: lambda layer: nn.MaxPool2d(layer.size, layer.stride),
    ours.GlobalAvgPool2d: lambda layer: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ours.BatchNorm2d: lambda layer: nn.BatchNorm2d(layer.num_features, layer.eps, layer.momentum),
}
"""Modules that are the same whatever lies before them."""


class Residual(nn.Module):
    """``y = f(x) + shortcut(x)``."""

    def __init__(self, through: nn.Module, around: nn.Module) -> None:
        super().__init__()
        self.through, self.around = through, around

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.through(x) + self.around(x)


class Permute(nn.Module):
    """Axes in another order; the memory stays as it is."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.axes)


class Builder:
    """Makes modules of layers, for images whose channels come first or last in memory."""

    def __init__(self, values: Values, channels_last: bool) -> None:
        self.values, self.channels_last = values, channels_last

    def sequence(self, layers: Iterable[Layer], shape: tuple[int, ...]) -> nn.Sequential:
        """All layers in order, for inputs of a shape in nnkit's order."""
        modules = []
        flattened: tuple[int, ...] = ()
        for layer in layers:
            if isinstance(layer, ours.Linear):
                modules.append(self.linear(layer, flattened))
            else:
                modules.append(self.module(layer, shape))
            flattened = shape if isinstance(layer, ours.Flatten) else ()
            shape = layer.output_shape(shape)
        return nn.Sequential(*modules)

    def module(self, layer: Layer, shape: tuple[int, ...]) -> nn.Module:
        """One layer that is not linear."""
        match layer:
            case ours.Image():
                return Permute(0, 3, 1, 2) if self.channels_last else nn.Identity()
            case ours.Conv2d():
                return self.convolution(layer)
            case ours.Flatten():
                in_order = [Permute(0, 2, 3, 1)] if self.channels_last else []
                return nn.Sequential(*in_order, nn.Flatten())
            case ours.Residual():
                around = [] if layer.shortcut is None else [layer.shortcut]
                return Residual(self.sequence(layer.layers, shape), self.sequence(around, shape))
            case ours.Sequential():
                return self.sequence(layer.layers, shape)
        return self.given(PLAIN[type(layer)](layer))

    def convolution(self, layer: ours.Conv2d) -> nn.Module:
        """Kernels (height, width, in, out) as (out, in, height, width)."""
        sizes = layer.in_channels, layer.out_channels, layer.kernel_size
        same = nn.Conv2d(*sizes, layer.stride, layer.padding, bias=layer.bias)
        return self.given(same, lambda w: w.transpose(3, 2, 0, 1))

    def linear(self, layer: ours.Linear, image: tuple[int, ...]) -> nn.Module:
        """W.T, whose columns are in the order in which an image was flattened, if one was."""
        w = next(self.values)
        if image and not self.channels_last:
            w = w.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(w.shape)
        self.values = iter([w, *self.values])
        return self.given(nn.Linear(*w.shape, bias=layer.bias), np.transpose)

    def given(self, module: nn.Module, turn: Any = np.asarray) -> nn.Module:
        """The module with the next values, its weight's turned the way that PyTorch has it."""
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                value = next(self.values)
                parameter.copy_(torch.from_numpy(turn(value) if name == "weight" else value))
        return module


def in_order(first: Layer, x: np.ndarray[Any, Any], channels_last: bool) -> np.ndarray[Any, Any]:
    """Rows of numbers as the modules take them: as images where the first layer makes such."""
    if not isinstance(first, ours.Image):
        return x
    images = x.reshape(-1, *first.input_shape)
    return images if channels_last else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
