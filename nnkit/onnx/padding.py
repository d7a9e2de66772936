"""The padding of windows, which a graph says in numbers or leaves to a rule."""

from __future__ import annotations

from typing import Any

from nnkit.layers.shapes import is_open
from nnkit.layers.windows import same
from nnkit.onnx.nodes import Node

Pair = tuple[int, int]


def pair(node: Node, name: str, usual: Pair | None = None) -> Pair:
    """Take an attribute of two numbers out."""
    found = node.take(name, usual)
    if found is None or len(found) != 2:
        raise node.refused(f"its {name} must be two numbers, for images, not {found!r}")
    return (int(found[0]), int(found[1]))


def padding(
    node: Node, image: tuple[int, ...], size: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> Any:
    """What nnkit's layers take, on images (height, width): a pair, or "same".

    Raises ValueError where the two sides differ, but for what "same" is.
    """
    pads, auto = node.take("pads", (0, 0, 0, 0)), node.take("auto_pad", "NOTSET")
    same_size = same(size, dilation)
    if auto == "VALID":
        return (0, 0)
    if auto not in ("NOTSET", "SAME_UPPER", "SAME_LOWER"):
        raise node.refused(f"nnkit knows no auto_pad {auto!r}")
    if auto != "NOTSET":
        rule = same_size if stride == (1, 1) else _for_strides(node, image, size, stride, dilation)
        before, behind = rule if auto == "SAME_UPPER" else rule[::-1]
        pads = (*before, *behind)
    if len(pads) == 4 and pads[:2] == pads[2:]:
        return pads[:2]
    if stride == (1, 1) and pads == (*same_size[0], *same_size[1]):
        return "same"
    raise node.refused(
        f"padding {pads} ({auto}): nnkit's is the same on both sides; export it with such pads"
    )


def _for_strides(
    node: Node, image: tuple[int, ...], size: Pair, stride: Pair, dilation: Pair
) -> tuple[Pair, Pair]:
    """Padding before and behind for as many windows as strides lie on the image, rounded up."""
    if is_open(image):
        raise node.refused(
            "with strides its padding depends on the size of images, which is free: export it "
            "with a fixed size, or with pads"
        )
    whole = [0, 0]
    for i in (0, 1):
        reach = (size[i] - 1) * dilation[i] + 1
        whole[i] = max(0, (-(-image[i] // stride[i]) - 1) * stride[i] + reach - image[i])
    before = whole[0] // 2, whole[1] // 2
    return before, (whole[0] - before[0], whole[1] - before[1])
