"""Layers of images as nodes, which ONNX wants with their channels first."""

from __future__ import annotations

from typing import Any

from nnkit.layers import (
    AvgPool2d,
    BatchNorm2d,
    ChannelsLast,
    Conv2d,
    ConvTranspose2d,
    GlobalAvgPool2d,
    Image,
    Layer,
    MaxPool2d,
    Upsample2d,
)
from nnkit.layers.weighted import Weighted
from nnkit.onnx.graph import Graph, Tensor
from nnkit.onnx.rows import normalized
from nnkit.onnx.translating import translates

KERNEL_TO_FIRST = (3, 2, 0, 1)
"""How the axes of (height, width, in, out) become (out, in, height, width)."""


def _images(graph: Graph, x: Tensor) -> Tensor:
    """The same with its channels first; a matrix is an image of one channel."""
    if len(x.shape) == 2:
        name = graph.add("Unsqueeze", x.name, graph.integers("axes", (1,)))
        return Tensor(name, (*x.shape, 1), channels_first=True)
    return Tensor(graph.first(x), x.shape, channels_first=True)


def _made(graph: Graph, layer: Layer, x: Tensor, *node: str, **options: Any) -> Tensor:
    """Add the node of a layer that gives images."""
    return Tensor(graph.add(*node, **options), layer.output_shape(x.shape), channels_first=True)


def _weights(graph: Graph, layer: Weighted) -> list[str]:
    names = [graph.weight("weight", layer.W.to_numpy().transpose(KERNEL_TO_FIRST))]
    return names if layer.b is None else [*names, graph.weight("bias", layer.b.to_numpy())]


@translates(Conv2d)
def convolution(graph: Graph, layer: Conv2d, x: Tensor) -> Tensor:
    """Conv."""
    x = _images(graph, x)
    options = {
        "kernel_shape": layer.kernel_size,
        "strides": layer.stride,
        "pads": [size for side in layer.paddings for size in side],
        "dilations": layer.dilation,
        "group": layer.groups,
    }
    return _made(graph, layer, x, "Conv", x.name, *_weights(graph, layer), **options)


@translates(ConvTranspose2d)
def transposed(graph: Graph, layer: ConvTranspose2d, x: Tensor) -> Tensor:
    """ConvTranspose."""
    x = _images(graph, x)
    options = {
        "kernel_shape": layer.kernel_size,
        "strides": layer.stride,
        "pads": [*layer.padding, *layer.padding],
        "output_padding": layer.output_padding,
    }
    return _made(graph, layer, x, "ConvTranspose", x.name, *_weights(graph, layer), **options)


@translates(MaxPool2d)
def max_pool(graph: Graph, layer: MaxPool2d, x: Tensor) -> Tensor:
    """MaxPool."""
    return _made(graph, layer, x, "MaxPool", graph.first(x), **_windows(layer))


@translates(AvgPool2d)
def average_pool(graph: Graph, layer: AvgPool2d, x: Tensor) -> Tensor:
    """AveragePool, in which padding counts."""
    options = {**_windows(layer), "count_include_pad": 1}
    return _made(graph, layer, x, "AveragePool", graph.first(x), **options)


def _windows(layer: MaxPool2d | AvgPool2d) -> dict[str, Any]:
    pads = [*layer.padding, *layer.padding]
    return {"kernel_shape": layer.size, "strides": layer.stride, "pads": pads}


@translates(GlobalAvgPool2d)
def global_average(graph: Graph, layer: GlobalAvgPool2d, x: Tensor) -> Tensor:
    """ReduceMean over the pixels, wherever the channels lie."""
    axes = graph.integers("axes", (2, 3) if x.channels_first else (1, 2))
    return Tensor(graph.add("ReduceMean", x.name, axes, keepdims=0), layer.output_shape(x.shape))


@translates(Upsample2d)
def upsample(graph: Graph, layer: Upsample2d, x: Tensor) -> Tensor:
    """Resize to the nearest neighbour."""
    scales = graph.weight("scales", (1, 1, *layer.scale))
    options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _made(graph, layer, x, "Resize", graph.first(x), "", scales, mode="nearest", **options)


@translates(BatchNorm2d)
def batch_norm(graph: Graph, layer: BatchNorm2d, x: Tensor) -> Tensor:
    """BatchNormalization by the running averages."""
    images = _images(graph, x)
    y = images._replace(name=normalized(graph, layer, images.name))
    if len(x.shape) == 2:
        return x._replace(name=graph.add("Squeeze", y.name, graph.integers("axes", (1,))))
    return y


@translates(Image)
def image(graph: Graph, layer: Image, x: Tensor) -> Tensor:
    """Reshape, unless they are images already."""
    if len(x.shape) == 3:
        return x
    shape = graph.integers("shape", (0, *layer.input_shape))
    return Tensor(graph.add("Reshape", x.name, shape), layer.input_shape)


@translates(ChannelsLast)
def channels_last(graph: Graph, layer: ChannelsLast, x: Tensor) -> Tensor:
    """Nothing: images whose channels lie first are what the other nodes take."""
    return Tensor(graph.last(x), layer.output_shape(x.shape), channels_first=True)
