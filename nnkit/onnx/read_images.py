"""Nodes of images: windows on them, and their axes."""

from __future__ import annotations

from dataclasses import replace

from nnkit.layers import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    GlobalAvgPool2d,
    MaxPool2d,
    Upsample2d,
)
from nnkit.onnx.nodes import Node
from nnkit.onnx.padding import padding, pair
from nnkit.onnx.reading import Reader, reads
from nnkit.onnx.values import Part, Value, add, as_images, as_pixels

KERNEL_TO_LAST = (2, 3, 1, 0)
"""How the axes of (out, in, height, width) become (height, width, in, out)."""


@reads("Conv")
def convolution(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Conv2d."""
    W, b = node.reals(1), None if node.constant(2) is None else node.reals(2)
    if W.ndim != 4:
        raise node.refused("nnkit has convolutions of images alone")
    x = as_images(x, parts, node)
    size = pair(node, "kernel_shape", W.shape[2:])
    dilation, stride = pair(node, "dilations", (1, 1)), pair(node, "strides", (1, 1))
    groups, around = node.take("group", 1), padding(node, x.shape[:2], size, stride, dilation)
    layer = Conv2d(
        *(W.shape[1] * groups, W.shape[0], W.shape[2:], stride, around),
        bias=b is not None,
        init=(kernels := W.transpose(KERNEL_TO_LAST)),
        groups=groups,
        dilation=dilation,
    )
    return add(x, parts, layer, weight=kernels, **({} if b is None else {"bias": b}))


@reads("ConvTranspose")
def transposed(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """ConvTranspose2d."""
    node.expect(auto_pad="NOTSET", group=1, dilations=(1, 1))
    W, b = node.reals(1), None if node.constant(2) is None else node.reals(2)
    pads = node.take("pads", (0, 0, 0, 0))
    if W.ndim != 4 or len(pads) != 4 or pads[:2] != pads[2:]:
        raise node.refused(f"of images, padded alike on both sides, nnkit has it alone, not {pads}")
    x, kernels = as_images(x, parts, node), W.transpose(KERNEL_TO_LAST)
    layer = ConvTranspose2d(
        *(W.shape[0], W.shape[1], pair(node, "kernel_shape", W.shape[2:])),
        *(pair(node, "strides", (1, 1)), pads[:2], pair(node, "output_padding", (0, 0))),
        bias=b is not None,
        init=kernels,
    )
    return add(x, parts, layer, weight=kernels, **({} if b is None else {"bias": b}))


@reads("MaxPool", "AveragePool")
def pooling(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """MaxPool2d or AvgPool2d."""
    node.expect(ceil_mode=0, dilations=(1, 1), storage_order=0)
    size = pair(node, "kernel_shape")
    stride = pair(node, "strides", (1, 1))
    x = as_pixels(as_images(x, parts, node), parts)
    around = padding(node, x.shape[:2], size, stride)
    if around == "same":
        raise node.refused("its padding is not the same on both sides, as nnkit's is")
    counts = node.take("count_include_pad", 0)
    if node.operator == "AveragePool" and any(around) and not counts:
        raise node.refused("padding is not counted; nnkit's AvgPool2d counts it, as zeros")
    cls = MaxPool2d if node.operator == "MaxPool" else AvgPool2d
    return add(x, parts, cls(size, stride, around))


@reads("GlobalAveragePool", "ReduceMean")
def global_average(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """GlobalAvgPool2d."""
    axes: tuple[int, ...] | None = (2, 3)
    keeps = True
    if node.operator == "ReduceMean":
        node.expect(noop_with_empty_axes=0)
        axes, keeps = node.integers(1, "axes"), bool(node.take("keepdims", 1))
    axes = tuple(sorted(axis % 4 for axis in axes or ()))
    if x.rank != 4 or x.pooled or axes not in ((1, 2), (2, 3)):
        raise node.refused("nnkit has the mean over height and width of images alone")
    if axes == (2, 3):
        x = as_images(x, parts, node)
    elif x.first or keeps:
        raise node.refused("nnkit has the mean over height and width of images alone")
    return replace(add(as_pixels(x, parts), parts, GlobalAvgPool2d()), first=False, pooled=keeps)


@reads("Resize", "Upsample")
def upsample(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """Upsample2d."""
    place = 1 if node.operator == "Upsample" else 2
    mode, places = node.take("mode", "nearest"), node.take("coordinate_transformation_mode")
    rounded = node.take("nearest_mode", "round_prefer_floor")
    for name in ("cubic_coeff_a", "exclude_outside", "extrapolation_value"):
        node.take(name)
    node.expect(antialias=0, keep_aspect_ratio_policy="stretch")
    scales = node.constant(place)
    exact = place == 1 or (places, rounded) == ("asymmetric", "floor")
    # With whole factors the centres of pixels have the same neighbours, however they are rounded.
    exact = exact or places in (None, "half_pixel", "pytorch_half_pixel")
    if mode != "nearest" or not exact or scales is None or scales.shape != (4,):
        raise node.refused("nnkit repeats pixels alone: mode 'nearest', with scales")
    if scales[:2].tolist() != [1, 1] or not (scales % 1 == 0).all() or not (scales >= 1).all():
        raise node.refused(f"nnkit repeats pixels whole times, not {scales.tolist()}")
    x = as_pixels(as_images(x, parts, node), parts)
    return add(x, parts, Upsample2d((int(scales[2]), int(scales[3]))))


@reads("Unsqueeze", "Squeeze")
def axis(reader: Reader, node: Node, x: Value, parts: list[Part]) -> Value:
    """No layer: the axis of a single channel, or those of a pixel, are not there in nnkit."""
    axes = node.integers(1, "axes")
    if node.operator == "Squeeze" and x.pooled and axes is not None:
        if sorted(each % 4 for each in axes) == [2, 3]:
            return replace(x, pooled=False)
    elif axes in ((1,), (-3,)) and len(x.shape) == 2 and x.first == (node.operator == "Squeeze"):
        return replace(x, first=not x.first)
    raise node.refused(f"nnkit has no layer for axes {axes} of shape {x.shape}")
