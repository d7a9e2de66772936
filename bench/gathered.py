"""The products of a training step alone: the yardstick of networks with convolutions, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bench.convolutional import ConvNetwork, Shape, products
from bench.networks import Trained
from nnkit.backends import Array, Backend
from nnkit.backends.contract import CaptureError
from nnkit.bench import matrix_products
from nnkit.layers import Conv2d, Linear


def step_products(network: Trained, backend: Backend) -> Callable[[int], None]:
    """Capture a step's products; returns a function that repeats them n times.

    A convolution's are three gathered products, y, dW and dx, the first one's without dx: the
    backend's own, into arrays of their full size, without bias, activation, pooling or sums.
    """
    if not isinstance(network, ConvNetwork):
        return matrix_products(network, backend)
    layers = products(network.model(backend).layers, network.image)
    calls = [
        call
        for i, (layer, shape) in enumerate(layers)
        for call in layer_products(backend, layer, (network.batch_size, *shape), first=i == 0)
    ]

    def multiply() -> None:
        for call in calls:
            call()

    multiply()
    try:
        return backend.capture(multiply)
    except CaptureError:
        return Backend.capture(backend, multiply)


def layer_products(
    backend: Backend, layer: Conv2d | Linear, shape: Shape, first: bool
) -> Iterator[Callable[[], object]]:
    """The products of one layer, for a batch of a shape."""
    rng = np.random.default_rng(0)

    def random(shape: Shape) -> Array:
        return backend.asarray(rng.random(shape, np.float32))

    x, w = random(shape), random(layer.W.shape)
    dy = random((shape[0], *layer.output_shape(shape[1:])))
    y, dw = backend.empty(dy.shape, np.float32), backend.empty(w.shape, np.float32)
    dx = None if first else backend.empty(x.shape, np.float32)
    if isinstance(layer, Linear):
        yield partial(backend.matmul, x, w, y)
        yield partial(backend.matmul, x.T, dy, dw)
        if dx is not None:
            yield partial(backend.matmul, dy, w.T, dx)
        return
    own = layer.window, layer.groups, None
    yield partial(backend.convolution, "identity", x, w, None, *own, y, None)
    yield partial(backend.convolution_backward, "identity", dy, x, w, *own, y, None, dw, None, dx)
