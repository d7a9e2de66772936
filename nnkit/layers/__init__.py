"""The layers, one idea a file."""

from nnkit.layers import activations
from nnkit.layers.activations import *
from nnkit.layers.base import Layer
from nnkit.layers.containers import Concat, Residual
from nnkit.layers.dropout import Dropout
from nnkit.layers.flatten import Flatten
from nnkit.layers.linear import Linear
from nnkit.layers.maxout import Maxout
from nnkit.layers.normalization import BatchNorm1d, LayerNorm
from nnkit.layers.prelu import PReLU
from nnkit.layers.sequential import Sequential
from nnkit.layers.softmax import LogSoftmax, Softmax

__all__ = [
    "BatchNorm1d",
    "Concat",
    "Dropout",
    "Flatten",
    "Layer",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "Maxout",
    "PReLU",
    "Residual",
    "Sequential",
    "Softmax",
]
__all__ += activations.__all__
