"""The networks of convolutions that are compared: what they are, and what a step of them costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from nnkit import models
from nnkit.backends import Backend
from nnkit.layers import (
    Conv2d,
    Flatten,
    Image,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from nnkit.optimizers import SGD, Adam, Optimizer

DIGITS, PHOTOS = (28, 28, 1), (32, 32, 3)
"""Images as MNIST's and as CIFAR-10's."""
Shape = tuple[int, ...]


def small_conv(image: tuple[int, int, int] = DIGITS, **options: Any) -> Sequential:
    """Two convolutions 3x3 with pooling, and two layers behind them; options as in `models`."""
    height, width, channels = image
    return Sequential(
        Image(*image),
        Conv2d(channels, 32, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        Conv2d(32, 64, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(height // 4 * (width // 4) * 64, 128),
        ReLU(),
        Linear(128, 10),
        **options,
    )


@dataclass(frozen=True)
class ConvNetwork:
    """A classifier of images, and how it is trained; the counterpart of `nnkit.bench.Network`.

    Its layers are those of the model. The peers read them, and have the same of their own.
    """

    name: str
    title: str
    make: Callable[..., Sequential]
    """Makes the model for images of a shape; options as in `nnkit.models`."""
    image: tuple[int, int, int]
    batch_size: int
    steps: int
    """Training steps that are timed together."""
    optimizer: Literal["SGD", "Adam"] = "Adam"
    lr: float = 1e-3

    @property
    def label(self) -> str:
        """Title, batch and optimizer, as a table's row begins."""
        return f"{self.title}, batch {self.batch_size}, {self.optimizer}"

    @property
    def flops(self) -> int:
        """Additions and multiplications in a step's products: forward, dW, and dx but the first."""
        first, *others = (
            2 * self.batch_size * places(layer, shape) * prod(layer.W.shape)
            for layer, shape in products(self.model("numpy").layers, self.image)
        )
        return 2 * first + 3 * sum(others)

    def model(
        self, backend: str | Backend | None = None, fuse: bool = True, seed: int = 0
    ) -> Sequential:
        """Build the model."""
        return self.make(self.image, seed=seed, backend=backend, fuse=fuse)

    def make_optimizer(self) -> Optimizer:
        """Make the optimizer, without momentum or weight decay."""
        return SGD(self.lr) if self.optimizer == "SGD" else Adam(self.lr)


def products(layers: Iterable[Layer], shape: Shape) -> Iterator[tuple[Conv2d | Linear, Shape]]:
    """Each convolution and linear layer, with the shape of one of its inputs."""
    for layer in layers:
        if isinstance(layer, Conv2d | Linear):
            yield layer, shape
        elif isinstance(layer, Sequential):
            yield from products(layer.layers, shape)
        elif isinstance(layer, Residual):
            yield from products(layer.layers, shape)
            yield from products([layer.shortcut] if layer.shortcut else [], shape)
        shape = layer.output_shape(shape)


def places(layer: Conv2d | Linear, shape: Shape) -> int:
    """How many rows its product has for one input of a shape."""
    return prod(layer.output_shape(shape)[:-1])


CONVOLUTIONAL = {
    network.name: network
    for network in (
        ConvNetwork("simple_conv", "5x5x30-100-10", models.simple_conv, DIGITS, 100, steps=100),
        ConvNetwork("lenet", "LeNet-5", models.lenet, DIGITS, 64, steps=200),
        ConvNetwork("small_conv", "3x3x32-3x3x64-128-10", small_conv, DIGITS, 128, steps=50),
        ConvNetwork("resnet20", "ResNet-20", models.resnet20, PHOTOS, 128, steps=5, lr=1e-4),
    )
}
"""ResNet-20 has a small learning rate. Adam's first steps take gradients that are nothing but
rounding for as large as others: at 1e-3 that parts the losses of exact implementations by 7e-4 in
four steps."""
