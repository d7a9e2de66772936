"""``nnkit plot filters``."""

from __future__ import annotations

from pathlib import Path

import click

from nnkit import plotting
from nnkit.cli.command import Command
from nnkit.cli.plot.loading import load_convolutional
from nnkit.cli.plot.saving import picture, save


@click.command(
    cls=Command,
    examples="nnkit plot filters runs/mnist/model.safetensors\n"
    "nnkit plot filters runs/mnist/model.safetensors --layer 4 --count 16",
)
@click.argument("checkpoint")
@click.option(
    "--layer", metavar="PATH", help="Which convolution, such as 1 or 3.1.  [default: the first]"
)
@click.option(
    "--count", type=click.IntRange(1), default=32, show_default=True, help="Filters at most."
)
@picture("filters.png")
def filters(
    checkpoint: str, layer: str | None, count: int, output: Path, title: str | None
) -> None:
    """Draw the filters of a convolution.

    CHECKPOINT is a model.safetensors, of a network with convolutions. The filters of a first layer
    are images, in colour where the network takes such; those of a later one are rows of them.
    """
    model = load_convolutional(checkpoint).model
    save(output, title, plotting.convolution_filters, model, layer=layer, count=count)
