"""How PyTorch has the weights of layers: axes turned, images with their channels first."""

from __future__ import annotations

from collections.abc import Callable

from nnkit.layers.base import Layer
from nnkit.layers.convolution import Conv2d
from nnkit.layers.linear import Linear
from nnkit.layers.maxout import Maxout
from nnkit.layers.normalization import BatchNorm, BatchNorm1d, LayerNorm
from nnkit.layers.orders import Orders, channels_first, channels_last
from nnkit.layers.own_arrays import Array, Own
from nnkit.layers.prelu import PReLU
from nnkit.layers.transposed import ConvTranspose2d

COUNT = "num_batches_tracked"
"""What batch normalisation has there besides, and nnkit does not need."""


def turned(layer: Layer, own: Own, orders: Orders) -> Own:
    """A layer's arrays as PyTorch has them."""
    into, out = orders.get(layer, (1, 1))
    if isinstance(layer, Conv2d | ConvTranspose2d):
        return own | {"weight": own["weight"].transpose(3, 2, 0, 1)}
    if isinstance(layer, Linear | Maxout):
        own = _along_rows(own, channels_first, into, out)
        return own | {"weight": own["weight"].T}
    if isinstance(layer, BatchNorm1d | LayerNorm | PReLU):
        own = {name: channels_first(array, max(into, out)) for name, array in own.items()}
    return own


def turned_back(layer: Layer, own: Own, orders: Orders) -> Own:
    """Arrays that PyTorch has as the layer has them."""
    into, out = orders.get(layer, (1, 1))
    if isinstance(layer, Conv2d | ConvTranspose2d):
        return own | {"weight": own["weight"].transpose(2, 3, 1, 0)}
    if isinstance(layer, Linear | Maxout):
        return _along_rows(own | {"weight": own["weight"].T}, channels_last, into, out)
    if isinstance(layer, BatchNorm1d | LayerNorm | PReLU):
        own = {name: channels_last(array, max(into, out)) for name, array in own.items()}
    return own


def _along_rows(own: Own, order: Callable[[Array, int, int], Array], into: int, out: int) -> Own:
    """Put inputs and outputs of a product into another order."""
    changed = {"weight": order(order(own["weight"], into, 0), out, 1)}
    if "bias" in own:
        changed["bias"] = order(own["bias"], out, 0)
    return own | changed


def counted(layer: Layer) -> bool:
    """Whether PyTorch counts the batches of such a layer."""
    return isinstance(layer, BatchNorm)
