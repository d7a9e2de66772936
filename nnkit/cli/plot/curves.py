"""``nnkit plot curves``."""

from __future__ import annotations

from pathlib import Path

import click

from nnkit import plotting
from nnkit.cli import histories
from nnkit.cli.command import Command
from nnkit.cli.plot.loading import load_model
from nnkit.cli.plot.saving import picture, save


@click.command(
    cls=Command,
    examples="nnkit plot curves runs/mnist -o curves.svg\n"
    "nnkit plot curves runs/mnist runs/mnist-2    two runs compared\n"
    "nnkit plot curves runs/*/history.json",
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@picture("curves.png")
def curves(runs: tuple[str, ...], output: Path, title: str | None) -> None:
    """Draw the learning curves of a run, or of several.

    RUN is the folder of a run, or the history.json or model.safetensors in it. Several are drawn in
    one picture, each in a colour and named by its folder.
    """
    read = [histories.read(run, load_model) for run in runs]
    drawn = dict(zip(histories.names(runs), read, strict=True)) if len(runs) > 1 else read[0]
    save(output, title, plotting.learning_curves, drawn, validation="test")
