"""The activations as nodes: functions of single elements, softmax, and the learned slope."""

from __future__ import annotations

from collections.abc import Callable

from nnkit.kernels.table import SELU_ALPHA, SELU_SCALE
from nnkit.layers import Activation, LogSoftmax, PReLU, Softmax
from nnkit.onnx.graph import Graph, Tensor
from nnkit.onnx.translating import translates

Nodes = Callable[[Graph, str, float], str]


def _step(graph: Graph, x: str, alpha: float) -> str:
    from onnx import TensorProto

    above = graph.add("Greater", x, graph.weight("zero", 0.0))
    return graph.add("Cast", above, to=TensorProto.FLOAT)


ELEMENTWISE: dict[str, Nodes] = {
    "identity": lambda graph, x, alpha: x,
    "sigmoid": lambda graph, x, alpha: graph.add("Sigmoid", x),
    "tanh": lambda graph, x, alpha: graph.add("Tanh", x),
    "relu": lambda graph, x, alpha: graph.add("Relu", x),
    "step": _step,
    "leaky_relu": lambda graph, x, alpha: graph.add("LeakyRelu", x, alpha=alpha),
    "elu": lambda graph, x, alpha: graph.add("Elu", x, alpha=alpha),
    "selu": lambda graph, x, alpha: graph.add("Selu", x, alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "gelu": lambda graph, x, alpha: graph.add("Gelu", x),
    "gelu_tanh": lambda graph, x, alpha: graph.add("Gelu", x, approximate="tanh"),
    "softplus": lambda graph, x, alpha: graph.add("Softplus", x),
    "softsign": lambda graph, x, alpha: graph.add("Softsign", x),
    "silu": lambda graph, x, alpha: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "hard_sigmoid": lambda graph, x, alpha: graph.add("HardSigmoid", x, alpha=1 / 6, beta=0.5),
    "exponential": lambda graph, x, alpha: graph.add("Exp", x),
}
"""What a row of the table of activations becomes, of x and alpha."""


@translates(Activation)
def activation(graph: Graph, layer: Activation, x: Tensor) -> Tensor:
    """The nodes of its kind, wherever the channels lie."""
    return x._replace(name=ELEMENTWISE[layer.kind](graph, x.name, float(layer.alpha)))


@translates(Softmax)
def softmax(graph: Graph, layer: Softmax, x: Tensor) -> Tensor:
    """Softmax of the last axis."""
    return x._replace(name=graph.add("Softmax", x.name, axis=_last_axis(x)))


@translates(LogSoftmax)
def log_softmax(graph: Graph, layer: LogSoftmax, x: Tensor) -> Tensor:
    """LogSoftmax of the last axis."""
    return x._replace(name=graph.add("LogSoftmax", x.name, axis=_last_axis(x)))


def _last_axis(x: Tensor) -> int:
    return 1 if x.channels_first else -1


@translates(PReLU)
def prelu(graph: Graph, layer: PReLU, x: Tensor) -> Tensor:
    """PRelu; the slopes of channels lie along them."""
    slope = layer.weight.to_numpy()
    if x.channels_first and layer.features > 1:
        slope = slope.reshape(-1, 1, 1)
    return x._replace(name=graph.add("PRelu", x.name, graph.weight("weight", slope)))
