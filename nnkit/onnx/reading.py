"""A graph as layers: one way after the other, and the layers around ways that part and meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nnkit.layers import ChannelsLast, Concat, Identity, Image, Layer, Residual, Sequential
from nnkit.layers.shapes import is_open
from nnkit.onnx import read_gates
from nnkit.onnx.flow import Flow, Turns
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


SHARED = "nodes that several ways go through, but not all, nnkit cannot express"


class Reader:
    """Makes layers of a graph; `arrays` has what belongs into them when they are in a model."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.scale: float | None = None
        """What the graph multiplies its input by."""
        self.arrays: dict[Layer, dict[str, Array]] = {}
        self._read: set[str] = set()

    def way(self, x: Value, takers: list[Node], end: str) -> tuple[list[Layer], Value]:
        """The layers from a tensor, first by these nodes, to another."""
        parts: list[Part] = []
        while takers:
            node = takers[0]
            if len(takers) == 1 and len(node.data) == 1:
                x = self._one(node, self._seen(node, x, parts), parts)
            else:
                x = self._meet(x, takers, parts)
            takers = [] if x.name == end else self.flow.takers.get(x.name, [])
        self.arrays |= {part.layer: part.arrays for part in parts}
        return [part.layer for part in parts], x

    def _one(self, node: Node, x: Value, parts: list[Part]) -> Value:
        """Read a node that takes one tensor."""
        if node.operator not in OPERATORS:
            raise node.refused("nnkit has no layer that does this")
        self._once(node)
        behind = OPERATORS[node.operator](self, node, x, parts)
        node.done()
        return replace(behind, name=node.output)

    def _once(self, node: Node) -> None:
        if node.output in self._read:
            raise node.refused(SHARED)
        self._read.add(node.output)
        if any(name in self.flow.takers for name in node.others):
            raise node.refused("more than its first output is used")

    def _seen(self, node: Node, x: Value, parts: list[Part]) -> Value:
        """The value as a node takes it: turned, if it takes it from a Transpose."""
        (name,) = node.data
        x, layers = turned(x, self.flow.turned.get(name, ()), node)
        parts += [Part(layer, {}) for layer in layers]
        return x

    def _meet(self, x: Value, takers: list[Node], parts: list[Part]) -> Value:
        """Read the ways that part here, and the node where they meet."""
        met = takers[0].output
        for taker in takers[1:]:
            met = self.flow.meeting(met, taker.output)
        (node,) = (each for each in self.flow.nodes if each.output == met)
        if gate := read_gates.find(self.flow, x.name, takers, node):
            layer, nodes = gate
            for each in nodes:
                self._once(each)
            x = self._seen(nodes[0], x, parts)
            parts.append(Part(layer, {}))
            return replace(x, name=nodes[-1].output)
        self._once(node)
        if node.operator not in ("Add", "Concat"):
            raise node.refused("nnkit has no layer that does this with several tensors")
        ways, behind = [], []
        for name in node.data:
            goal = self.flow.original(name)
            mine = [] if goal == x.name else [t for t in takers if self.flow.leads(t.output, goal)]
            if goal != x.name and not mine:
                raise node.refused(SHARED)
            layers, value = self.way(x, mine, goal)
            value, more = turned(value, self.flow.turned.get(name, ()), node)
            behind.append(value)
            ways.append([*layers, *more])
        if node.operator == "Add":
            layer, value = _residual(node, *_alike(ways, behind, any(v.first for v in behind)))
        else:
            axis = node.take("axis")
            first = axis in (1, -3) and behind[0].rank == 4 and not behind[0].pooled
            layer, value = _concat(node, axis, *_alike(ways, behind, first))
        node.done()
        parts.append(Part(layer, {}))
        return replace(value, name=met, shape=layer.output_shape(x.shape))


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


def _alike(
    ways: list[list[Layer]], behind: list[Value], first: bool
) -> tuple[list[list[Layer]], list[Value]]:
    """Ways behind which images have their channels first, if they are to; see `ChannelsLast`."""
    if not first or any(len(value.shape) != 3 for value in behind):
        return ways, behind
    ends = [channels_first(value) for value in behind]
    return [[*way, *more] for way, (_, more) in zip(ways, ends, strict=True)], [x for x, _ in ends]


def _residual(node: Node, ways: list[list[Layer]], behind: list[Value]) -> tuple[Layer, Value]:
    one, other = behind
    if (one.first, one.channels, one.rank) != (other.first, other.channels, other.rank):
        raise node.refused("it adds numbers of two orders")
    f, around = sorted(ways, key=len, reverse=True)
    if not around:
        return Residual(*(f or [Identity()])), one
    return Residual(*f, shortcut=_as_one(around)), one


def _concat(
    node: Node, axis: int, ways: list[list[Layer]], behind: list[Value]
) -> tuple[Layer, Value]:
    value = behind[0]
    last = 1 if value.first or value.pooled else len(value.shape)
    if axis not in (last, last - value.rank):
        raise node.refused(f"nnkit joins channels or columns alone, not axis {axis}")
    if len({(each.first, each.rank) for each in behind}) > 1:
        raise node.refused("it joins numbers of two orders")
    if any(each.channels > 1 for each in behind):
        raise node.refused("it joins rows of images whose channels come first: flatten behind it")
    return Concat(*map(_as_one, ways)), value


def _as_one(layers: list[Layer]) -> Layer:
    if not layers:
        return Identity()
    return layers[0] if len(layers) == 1 else Sequential(*layers, backend="numpy", seed=0)


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


Operator = Callable[[Reader, Node, Value, list[Part]], Value]
OPERATORS: dict[str, Operator] = {}
"""What reads a node of each operator: it adds layers, and returns what is behind them."""


def reads(*names: str) -> Callable[[Operator], Operator]:
    """Have a function read the nodes of these operators."""

    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def add(x: Value, parts: list[Part], layer: Layer, **arrays: Any) -> Value:
    """Add a layer; return what is behind it."""
    shape = layer.output_shape(x.shape)
    parts.append(Part(layer, arrays))
    return replace(x, shape=shape)
