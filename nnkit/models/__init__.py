"""Convolutional networks of the texts and papers, by name, for images of any size.

    >>> model = nnkit.models.lenet((8, 8, 1), classes=10, seed=0)
    >>> model = nnkit.models.MODELS["resnet20"]((32, 32, 3), seed=0)

Each takes the shape of one image, (height, width) or (height, width, channels), and the number of
classes; what else it is given goes to `nnkit.Sequential`: seed, dtype, backend, fuse. It begins
with an `nnkit.Image`, so that rows of pixels are as welcome as images, and ends in one logit for
each class, for `nnkit.SoftmaxCrossEntropy`. All weights before a ReLU are He's, unlike those of
some of the sources, which had no such choice yet.

Raises TypeError or ValueError for what is no image or number of classes, and ValueError for images
that are too small.
"""

from typing import TYPE_CHECKING, Any

from nnkit.given.missing import missing
from nnkit.models.deep_conv import deep_conv
from nnkit.models.lenet import lenet
from nnkit.models.resnet import resnet20
from nnkit.models.simple_conv import simple_conv
from nnkit.models.small_vgg import small_vgg
from nnkit.models.vgg import vgg

__all__ = ["MODELS", "deep_conv", "lenet", "resnet20", "simple_conv", "small_vgg", "vgg"]

MODELS = {each.__name__: each for each in (lenet, simple_conv, deep_conv, small_vgg, vgg, resnet20)}
"""The functions by their names, from small to large: what ``nnkit train --model`` offers."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
