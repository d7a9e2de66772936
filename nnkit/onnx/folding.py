"""What a graph computes of its constants: shapes for the most part, which are known ahead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnkit.onnx.nodes import Array, Node

FEW = 64
"""Numbers that a constant which is put together may have: shapes have as many as axes."""

GROWTH = 8
"""How many times the weights' memory what is computed of them may take: a Cast doubles it."""

LEAST_ROOM = 1 << 20
"""Bytes for constants of a graph without weights."""


def _gather(node: Node, data: Array, index: Array) -> Array:
    if data.ndim != 1 or node.take("axis", 0):
        raise node.refused("nnkit reads it of shapes alone")
    _check_few(node, index.size)
    return np.asarray(data[index])


def _concat(node: Node, *parts: Array) -> Array:
    _check_few(node, sum(part.size for part in parts))
    return np.concatenate(parts, node.take("axis"))


def _check_few(node: Node, size: int) -> None:
    if size > FEW:
        raise node.refused(f"it makes a constant of {size} numbers; nnkit computes shapes alone")


def _cast(node: Node, data: Array) -> Array:
    from onnx import helper

    dtype = helper.tensor_dtype_to_np_dtype(node.take("to"))
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused where used
        return data.astype(dtype, copy=False)


def _axes(node: Node, rest: tuple[Array, ...]) -> tuple[int, ...]:
    axes = node.take("axes")
    return tuple(axes if axes is not None else (int(each) for each in rest[0].reshape(-1)))


FOLDED: dict[str, Callable[..., Array]] = {
    "Identity": lambda node, x: x,
    "Cast": _cast,
    "Gather": _gather,
    "Unsqueeze": lambda node, x, *rest: np.expand_dims(x, _axes(node, rest)),
    "Squeeze": lambda node, x, *rest: np.squeeze(x, _axes(node, rest)),
    "Concat": _concat,
    "Transpose": lambda node, x: x.transpose(node.take("perm", range(x.ndim)[::-1])),
}
"""What is computed ahead, of constants alone."""


def folded(node: Node, given: list[Array], room: int) -> tuple[Array, int]:
    """The constant that a node makes of others, and how many bytes more ones may take.

    Raises ValueError where it takes more than `room`: a few bytes of a file could ask for any
    amount of memory.
    """
    made = FOLDED[node.operator](node, *given)
    if not any(np.may_share_memory(made, each) for each in given):
        room -= made.nbytes
    if room < 0:
        raise node.refused("the constants of the graph take far more memory than its weights")
    return made, room


def constant(node: Node) -> Array:
    """The value of a Constant node."""
    from onnx import numpy_helper

    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if (value := node.take(name)) is not None or (value := node.take(f"{name}s")) is not None:
            return np.array(value, dtype)
    value = node.take("value")
    if value is None or value.data_location:
        raise node.refused("it has no value that nnkit can read")
    return np.asarray(numpy_helper.to_array(value))
