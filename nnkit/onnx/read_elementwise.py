"""Nodes that are activations, or nothing in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnkit.kernels.table import SELU_ALPHA, SELU_SCALE
from nnkit.layers import (
    ELU,
    GELU,
    SELU,
    Exponential,
    HardSigmoid,
    Layer,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    Step,
    Tanh,
)
from nnkit.layers.orders import channels_last
from nnkit.onnx.nodes import Node
from nnkit.onnx.reading import Reader, reads
from nnkit.onnx.values import Part, Value, add, as_images

PLAIN: dict[str, Callable[[], Layer]] = {
    "Exp": Exponential,
    "Relu": ReLU,
    "Sigmoid": Sigmoid,
    "Softplus": Softplus,
    "Softsign": Softsign,
    "Tanh": Tanh,
}
FLOATS = (1, 10, 11, 16)
"""float32, float16, float64 and bfloat16, by their numbers in `onnx.TensorProto`."""

SAME = 1e-4
"""How near numbers of an attribute, which are float32 or were rounded, must be to the layer's."""


@reads(*PLAIN)
def plain(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """An activation without options."""
    return add(x, parts, PLAIN[node.operator]())


@reads("Elu", "LeakyRelu")
def with_alpha(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """An activation with a number."""
    cls, usual = (ELU, 1.0) if node.operator == "Elu" else (LeakyReLU, 0.01)
    return add(x, parts, cls(as_float(node.take("alpha", usual))))


@reads("Gelu")
def gelu(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """GELU in either form."""
    return add(x, parts, GELU(node.take("approximate", "none") == "tanh"))


@reads("Selu", "HardSigmoid")
def with_usual_numbers(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """An activation whose numbers are fixed in nnkit."""
    selu = node.operator == "Selu"
    usual = {"alpha": SELU_ALPHA, "gamma": SELU_SCALE} if selu else {"alpha": 1 / 6, "beta": 0.5}
    left_out = usual if selu else {"alpha": 0.2, "beta": 0.5}
    for name, value in usual.items():
        found = node.take(name, left_out[name])
        if abs(found - value) > SAME:
            raise node.refused(
                f"{name} is {as_float(found)}, but nnkit's {node.operator} has {value}"
            )
    return add(x, parts, SELU() if selu else HardSigmoid())


@reads("PRelu")
def prelu(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """PReLU of one slope, or of one for each column or channel."""
    slopes = node.reals(1)
    if slopes.size == 1:
        return add(x, parts, PReLU(), weight=slopes.reshape(1))
    if slopes.shape[-3:] == (slopes.size, 1, 1):
        x = as_images(x, parts, node)
    elif x.first or slopes.shape[-1] != slopes.size:
        raise node.refused(f"slopes of shape {slopes.shape}; nnkit has one for each channel")
    return add(x, parts, PReLU(slopes.size), weight=channels_last(slopes.reshape(-1), x.channels))


@reads("Softmax", "LogSoftmax")
def softmax(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Softmax along channels or columns.

    Before opset 13 it is of all numbers from an axis on, which is the same for the last one.
    """
    old = reader.opset < 13
    axis = node.take("axis", 1 if old else -1)
    if old and axis % x.rank != x.rank - 1 and not x.pooled:
        raise node.refused(
            f"before opset 13 it is of all axes from {axis} on, and nnkit's of the channels of "
            "each pixel"
        )
    if axis in (1, -3) and len(x.shape) == 3:
        x = as_images(x, parts, node)
    last = 1 if x.first or x.pooled else len(x.shape)
    if axis not in (last, last - x.rank):
        raise node.refused(f"nnkit's is along channels or columns, not axis {axis}")
    return add(x, parts, Softmax() if node.operator == "Softmax" else LogSoftmax())


@reads("Greater")
def step(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Step, if it is of x and 0."""
    if node.inputs[0] not in node.data or node.reals(1).any():
        raise node.refused("nnkit has x > 0 alone")
    return add(x, parts, Step())


@reads("Cast")
def real(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """No layer: numbers are real from the beginning, also those of Greater, which are 0 and 1."""
    from onnx import TensorProto

    node.take("saturate")
    to = node.take("to")
    step = bool(parts) and isinstance(parts[-1].layer, Step)
    if to not in FLOATS and not (step and to == TensorProto.BOOL):
        name = TensorProto.DataType.Name(to).lower()
        raise node.refused(f"it makes numbers {name}, and all of nnkit's are real")
    return x


@reads("Identity", "Dropout")
def nothing(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """No layer: nothing is left out once a model is trained."""
    for name in ("ratio", "seed"):
        node.take(name)
    return x


@reads("Mul", "Div")
def scaled(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """What inputs are multiplied by, which is no layer but kept with the model."""
    number = next((value for i in (0, 1) if (value := _number(node, i)) is not None), None)
    divides = node.operator == "Div"
    if number is None or parts or reader.depth or reader.scale is not None:
        raise node.refused("nnkit multiplies the input alone, by one number")
    if divides and node.inputs[0] not in node.data:
        raise node.refused("it divides by its input; nnkit multiplies that, by one number")
    reader.scale = 1 / number if divides else number
    return x


def _number(node: Node, index: int) -> float | None:
    if node.inputs[index] in node.data:
        return None
    array = node.reals(index)
    return float(array.reshape(-1)[0]) if array.size == 1 and array.any() else None


def as_float(number: float) -> float:
    """The decimal number that a float32 attribute was written as: 0.01, not 0.009999999776."""
    return float(str(np.float32(number)))
