"""Where the windows of a convolution or a pooling lie on an image, and how many there are."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

from nnkit.backends.contract import Window
from nnkit.configured import Configured

Pair = tuple[int, int]


def places(image: Pair, window: Window, below: Pair) -> Pair:
    """How many windows fit on an image (height, width) with so much padding below and right of it.

    Raises ValueError where none does.
    """
    padded = tuple(image[i] + window.padding[i] + below[i] for i in (0, 1))
    reach = tuple((window.size[i] - 1) * window.dilation[i] + 1 for i in (0, 1))
    if padded[0] < reach[0] or padded[1] < reach[1]:
        raise ValueError(
            f"a window of {reach[0]} x {reach[1]} is larger than the image, "
            f"{padded[0]} x {padded[1]} with its padding"
        )
    rows, columns = ((padded[i] - reach[i]) // window.stride[i] + 1 for i in (0, 1))
    return rows, columns


def same(size: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Padding (above, left) and (below, right) for as many windows as the image has pixels.

    An odd one goes below and to the right, as in PyTorch and TensorFlow.
    """
    height, width = ((size[i] - 1) * dilation[i] for i in (0, 1))
    before = height // 2, width // 2
    return before, (height - before[0], width - before[1])


def short(layer: Configured, without: tuple[str, ...] = ()) -> str:
    """The call that makes a layer, without what is as by default: "Conv2d(1, 6, 5, padding=2)"."""
    parts = []
    for name, parameter in signature(type(layer).__init__).parameters.items():
        if name not in layer.options or name in without:
            continue
        value = _one(getattr(layer, name))
        if parameter.default is Parameter.empty:
            parts.append(f"{value!r}")
        elif value != parameter.default:
            parts.append(f"{name}={value!r}")
    return f"{type(layer).__name__}({', '.join(parts)})"


def _one(value: Any) -> Any:
    """One number for a pair of equal ones."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
