"""The nodes of a graph as they stand in a file, and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnkit.dtypes import is_real

Array = np.ndarray[Any, Any]

LEAST_OPSET = 9
"""Operators were changed in ways that matter before it."""


class NodeError(ValueError):
    """A node that cannot be read; the message names it."""


class Node:
    """A node: its operator, the names of its tensors, and its attributes, which are taken out."""

    def __init__(self, proto: Any, constants: dict[str, Array]) -> None:
        from onnx import helper

        self.operator: str = proto.op_type
        self.where = f"node {proto.name or proto.output[0]!r} ({proto.op_type})"
        if proto.domain not in ("", "ai.onnx"):
            raise ValueError(f"{self.where}: nnkit knows no operators of {proto.domain!r}")
        self.inputs: list[str] = [*proto.input]
        self.output: str = proto.output[0]
        self.others: list[str] = [name for name in proto.output[1:] if name]
        self.data = [name for name in self.inputs if name and name not in constants]
        """Inputs that are no constants."""
        self._constants = constants
        self._attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}

    def take(self, name: str, default: Any = None) -> Any:
        """Take an attribute out: text as str, lists as tuples."""
        value = self._attributes.pop(name, default)
        if isinstance(value, bytes):
            return value.decode()
        return tuple(value) if isinstance(value, list) else value

    def peek(self, name: str) -> Any:
        """An attribute as it is, which stays."""
        return self._attributes.get(name)

    def expect(self, **usual: Any) -> None:
        """Raise ValueError for an attribute that is not as usual."""
        for name, value in usual.items():
            if (found := self.take(name, value)) != value:
                raise self.refused(f"{name} is {found!r}; nnkit reads {value!r} alone")

    def constant(self, index: int) -> Array | None:
        """The constant that is an input; None where there is none."""
        name = self.inputs[index] if index < len(self.inputs) else ""
        if name and name not in self._constants:
            raise self.refused("an input that is computed, where nnkit has weights")
        return self._constants[name] if name else None

    def reals(self, index: int) -> Array:
        """The constant of finite numbers that is an input."""
        array = self.constant(index)
        if array is None or not is_real(array.dtype):
            raise self.refused(f"input {index} holds no real numbers")
        with np.errstate(invalid="ignore"):  # a NaN of some kinds warns when it is converted
            finite = np.isfinite(array.astype(np.float64)).all()
        if not finite:
            raise self.refused(f"input {index} holds NaN or infinity")
        return array

    def integers(self, index: int, attribute: str = "") -> tuple[int, ...] | None:
        """Whole numbers: an attribute, as in older files, or a constant input; None: neither."""
        if attribute and (value := self.take(attribute)) is not None:
            return tuple(value) if isinstance(value, tuple) else (value,)
        array = self.constant(index)
        return None if array is None else tuple(int(each) for each in array.reshape(-1))

    def done(self) -> None:
        """Raise ValueError for an attribute that nobody has taken."""
        if self._attributes:
            raise self.refused(f"nnkit does not know its {min(self._attributes)}")

    @contextmanager
    def named(self) -> Iterator[None]:
        """Have a ValueError of the block, as of a layer that cannot be made, name the node."""
        try:
            yield
        except NodeError:
            raise
        except ValueError as error:
            raise self.refused(str(error)) from None

    def refused(self, why: str) -> NodeError:
        """The error for a node that cannot be read."""
        return NodeError(f"{self.where}: {why}")


def constants_of(graph: Any) -> dict[str, Array]:
    """The weights of a graph, by name."""
    from onnx import numpy_helper

    if graph.sparse_initializer:
        raise ValueError("it has sparse weights")
    found = {}
    for tensor in graph.initializer:
        found[tensor.name] = numpy_helper.to_array(tensor)
    return found
