"""``nnkit plot augmentation``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nnkit import plotting
from nnkit.augment import Augment, Cutout, Flip, Rotate, Scale, Shift
from nnkit.cli.augmenting import augment_option
from nnkit.cli.checkpoints import load_dataset, refuse_table
from nnkit.cli.command import Command
from nnkit.cli.photographs import photograph_options
from nnkit.cli.plot.loading import is_ink
from nnkit.cli.plot.saving import picture, save
from nnkit.cli.runs import image_shape


@click.command(
    cls=Command,
    examples="nnkit plot augmentation\n"
    "nnkit plot augmentation mnist --augment shift=2,rotate=10 --count 6\n"
    "nnkit plot augmentation photos --image-size 64 --color",
)
@click.argument("data", default="digits")
@augment_option
@photograph_options
@click.option(
    "--count", type=click.IntRange(1), default=5, show_default=True, help="Images with --augment."
)
@click.option(
    "--ways", type=click.IntRange(1), default=8, show_default=True, help="Changed ones of each."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Of the changes: the same seed gives the same picture.",
)
@picture("augmentation.png")
def augmentation(
    data: str,
    augment: Augment,
    image_size: tuple[int, int] | None,
    color: bool,
    count: int,
    ways: int,
    seed: int,
    output: Path,
    title: str | None,
) -> None:
    """Draw images as training changes them.

    DATA, whose first training images are taken, is whatever "nnkit train" takes; by default digits.
    Each is drawn as it is, and beside it as --augment makes it. Without --augment it is the first
    image, with each change alone and with all.
    """
    refuse_table(data, "which has no images to change")
    dataset, _ = load_dataset(data, image_size, color)
    shape = image_shape(dataset)
    images = dataset.x_train.reshape(-1, *shape)[:count]
    drawn: Any = augment or _examples(min(shape[:2]))
    how: Any = {"ways": ways, "seed": seed, "ink": is_ink(dataset.preparation)}
    save(output, title, plotting.augmented_images, images, drawn, **how)


def _examples(side: int) -> dict[str, Augment]:
    """Return each change by its name, so large that it is seen on images with such sides."""
    parts = [Shift(max(1, side // 7)), Flip(), Rotate(20), Scale(0.3), Cutout(max(1, side // 3))]
    return {type(part).__name__: (part,) for part in parts} | {"all": (*parts,)}
