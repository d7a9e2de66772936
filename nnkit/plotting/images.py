"""Many small images in one pair of axes, which is faster than axes for each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nnkit.plotting.style import GRID

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


@dataclass(frozen=True)
class Grid:
    """Places for n images, row by row, in units of an image's height.

    `width` is that of an image, `gap` the room between two images and between two rows.
    """

    n: int
    columns: int
    width: float
    gap: tuple[float, float]

    def place(self, i: int) -> tuple[float, float]:
        """Left and upper edge of image i."""
        row, column = divmod(i, self.columns)
        return column * (self.width + self.gap[0]), row * (1 + self.gap[1])

    def size(self) -> tuple[float, float]:
        """Width and height of all, with a gap at the right and below."""
        rows = -(-self.n // self.columns)
        return self.columns * (self.width + self.gap[0]), rows * (1 + self.gap[1])

    def draw(self, axes: Axes, images: NDArray[Any], **how: Any) -> AxesImage:
        """Draw images (n, height, width, ...); `how` goes to `imshow`. Returns the last one."""
        for i, image in enumerate(images):
            left, top = self.place(i)
            extent = (left, left + self.width, top + 1, top)
            drawn = axes.imshow(image, extent=extent, interpolation="nearest", **how)
        right, bottom = self.size()
        axes.set_xlim(-self.gap[0] / 2, right - self.gap[0] / 2)
        axes.set_ylim(bottom, -0.05)
        axes.set_axis_off()
        return drawn

    def frame(self, axes: Axes) -> None:
        """Draw a thin frame around each image, without which light ones have no edge."""
        from matplotlib.patches import Rectangle

        for i in range(self.n):
            axes.add_patch(
                Rectangle(self.place(i), self.width, 1, fill=False, edgecolor=GRID, linewidth=0.8)
            )


def even_columns(n: int) -> int:
    """Columns for n images: about a square, and a full last row where that is possible."""
    least = math.isqrt(n - 1) + 1
    return next((c for c in range(least, 2 * least) if n % c == 0), least)
