"""A graph as layers: one way after the other, and the layers around ways that part and meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nnkit.layers import Layer
from nnkit.onnx import read_gates
from nnkit.onnx.flow import Flow
from nnkit.onnx.meeting import met
from nnkit.onnx.nodes import Array, Node
from nnkit.onnx.values import Part, Value, turned

DEEPEST = 30
"""Ways inside ways: deeper models could not be saved, see `nnkit.files.plain.DEEPEST`."""

SHARED = "nodes that several ways go through, but not all, nnkit cannot express"


class Reader:
    """Makes layers of a graph; `arrays` has what belongs into them when they are in a model.

    `opset` is the version of the graph's operators.
    """

    def __init__(self, flow: Flow, opset: int) -> None:
        self.flow, self.opset = flow, opset
        self.scale: float | None = None
        """What the graph multiplies its input by."""
        self.arrays: dict[Layer, dict[str, Array]] = {}
        self._read: set[str] = set()
        self.depth = 0
        """How many ways that have parted and not met yet are read."""

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
        with node.named():
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
        name = next(name for name in node.data if self.flow.original(name) == x.name)
        x, layers = turned(x, self.flow.turned.get(name, ()), node)
        parts += [Part(layer, {}) for layer in layers]
        return x

    def _meet(self, x: Value, takers: list[Node], parts: list[Part]) -> Value:
        """Read the ways that part here, and the node where they meet."""
        end = takers[0].output
        for taker in takers[1:]:
            end = self.flow.meeting(end, taker.output)
        (node,) = (each for each in self.flow.nodes if each.output == end)
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
        self.depth += 1
        if self.depth > DEEPEST:
            raise node.refused(f"ways that part inside others, more than {DEEPEST} deep")
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
        self.depth -= 1
        with node.named():
            layer, value = met(node, ways, behind)
            shape = layer.output_shape(x.shape)
        node.done()
        parts.append(Part(layer, {}))
        return replace(value, name=end, shape=shape)


Operator = Callable[[Reader, Node, Value, list[Part]], Value]
OPERATORS: dict[str, Operator] = {}
"""What reads a node of each operator: it adds layers, and returns what is behind them."""


def reads(*names: str) -> Callable[[Operator], Operator]:
    """Have a function read the nodes of these operators."""

    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register
