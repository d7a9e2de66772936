"""How tensors flow through a graph: from one fork to where the ways meet again."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.onnx.folding import FOLDED, GROWTH, LEAST_ROOM, constant, folded
from nnkit.onnx.graph import TO_FIRST, TO_LAST
from nnkit.onnx.nodes import Node, constants_of

Turns = tuple[tuple[int, ...], ...]
"""Orders of axes, as Transpose has them, one after the other."""


BATCH = np.array([0])
"""What is known of a shape ahead: that there are as many examples as there are, which is 0 to
Reshape."""


class Flow:
    """The nodes of a graph that lie between its input and its output, constants computed.

    Turning images only says where the channels lie: the tensor before and behind a Transpose are
    one here, and who takes it from behind is in `turned`.
    """

    def __init__(self, graph: Any, start: str, end: str, batch: int) -> None:
        self.constants = constants_of(graph)
        weights = sum(array.nbytes for array in self.constants.values())
        self._room = LEAST_ROOM + GROWTH * weights
        self.batch = batch
        """How many examples the graph was made for; 0: any number."""
        self._same: dict[str, str] = {}
        self.turned: dict[str, Turns] = {}
        """How the axes of a tensor's original are turned, for those that a Transpose makes."""
        self.nodes: list[Node] = []
        self.last_turn: Node
        """The last Transpose."""
        self.makers: dict[str, Node] = {}
        """The node that each tensor is made by."""
        known = {start}
        for proto in graph.node:
            node = Node(proto, self.constants)
            if unknown := [name for name in node.data if name not in known]:
                raise node.refused(f"{unknown[0]!r} is made by no node before it")
            if not self._folded(node):
                known |= {node.output, *node.others}
        self.end = self.original(end)
        self.end_turns = self.turned.get(end, ())
        self.takers: dict[str, list[Node]] = {}
        self._find_meetings()

    def original(self, name: str) -> str:
        """The tensor of which this one is another view."""
        return self._same.get(name, name)

    def _folded(self, node: Node) -> bool:
        """Keep a node, unless it makes a constant, which is kept then."""
        if node.operator == "Constant":
            self.constants[node.output] = value = constant(node)
            self._room += GROWTH * value.nbytes
        elif node.operator == "Shape":
            self.constants[node.output] = BATCH
        elif node.operator in FOLDED and not node.data:
            given = [self.constants[name] for name in node.inputs if name]
            self.constants[node.output], self._room = folded(node, given, self._room)
        else:
            if node.operator == "Transpose":
                self._turn(node)
            else:
                self.nodes.append(node)
                self.makers[node.output] = node
            return False
        return True

    def _turn(self, node: Node) -> None:
        (x,) = node.data
        order, turns = node.take("perm"), self.turned.get(x, ())
        if order not in (TO_FIRST, TO_LAST):
            raise node.refused("nnkit turns images alone, from channels first to last or back")
        back = TO_LAST if order == TO_FIRST else TO_FIRST
        self._same[node.output] = self.original(x)
        self.turned[node.output] = turns[:-1] if turns[-1:] == (back,) else (*turns, order)
        self.last_turn = node

    def _find_meetings(self) -> None:
        """Know for each tensor where all ways from it meet first, the later ones first."""
        self._meeting: dict[str, str] = {}
        self._depth = {self.end: 0}
        used = []
        for node in reversed(self.nodes):
            if node.output not in self._depth:
                continue  # nothing that the output needs
            used.append(node)
            for name in dict.fromkeys(map(self.original, node.data)):
                if name == self.end:
                    raise node.refused("it takes what is the output")
                self.takers.setdefault(name, []).insert(0, node)
                met = self.meeting(self._meeting.get(name, node.output), node.output)
                self._meeting[name], self._depth[name] = met, self._depth[met] + 1
        self.nodes = used[::-1]

    def meeting(self, first: str, other: str) -> str:
        """The first tensor that all ways from these two go through."""
        while first != other:
            if self._depth[first] > self._depth[other]:
                first = self._meeting[first]
            else:
                other = self._meeting[other]
        return first

    def leads(self, name: str, goal: str) -> bool:
        """Whether all ways from a tensor go through another."""
        while self._depth[name] > self._depth[goal]:
            name = self._meeting[name]
        return name == goal
