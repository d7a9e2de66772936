"""``nnkit plot optimizers``."""

from __future__ import annotations

from pathlib import Path

import click

from nnkit import plotting
from nnkit.cli.command import Command
from nnkit.cli.plot.saving import picture, save


@click.command(cls=Command, examples="nnkit plot optimizers\nnnkit plot optimizers --steps 60")
@click.option(
    "--steps", type=click.IntRange(1), default=30, show_default=True, help="Of each optimizer."
)
@picture("optimizers.png")
def optimizers(steps: int, output: Path, title: str | None) -> None:
    """Draw the ways of optimizers down a valley.

    The valley is f(x, y) = x^2 / 20 + y^2, and all start from (-7, 2): gradient descent, momentum,
    Nesterov's, AdaGrad, RMSProp and Adam.
    """
    save(output, title, plotting.optimizer_paths, steps=steps)
