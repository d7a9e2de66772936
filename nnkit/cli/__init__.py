"""The command line: one file a command; `nnkit.cli.command` has what they share."""

from __future__ import annotations

import sys

import click

import nnkit
from nnkit.cli.bench import bench
from nnkit.cli.command import Interrupted, Nnkit, debug_option, write_any_text
from nnkit.cli.datasets import datasets
from nnkit.cli.evaluate import evaluate
from nnkit.cli.export import export
from nnkit.cli.info import info
from nnkit.cli.interruption import end_at_once_next_time
from nnkit.cli.play import play
from nnkit.cli.plot import plot
from nnkit.cli.predict import predict
from nnkit.cli.ranks import refuse_undivided
from nnkit.cli.train import train
from nnkit.cli.warm import warm
from nnkit.openblas import choose_kernels

EXAMPLES = """
nnkit train                                     train on MNIST
nnkit train digits --hidden 64                  on the small digits that come with nnkit
nnkit evaluate runs/mnist/model.safetensors     test it
nnkit predict runs/mnist/model.safetensors seven.png
nnkit plot digits runs/mnist/model.safetensors  draw what it says about test images
NNKIT_BACKEND=cupy nnkit train                  on the GPU
nnkit COMMAND --help                            all about one command
"""


@click.group(
    cls=Nnkit,
    examples=EXAMPLES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(nnkit.__version__, message="nnkit %(version)s")
@debug_option
@click.pass_context
def cli(context: click.Context) -> None:
    """Train small neural networks on images, and use them.

    Computes on NumPy, on Numba or on an NVIDIA GPU through CuPy, whichever works best here, or
    the one that --backend or the environment variable NNKIT_BACKEND names.
    """
    refuse_undivided(context.invoked_subcommand)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (train, evaluate, predict, plot, play, export, bench, info, datasets, warm):
    cli.add_command(command)


def main() -> None:
    """Run the command line, and exit the process with its code."""
    code: object = Interrupted.exit_code
    write_any_text(sys.stdout)
    try:
        choose_kernels()
        cli()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:  # another one, while the first was being told of
        pass
    end_at_once_next_time()
    sys.exit(code)  # type: ignore[arg-type]
