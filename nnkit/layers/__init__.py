"""The layers, one idea a file."""

from nnkit.layers.activations import (
    ELU,
    GELU,
    SELU,
    Activation,
    Exponential,
    HardSigmoid,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Step,
    Swish,
    Tanh,
)
from nnkit.layers.base import Layer, as_input
from nnkit.layers.containers import Concat, Residual
from nnkit.layers.dropout import Dropout
from nnkit.layers.flatten import Flatten
from nnkit.layers.fused import LinearActivation
from nnkit.layers.linear import Linear
from nnkit.layers.maxout import Maxout
from nnkit.layers.normalization import BatchNorm1d, LayerNorm
from nnkit.layers.prelu import PReLU
from nnkit.layers.sequential import Sequential
from nnkit.layers.softmax import LogSoftmax, Softmax
from nnkit.layers.workspace import Workspace

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "BatchNorm1d",
    "Concat",
    "Dropout",
    "Exponential",
    "Flatten",
    "HardSigmoid",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LinearActivation",
    "LogSoftmax",
    "Maxout",
    "PReLU",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Step",
    "Swish",
    "Tanh",
    "Workspace",
    "as_input",
]
