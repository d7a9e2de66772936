"""Images as they are, and as training sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.augment import Augmentation, apply
from nnkit.plotting.images import Grid
from nnkit.plotting.labels import literal
from nnkit.plotting.pixels import gray_map
from nnkit.plotting.style import GRAY, GRID, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

How = Augmentation | Sequence[Augmentation]


def augmented_images(
    images: NDArray[Any],
    augment: How | Mapping[str, How],
    *,
    ways: int = 8,
    seed: int = 0,
    ink: bool | None = None,
    title: str = "Augmentation",
) -> Figure:
    """Draw each image as it is, and beside it changed in some ways at random.

    Parameters
    ----------
    images
        (n, height, width), gray, or (n, height, width, 3), coloured: bytes, or real numbers, which
        are 0 to 1 where there are colours.
    augment
        What `Trainer.fit` takes; or several by name: then each has a row, of the first image.
    ways
        How often each is changed.
    seed
        Of the random numbers.
    ink
        Whether high values of gray images are drawn dark, as digits are, and not light, as
        photographs are. None: whether half of the pixels at the border have the lowest value.
    title
        Headline of the picture.

    Raises ValueError and TypeError as `nnkit.augment.apply`, ValueError where there is nothing to
    draw; ImportError without Matplotlib.
    """
    if not len(images) or not augment:
        raise ValueError("no images" if not len(images) else "no augmentation")
    rows: list[tuple[str, NDArray[Any], How]] = [("", image, _one(augment)) for image in images]
    if isinstance(augment, Mapping):
        rows = [(name, images[0], how) for name, how in augment.items()]
    drawn = [image for i, row in enumerate(rows) for image in _row(*row[1:], ways, seed, i)]
    shown = np.stack(drawn)
    low, high = (0, 1) if images.dtype == np.uint8 else (min(0, images.min()), images.max())
    width = shown.shape[2] / shown.shape[1]
    grid = Grid(len(shown), ways + 1, width, (0.1, 0.1))
    margin = 0.16 * max(len(name) for name, *_ in rows)
    across, down = grid.size()
    figure = new_figure(max(5, 0.75 * (across + margin) + 0.3), 0.75 * down + 0.8, title)
    axes = figure.add_subplot()
    grid.draw(axes, shown, cmap=gray_map(images, ink), vmin=low, vmax=high)
    _frame(axes, grid)
    axes.set_xlim(-margin - 0.1, across - 0.05)
    axes.set_ylim(down, -0.35)
    axes.text(width / 2, -0.06, "as it is", ha="center", color=GRAY, fontsize=8.5)
    for i, (name, *_) in enumerate(rows):
        top = grid.place(i * (ways + 1))[1]
        axes.text(-0.15, top + 0.5, literal(name), ha="right", va="center", fontsize=9)
    return figure


def _frame(axes: Axes, grid: Grid) -> None:
    """Show where each image ends, whose border may be as white as the paper."""
    from matplotlib.patches import Rectangle

    for i in range(grid.n):
        frame = Rectangle(grid.place(i), grid.width, 1, fill=False, edgecolor=GRID, linewidth=0.8)
        axes.add_patch(frame)


def _one(augment: How | Mapping[str, How]) -> How:
    """Return what all images are changed by, where there are not several by name."""
    return () if isinstance(augment, Mapping) else augment


def _row(image: NDArray[Any], how: How, ways: int, seed: int, step: int) -> NDArray[Any]:
    """Return an image and what becomes of it, each as (height, width) or with three colours."""
    copies = np.repeat(image[None], ways, axis=0)
    both = np.concatenate([apply(image[None], ()), apply(copies, how, seed, step)])
    return both[..., 0] if both.shape[3:] == (1,) else both
