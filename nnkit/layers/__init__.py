"""The layers, one idea a file."""

from nnkit.layers import activations
from nnkit.layers.activations import *
from nnkit.layers.base import Layer
from nnkit.layers.containers import Concat, Residual
from nnkit.layers.convolution import Conv2d
from nnkit.layers.dropout import Dropout, Dropout2d
from nnkit.layers.flatten import Flatten
from nnkit.layers.images import ChannelsLast, Image
from nnkit.layers.linear import Linear
from nnkit.layers.maxout import Maxout
from nnkit.layers.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from nnkit.layers.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d, Upsample2d
from nnkit.layers.prelu import PReLU
from nnkit.layers.sequential import Sequential
from nnkit.layers.softmax import LogSoftmax, Softmax
from nnkit.layers.transposed import ConvTranspose2d

__all__ = [
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "ChannelsLast",
    "Concat",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "GlobalAvgPool2d",
    "Image",
    "Layer",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Maxout",
    "PReLU",
    "Residual",
    "Sequential",
    "Softmax",
    "Upsample2d",
]
__all__ += activations.__all__
