"""Where ways through a graph meet: the layers around layers."""

from __future__ import annotations

from nnkit.layers import Concat, Identity, Layer, Residual, Sequential
from nnkit.onnx.nodes import Node
from nnkit.onnx.values import Value, channels_first


def met(node: Node, ways: list[list[Layer]], behind: list[Value]) -> tuple[Layer, Value]:
    """The layer of an Add or a Concat, of the layers on each way; and the value behind one."""
    if node.operator == "Add":
        return _residual(node, *_alike(ways, behind, any(value.first for value in behind)))
    axis = node.take("axis")
    first = axis in (1, -3) and behind[0].rank == 4 and not behind[0].pooled
    return _concat(node, axis, *_alike(ways, behind, first))


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
