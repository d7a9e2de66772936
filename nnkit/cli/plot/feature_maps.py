"""``nnkit plot feature-maps``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nnkit import plotting
from nnkit.cli.command import Command
from nnkit.cli.inputs import read_input
from nnkit.cli.plot.loading import is_ink, load_convolutional
from nnkit.cli.plot.saving import picture, save


@click.command(
    "feature-maps",
    cls=Command,
    examples="nnkit plot feature-maps runs/mnist/model.safetensors seven.png\n"
    "nnkit plot feature-maps runs/mnist/model.safetensors 0 --layer 1    the first test image",
)
@click.argument("checkpoint")
@click.argument("image")
@click.option("--layer", metavar="PATH", help="One convolution, such as 1 or 3.1.  [default: all]")
@click.option(
    "--count",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Maps of each convolution at most.",
)
@picture("feature-maps.png")
def feature_maps(
    checkpoint: str, image: str, layer: str | None, count: int, output: Path, title: str | None
) -> None:
    """Draw what each filter of a network shows of an image.

    CHECKPOINT is a model.safetensors, of a network with convolutions. IMAGE is an image file, which
    is prepared as "nnkit predict" does, or the number of a test image, from 0, of the data that the
    network was trained on.
    """
    trainer = load_convolutional(checkpoint)
    pixels = read_input(trainer, checkpoint, image)
    how: Any = {"layer": layer, "count": count, "ink": is_ink(trainer.extra.get("preparation"))}
    save(output, title, plotting.feature_maps, trainer.model, pixels, **how)
