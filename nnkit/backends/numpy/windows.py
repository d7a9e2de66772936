"""The windows of images that the places of an output see."""

from __future__ import annotations

from collections.abc import Iterator

from nnkit.backends.contract import Window

Part = tuple[slice, ...]


def taps(
    image: tuple[int, ...], window: Window, places: tuple[int, ...]
) -> Iterator[tuple[tuple[int, int], Part, Part]]:
    """For each element (p, q) of a window: a part of the output, and that of the image it sees.

    `image` and `places` are (height, width) of the image and of the output. The parts are of arrays
    (n, height, width, ...) and of one size; what is outside the image is left out.
    """
    for p in range(window.size[0]):
        for q in range(window.size[1]):
            rows = _line(image[0], window, places[0], 0, p)
            columns = _line(image[1], window, places[1], 1, q)
            everything = slice(None)
            yield (p, q), (everything, rows[0], columns[0]), (everything, rows[1], columns[1])


def _line(length: int, window: Window, places: int, axis: int, number: int) -> tuple[slice, slice]:
    """The places along one axis that see something with this element of a window, and what."""
    stride = window.stride[axis]
    offset = number * window.dilation[axis] - window.padding[axis]
    first = max(0, -(offset // stride))
    last = max(first, min(places, -((offset - length) // stride)))
    seen = slice(first * stride + offset, last * stride + offset, stride)
    return slice(first, last), seen if first < last else slice(0, 0)
