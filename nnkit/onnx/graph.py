"""The graph that is written: nodes, weights, and tensors whose channels may lie first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nnkit.reasons import importing

OPSET = 20
"""The first version of the operators that has Gelu, of 2023: onnxruntime 1.17 and later run it."""

IR_VERSION = 9
"""The version of the file format that came with it; a newer one older runtimes refuse."""

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""How the axes of (n, height, width, c) become (n, c, height, width), and the other way round."""

LARGEST = 2**31 - 2**20
"""Bytes of weights in one file, of which Protocol Buffers take 2 GiB at most."""


def need_onnx() -> None:
    """Raise ImportError, with the remedy, where the package onnx cannot be used."""
    with importing("onnx", "onnx", "ONNX files need the package onnx: pip install onnx"):
        pass


class Tensor(NamedTuple):
    """What a layer is given, or gives."""

    name: str
    shape: tuple[int, ...]
    """Of one example, as nnkit has it: images are (height, width, channels)."""
    channels_first: bool = False
    """Whether the graph has it as (n, channels, height, width): then nothing has turned it yet."""


class Graph:
    """Nodes and weights, each named by the layer that is translated, `path`."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.path = ""
        self._names: set[str] = set()
        self._turned: dict[tuple[str, tuple[int, ...]], str] = {}
        self._bytes = 0

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; return that tensor's name."""
        from onnx import helper

        name = self.named(operator)
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, values: Any) -> str:
        """Add a constant tensor of float32; return its name."""
        with np.errstate(over="ignore"):  # which is told of below
            array = np.asarray(values).astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(
                f"{self.path}.{name} holds what float32 cannot, NaN or infinity: has training "
                "diverged? Nothing is written"
            )
        return self._constant(name, array)

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a constant vector of int64, such as a shape or axes; return its name."""
        return self._constant(name, np.array(values, np.int64))

    def _constant(self, name: str, array: np.ndarray[Any, Any]) -> str:
        from onnx import numpy_helper

        self._bytes += array.nbytes
        if self._bytes > LARGEST:
            raise ValueError("an ONNX file has room for 2 GiB of weights, and the model has more")
        full = self.named(name)
        self.weights.append(numpy_helper.from_array(np.asarray(array, order="C"), full))
        return full

    def last(self, x: Tensor) -> str:
        """Name of the tensor as nnkit has it, an image's channels last."""
        return self._as(x.name, TO_LAST) if x.channels_first else x.name

    def first(self, x: Tensor) -> str:
        """Name of the tensor of images with their channels first."""
        return x.name if x.channels_first else self._as(x.name, TO_FIRST)

    def _as(self, name: str, order: tuple[int, ...]) -> str:
        """Turn a tensor of images; once, whoever needs it."""
        if (name, order) not in self._turned:
            turned = self.add("Transpose", name, perm=order)
            back = TO_LAST if order == TO_FIRST else TO_FIRST
            self._turned |= {(name, order): turned, (turned, back): name}
        return self._turned[name, order]

    def rename(self, old: str, new: str) -> None:
        """Have a tensor that a node makes go by another name."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new

    def named(self, name: str) -> str:
        """Make a name that nothing has."""
        full = f"{self.path}.{name}" if self.path else name
        number = 2
        unique = full
        while unique in self._names:
            unique, number = f"{full}.{number}", number + 1
        self._names.add(unique)
        return unique
