"""``nnkit plot weights``."""

from __future__ import annotations

import math
from pathlib import Path

import click

from nnkit import plotting
from nnkit.cli.command import Command, Failure
from nnkit.cli.plot.loading import load_model
from nnkit.cli.plot.saving import picture, save
from nnkit.plotting.convolutions import convolutions
from nnkit.recognising import input_features
from nnkit.training import Trainer


@click.command(cls=Command, examples="nnkit plot weights runs/mnist/model.safetensors --count 100")
@click.argument("checkpoint")
@click.option(
    "--count", type=click.IntRange(1), default=64, show_default=True, help="Units at most."
)
@picture("weights.png")
def weights(checkpoint: str, count: int, output: Path, title: str | None) -> None:
    """Draw the weights of the first layer as images, one a unit.

    CHECKPOINT is a model.safetensors, of a network for images.
    """
    trainer = load_model(checkpoint)
    if convolutions(trainer.model):
        raise Failure(f"{checkpoint} has convolutions, whose filters nnkit plot filters draws")
    shape = _image_shape(trainer, checkpoint)
    save(output, title, plotting.first_layer_weights, trainer.model, shape, count=count)


def _image_shape(trainer: Trainer, path: str) -> tuple[int, int]:
    """Return height and width: what the checkpoint says, else those of a square."""
    if trainer.extra.get("image_shape") is not None:
        height, width, *colors = trainer.extra["image_shape"]
        if colors:
            raise Failure(f"{path} is no network for images with one channel")
        return height, width
    features = input_features(trainer) or 0
    side = math.isqrt(features)
    if "data" in trainer.extra or side == 0 or side**2 != features:
        raise Failure(f"{path} is no network for images with one channel")
    return side, side
