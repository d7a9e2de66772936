"""How a convolution's kernels lie on images, and so which way it is carried out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnkit.backends.contract import Array, Window
from nnkit.backends.cupy.grids import ACCESS_BYTES, packs
from nnkit.backends.cupy.windows import axes

FEW = 4
"""Channels of a group with which a product would have little to multiply for all that it reads."""


class Lying(NamedTuple):
    """The sizes of a convolution, but for the number of images."""

    image: tuple[int, int]
    places: tuple[int, int]
    window: Window
    channels: int
    outputs: int
    groups: int

    @property
    def plain(self) -> bool:
        """Whether the images are themselves the rows of a product: a place sees its pixel."""
        alone = self.window._replace(dilation=(1, 1)) == Window((1, 1))
        return alone and self.groups == 1 and self.places == self.image

    @property
    def few(self) -> bool:
        """Whether the forward pass is a kernel of its own."""
        return not self.plain and self.channels <= FEW * self.groups

    @property
    def grouped_few(self) -> bool:
        """Whether the gradients are kernels of their own, too.

        Those of a first layer are not: its kernels have many places to be summed over, among which
        a library divides a product.
        """
        return self.few and self.groups > 1

    @property
    def columns(self) -> int:
        """Numbers that a place sees."""
        return self.window.size[0] * self.window.size[1] * self.channels

    def rows(self, n: int, dtype: np.dtype[Any]) -> tuple[int, int]:
        """Shape of a matrix with room for what the places of n images see, in whole packs."""
        pitch = packs(self.columns, dtype) * ACCESS_BYTES // dtype.itemsize
        return n * self.places[0] * self.places[1], pitch

    def room(
        self, n: int, z: bool, rows: bool, dtype: np.dtype[Any]
    ) -> tuple[tuple[int, ...], tuple[int, int]]:
        """Shapes of the output of n images, and of what its places see, where they are needed."""
        shape = (n, *self.places, self.outputs) if z else (0,)
        return shape, self.rows(n, dtype) if rows else (0, 0)

    def sizes(self) -> tuple[np.int32, ...]:
        """Channels, outputs and groups, as the kernels take them."""
        return np.int32(self.channels), np.int32(self.outputs), np.int32(self.groups)

    def axes(self) -> tuple[np.integer[Any], ...]:
        """Return what AXES of windows.cuh declares."""
        return axes(self.image, self.window, self.places)

    def matrices(self, array: Array) -> Array:
        """Return each group's columns of a matrix: one matrix, or as many as groups."""
        if self.groups == 1:
            return array
        return array.reshape(len(array), self.groups, -1).swapaxes(0, 1)
