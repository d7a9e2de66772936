"""Activations that graphs spell out, where ways part at x and meet again: SiLU, GELU, softsign."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from math import pi, sqrt
from typing import Any

from nnkit.layers import GELU, Layer, SiLU, Softplus, Softsign
from nnkit.onnx.flow import Flow
from nnkit.onnx.nodes import Node

X = "x"
Formula = Any
"""X, a number, or an operator with its arguments."""

COMMUTING = ("Add", "Mul")
NEAR = 1e-6
"""How near a number must be to that of a formula, relatively: it is of float32."""


def _half_of_x_times(gate: Formula) -> list[Formula]:
    return [
        ("Mul", ("Mul", X, gate), 0.5),
        ("Mul", ("Mul", X, 0.5), gate),
        ("Mul", X, ("Mul", gate, 0.5)),
    ]


ERF = ("Add", ("Erf", ("Div", X, sqrt(2))), 1.0)
CUBES = [("Pow", X, 3.0), ("Mul", X, ("Mul", X, X))]
TANHS = [
    ("Add", ("Tanh", ("Mul", ("Add", X, ("Mul", cube, 0.044715)), sqrt(2 / pi))), 1.0)
    for cube in CUBES
]
FORMULAS: list[tuple[Formula, Callable[[], Layer]]] = [
    (("Mul", X, ("Sigmoid", X)), SiLU),
    (("Div", X, ("Add", ("Abs", X), 1.0)), Softsign),
    (("Where", ("Greater", X, 20.0), X, ("Softplus", X)), Softplus),
    *((formula, GELU) for formula in _half_of_x_times(ERF)),
    *((each, lambda: GELU(True)) for tanh in TANHS for each in _half_of_x_times(tanh)),
]
"""As PyTorch writes them, where the operators have no name of their own."""


def find(flow: Flow, x: str, takers: list[Node], join: Node) -> tuple[Layer, list[Node]] | None:
    """The activation of a tensor that ends in a node, or right behind it, and its nodes."""
    for root in (join, *flow.takers.get(join.output, [])[:1]):
        for formula, layer in FORMULAS:
            nodes = _matched(flow, root.output, formula, x)
            if nodes and join in nodes and all(taker in nodes for taker in takers):
                return layer(), nodes
    return None


def _matched(flow: Flow, name: str, formula: Formula, x: str) -> list[Node] | None:
    """The nodes that a tensor is made by, if it is this formula of x; that of the tensor last."""
    if formula == X:
        return [] if flow.original(name) == x else None
    if isinstance(formula, float):
        array = flow.constants.get(name)
        if array is None or array.size != 1:
            return None
        return [] if abs(array.item() - formula) <= NEAR * formula else None
    operator, *arguments = formula
    node = flow.makers.get(name)
    if node is None or node.operator != operator or len(node.inputs) != len(arguments):
        return None
    for order in permutations(node.inputs) if operator in COMMUTING else [node.inputs]:
        pairs = zip(order, arguments, strict=True)
        found = [_matched(flow, given, argument, x) for given, argument in pairs]
        if None not in found:
            node.done()
            return [*dict.fromkeys(each for nodes in found for each in nodes or []), node]
    return None
