"""Activations that graphs spell out: x, and something made of it, which meet again."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

from nnkit.layers import GELU, Layer, SiLU, Softsign
from nnkit.onnx.flow import Flow
from nnkit.onnx.nodes import Node


class Gate(NamedTuple):
    """``x`` and what is made of it, joined."""

    join: str
    way: tuple[tuple[str, float | None], ...]
    """Operators between x and the meeting, each with its number, if it has one."""
    layer: Callable[[], Layer]
    factor: float = 1.0
    """What is multiplied by behind it."""


GATES = [
    Gate("Mul", (("Sigmoid", None),), SiLU),
    Gate("Div", (("Abs", None), ("Add", 1.0)), Softsign),
    Gate("Mul", (("Div", sqrt(2)), ("Erf", None), ("Add", 1.0)), GELU, 0.5),
]
"""SiLU; softsign and the exact GELU as PyTorch writes them where the operators have no name."""


def find(flow: Flow, x: str, takers: list[Node], join: Node) -> tuple[Layer, list[Node]] | None:
    """The activation of a tensor that a node ends, and the nodes that it is made of."""
    way: list[Node] = []
    behind = [taker for taker in takers if taker is not join]
    while len(behind) == 1 and behind[0] is not join:
        way += behind
        behind = flow.takers.get(way[-1].output, [])
    ends = [flow.original(name) for name in join.data]
    if not way or behind != [join] or ends not in ([x, way[-1].output], [way[-1].output, x]):
        return None
    for gate in GATES:
        numbered = [*zip(way, gate.way, strict=False)]
        same = len(way) == len(gate.way) and all(_is(node, each) for node, each in numbered)
        if not same or join.operator != gate.join or (gate.join == "Div" and ends[0] != x):
            continue
        nodes = [*way, join]
        if gate.factor != 1:
            nodes += flow.takers.get(join.output, [])
            if len(nodes) != len(way) + 2 or not _is(nodes[-1], ("Mul", gate.factor)):
                continue
        return gate.layer(), nodes
    return None


def _is(node: Node, wanted: tuple[str, float | None]) -> bool:
    operator, number = wanted
    if node.operator != operator or len(node.data) != 1:
        return False
    if number is None:
        return len(node.inputs) == 1
    index = 1 if operator == "Div" or node.inputs[0] in node.data else 0
    if len(node.inputs) != 2 or node.inputs[index] in node.data:
        return False
    found = node.reals(index)
    return found.size == 1 and abs(float(found.reshape(-1)[0]) - number) < 1e-6
