"""Nodes of rows of numbers: products, normalisation, and what makes rows of images."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from nnkit.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    Image,
    LayerNorm,
    Linear,
    Maxout,
)
from nnkit.layers.orders import channels_last
from nnkit.layers.shapes import is_open
from nnkit.onnx.nodes import Array, Node
from nnkit.onnx.read_elementwise import as_float
from nnkit.onnx.reading import Reader, reads
from nnkit.onnx.values import Part, Value, add, as_images


def _product(node: Node, x: Value, parts: list[Part], W: Array, b: Array | None) -> Value:
    if node.inputs[0] not in node.data or W.ndim != 2:
        raise node.refused("nnkit has x @ W alone, with a matrix W of weights")
    if len(x.shape) != 1 or x.pooled:
        raise node.refused(f"Linear takes rows of numbers, but is given shape {x.shape}")
    W = channels_last(W, x.channels)
    bias = {} if b is None else {"bias": np.broadcast_to(b, (1, W.shape[1]))[0]}
    x = replace(x, channels=1)
    return add(x, parts, Linear(len(W), W.shape[1], b is not None, W), weight=W, **bias)


@reads("Gemm")
def gemm(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Linear."""
    node.expect(transA=0)
    W = node.reals(1).T if node.take("transB", 0) else node.reals(1)
    beta = as_float(node.take("beta", 1))
    b = None if node.constant(2) is None else node.reals(2) * beta
    return _product(node, x, parts, W * as_float(node.take("alpha", 1)), b)


@reads("MatMul")
def matmul(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Linear without a bias, which an Add may bring."""
    return _product(node, x, parts, node.reals(1), None)


@reads("Add")
def bias(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """The bias of the layer in front of it."""
    last = parts[-1] if parts else None
    b = node.reals(0 if node.inputs[1] in node.data else 1)
    fits = b.shape[-3:] == (b.size, 1, 1) if x.first else b.shape in ((b.size,), (1, b.size))
    fits = fits or (b.size == 1 and b.ndim <= x.rank)
    if last is None or not fits or not isinstance(last.layer, Linear | Conv2d | ConvTranspose2d):
        raise node.refused("nnkit adds numbers behind Linear and convolutions alone")
    width = last.arrays["weight"].shape[2 if isinstance(last.layer, ConvTranspose2d) else -1]
    b = np.broadcast_to(b.reshape(-1), (width,)) + last.arrays.get("bias", 0)
    arguments = {name: getattr(last.layer, name) for name in last.layer.options} | {"bias": True}
    layer = type(last.layer)(**arguments, init=last.arrays["weight"])
    parts[-1] = Part(layer, {"weight": last.arrays["weight"], "bias": b})
    return x


@reads("BatchNormalization")
def batch_norm(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """BatchNorm1d of rows, BatchNorm2d of images."""
    node.expect(training_mode=0, spatial=1)
    eps, kept = node.take("epsilon", 1e-5), node.take("momentum", 0.9)
    momentum = round(1 - kept, 6) if 0 <= kept < 1 else 0.1
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: channels_last(node.reals(i), x.channels) for i, name in enumerate(names, 1)}
    if (arrays["running_var"] < 0).any():
        raise node.refused("a variance is negative")
    rows = len(x.shape) == 1 and not x.pooled
    x = x if rows else as_images(x, parts, node)
    cls = BatchNorm1d if rows else BatchNorm2d
    return add(x, parts, cls(arrays["weight"].size, as_float(eps), momentum), **arrays)


@reads("LayerNormalization")
def layer_norm(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """LayerNorm of rows."""
    node.expect(stash_type=1)
    if len(x.shape) != 1 or x.pooled or node.take("axis", -1) not in (-1, 1):
        raise node.refused("nnkit's LayerNorm is of rows of numbers")
    weight = channels_last(node.reals(1), x.channels)
    bias = channels_last(node.reals(2), x.channels) if node.constant(2) is not None else weight * 0
    layer = LayerNorm(weight.size, as_float(node.take("epsilon", 1e-5)))
    return add(x, parts, layer, weight=weight, bias=bias)


@reads("Flatten")
def flatten(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Flatten, of images with their channels first or last."""
    node.expect(axis=1)
    return flat(x, parts)


def flat(x: Value, parts: list[Part]) -> Value:
    """Rows of whatever it is."""
    if len(x.shape) == 1:
        return replace(x, pooled=False)
    pixels = x.first and len(x.shape) == 3 and (is_open(x.shape) or prod(x.shape[:2]) > 1)
    channels = x.shape[2] if pixels else 1
    return replace(add(x, parts, Flatten()), first=False, channels=channels)


@reads("Reshape")
def reshape(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Flatten, Image, or the pieces of Maxout."""
    node.take("allowzero")  # nobody has no numbers: a 0 is as many examples as there are
    n, *shape = node.integers(1) or (0,)
    all_of_them = (0, reader.flow.batch)
    size = None if is_open(x.shape) else prod(x.shape)
    whole = shape in ([-1], [size]) if n in all_of_them else n == -1 and shape == [size]
    if len(shape) == 1 and whole:
        return flat(x, parts)
    fits = n in (-1, *all_of_them) and min(shape, default=0) > 0 and prod(shape) == size
    if fits and len(shape) == 3 and not x.first and x.channels == 1 and not x.pooled:
        return add(x, parts, Image(*shape))
    if fits and len(shape) == 2 and parts and isinstance(parts[-1].layer, Linear):
        return _pieces(reader, node, x, parts, shape)
    raise node.refused(f"nnkit makes rows or images, not shape {(n, *shape)}, of {x.shape}")


def _pieces(reader: Reader, node: Node, x: Value, parts: list[Part], shape: list[int]) -> Value:
    """Maxout, in the place of the Linear in front of it; x has a Reshape and a ReduceMax behind."""
    takers = reader.flow.takers.get(node.output, [])
    if len(takers) != 1 or takers[0].operator != "ReduceMax":
        raise node.refused("nnkit makes a matrix of each row for Maxout alone, with ReduceMax")
    pieces, width = shape
    arrays = parts[-1].arrays
    parts.pop()
    layer = Maxout(len(arrays["weight"]), width, pieces)
    parts.append(Part(layer, {"bias": np.zeros(pieces * width), **arrays}))
    return replace(x, shape=(width,), pooled=False)


@reads("ReduceMax")
def largest(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """The end of Maxout."""
    node.expect(keepdims=0)
    if node.integers(1, "axes") not in ((1,), (-2,)) or not isinstance(parts[-1].layer, Maxout):
        raise node.refused("nnkit has the largest of the pieces of a Maxout alone")
    return x
