"""``nnkit plot activations``."""

from __future__ import annotations

from pathlib import Path

import click

from nnkit import plotting
from nnkit.cli.command import Command, Name
from nnkit.cli.plot.saving import picture, save
from nnkit.kernels.table import ACTIVATIONS


@click.command(
    cls=Command,
    examples="nnkit plot activations\nnnkit plot activations sigmoid tanh -o smooth.svg",
    help=f"""Draw activation functions with their derivatives.

    NAMES are any of {", ".join(ACTIVATIONS)}; by default step, sigmoid and relu.
    """,
)
@click.argument("names", nargs=-1, type=Name(list(ACTIVATIONS)), metavar="[NAMES]...")
@picture("activations.png")
def activations(names: tuple[str, ...], output: Path, title: str | None) -> None:
    """Draw activation functions."""
    save(output, title, plotting.activation_functions, *([names] if names else []))
