"""``nnkit plot saliency``."""

from __future__ import annotations

from pathlib import Path

import click

from nnkit import plotting
from nnkit.backends import get_backend
from nnkit.cli.checkpoints import load_classifier
from nnkit.cli.command import Command
from nnkit.cli.inputs import read_input
from nnkit.cli.plot.loading import is_ink
from nnkit.cli.plot.saving import picture, save
from nnkit.recognising import class_names


@click.command(
    cls=Command,
    examples="nnkit plot saliency runs/mnist/model.safetensors seven.png\n"
    "nnkit plot saliency runs/mnist/model.safetensors 0 --class 2    what would make it a 2",
)
@click.argument("checkpoint")
@click.argument("image")
@click.option(
    "--class", "wanted", metavar="NAME", help="Whose score.  [default: the network's answer]"
)
@picture("saliency.png")
def saliency(
    checkpoint: str, image: str, wanted: str | None, output: Path, title: str | None
) -> None:
    """Draw which pixels of an image a network's answer depends on.

    CHECKPOINT is a model.safetensors. IMAGE is an image file, which is prepared as "nnkit predict"
    does, or the number of a test image, from 0, of the data that the network was trained on.
    """
    trainer = load_classifier(checkpoint, get_backend("numpy"))
    names = class_names(trainer, trainer.model.out_features or 0)
    if wanted is not None and wanted not in names:
        raise click.UsageError(f"{checkpoint} has no class {wanted}: it has {', '.join(names)}")
    label = None if wanted is None else names.index(wanted)
    pixels = read_input(trainer, checkpoint, image)
    ink = is_ink(trainer.extra.get("preparation"))
    save(output, title, plotting.saliency_map, trainer.model, pixels, label, names, ink=ink)
