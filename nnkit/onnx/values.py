"""What tensors of a graph are in nnkit, and what turns one into what a node takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nnkit.layers import ChannelsLast, Image, Layer
from nnkit.layers.shapes import is_open
from nnkit.onnx.flow import Turns
from nnkit.onnx.graph import TO_FIRST
from nnkit.onnx.nodes import Array, Node

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """What a tensor of the graph is in nnkit."""

    name: str
    shape: Shape
    """Of one example, as nnkit has it: images are (height, width, channels)."""
    first: bool = False
    """Whether the graph has the channels of images first."""
    channels: int = 1
    """Channels of the images that rows were made of with their channels first: nnkit's rows have
    them last, and what comes behind is put into that order."""
    pooled: bool = False
    """Whether the graph has rows as images of one pixel."""

    @property
    def rank(self) -> int:
        """Axes of the tensor in the graph."""
        if self.pooled or (self.first and len(self.shape) == 2):
            return 4
        return 1 + len(self.shape)


@dataclass
class Part:
    """A layer, and the arrays that belong into it."""

    layer: Layer
    arrays: dict[str, Array]


def turned(x: Value, turns: Turns, node: Node) -> tuple[Value, list[Layer]]:
    """The value behind Transposes, and what they are in nnkit: mostly nothing.

    One says of images that their channels lie first in the graph, or last. If they do lie last
    already, the first axis becomes the last.
    """
    layers: list[Layer] = []
    for order in turns:
        first = order == TO_FIRST
        if len(x.shape) != 3 or x.pooled or (first and x.first):
            raise node.refused("nnkit turns images alone, from channels first to last or back")
        if x.first == first:  # both last
            x, more = channels_first(x)
            layers += more
        x = replace(x, first=first)
    return x, layers


def as_images(x: Value, parts: list[Part], node: Node) -> Value:
    """The value as a node of images takes it, channels first; where they lie last, they are not."""
    if x.pooled or len(x.shape) < 2 or (len(x.shape) == 2 and not x.first):
        raise node.refused(f"it takes images, but is given shape {x.shape} for each example")
    last = parts[-1].layer if parts else None
    if not x.first and isinstance(last, Image) and last.height == 1:
        # Of one channel: whether it is first or last is the same.
        parts[-1] = Part(Image(last.width, last.channels), {})
        return replace(x, shape=(last.width, last.channels, 1), first=True)
    x, layers = channels_first(x)
    parts += [Part(layer, {}) for layer in layers]
    return x


def channels_first(x: Value) -> tuple[Value, list[Layer]]:
    """The value as images whose channels are the first axis, and the layer that sees to it."""
    if x.first:
        return x, []
    layer = ChannelsLast()
    return replace(x, shape=layer.output_shape(x.shape), first=True), [layer]


def as_pixels(x: Value, parts: list[Part]) -> Value:
    """The same, with an axis for the channel of matrices."""
    if len(x.shape) == 2 and not is_open(x.shape):
        parts.append(Part(Image(*x.shape), {}))
        return replace(x, shape=(*x.shape, 1))
    return x


def add(x: Value, parts: list[Part], layer: Layer, **arrays: Any) -> Value:
    """Add a layer; return what is behind it."""
    shape = layer.output_shape(x.shape)
    parts.append(Part(layer, arrays))
    return replace(x, shape=shape)
