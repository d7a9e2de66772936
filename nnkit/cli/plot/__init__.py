"""``nnkit plot``: one file a picture; `nnkit.cli.plot.saving` has what they share."""

from __future__ import annotations

import click

from nnkit.cli.command import Command, debug_option
from nnkit.cli.plot.activations import activations
from nnkit.cli.plot.augmentation import augmentation
from nnkit.cli.plot.boundary import boundary
from nnkit.cli.plot.confusion import confusion
from nnkit.cli.plot.curves import curves
from nnkit.cli.plot.digits import digits
from nnkit.cli.plot.feature_maps import feature_maps
from nnkit.cli.plot.filters import filters
from nnkit.cli.plot.optimizers import optimizers
from nnkit.cli.plot.saliency import saliency
from nnkit.cli.plot.weights import weights

EXAMPLES = """
nnkit plot activations sigmoid tanh relu
nnkit plot curves runs/mnist runs/mnist-2 -o curves.svg
nnkit plot digits runs/mnist/model.safetensors --wrong
nnkit plot feature-maps runs/mnist/model.safetensors seven.png
nnkit plot boundary --problem xor
"""


class Plots(Command, click.Group):
    """The group of the pictures."""


@click.group(cls=Plots, examples=EXAMPLES, invoke_without_command=True)
@debug_option
@click.pass_context
def plot(context: click.Context) -> None:
    """Draw networks, their training and what they are made of.

    Each picture is written into a file, PNG or SVG by its ending; a file of that name is replaced.
    Needs Matplotlib: pip install matplotlib
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


WITHOUT_A_NETWORK = (activations, augmentation, optimizers)
OF_A_NETWORK = (curves, weights, filters, feature_maps, saliency, digits, confusion)
IN_THE_PLANE = (boundary,)

for command in (*WITHOUT_A_NETWORK, *OF_A_NETWORK, *IN_THE_PLANE):
    plot.add_command(command)
