"""The layers, one idea a file."""

from nnkit.layers.activations import Activation, Identity, ReLU, Sigmoid, Step, Tanh
from nnkit.layers.base import Layer, Workspace, as_input
from nnkit.layers.dropout import Dropout
from nnkit.layers.flatten import Flatten
from nnkit.layers.fused import LinearActivation, fuse
from nnkit.layers.linear import Linear
from nnkit.layers.softmax import Softmax

__all__ = [
    "Activation",
    "Dropout",
    "Flatten",
    "Identity",
    "Layer",
    "Linear",
    "LinearActivation",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Step",
    "Tanh",
    "Workspace",
    "as_input",
    "fuse",
]
