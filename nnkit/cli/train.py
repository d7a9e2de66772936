"""``nnkit train``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from nnkit.cli import options
from nnkit.cli.augmenting import augment_option
from nnkit.cli.command import Command, Name, backend_option, debug_option
from nnkit.cli.fitting import describe, fit, report
from nnkit.cli.photographs import photograph_options
from nnkit.cli.runs import resume, start
from nnkit.cli.settings import RATES, RATES_OF_MODELS, Settings
from nnkit.cli.tables import table_options
from nnkit.cli.watching import stay, watched
from nnkit.files.paths import expand

EXAMPLES = """
nnkit train                                     MNIST, or digits where there is no MNIST
nnkit train mnist --backend numba --epochs 10
nnkit train mnist --model lenet                 a convolutional network
nnkit train fashion-mnist --hidden 512,512 --dropout 0.2 --optimizer adamw
nnkit train mnist --augment shift=2,rotate=10
nnkit train digits --hidden 32 --activation tanh --optimizer sgd --lr 0.5
nnkit train letters.npz --out runs/letters      one's own images and labels
nnkit train photos --image-size 32              one's own image files, in a folder for each class
nnkit train photos --color                      the same, with their colours
nnkit train flowers.csv --target species        a table, CSV or Parquet
nnkit train mnist --watch                       watched in the browser
nnkit train --resume runs/mnist/model.safetensors --epochs 20
mpiexec -n 4 nnkit train mnist                  by four processes together
"""


def _listed(rates: dict[str, float]) -> str:
    return ", ".join(f"{rate} for {name}" for name, rate in rates.items())


def _expand(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    return None if value is None else expand(value)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("data", required=False, metavar="[DATA]")
@backend_option
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Passes over the data.  [default: 5, small data 20, small tables 50]",
)
@click.option(
    "--batch-size", type=click.IntRange(1), help="Images per step.  [default: 128, small data 32]"
)
@options.model
@options.hidden
@options.activation
@options.optimizer
@click.option(
    "--lr",
    type=click.FloatRange(0, min_open=True),
    help=f"Learning rate.  [default: {_listed(RATES)}; with --model {_listed(RATES_OF_MODELS)}]",
)
@click.option(
    "--schedule",
    type=Name(["cosine", "constant"]),
    default="cosine",
    show_default=True,
    help="With cosine the learning rate falls from step to step, almost to 0.",
)
@click.option(
    "--weight-decay",
    type=click.FloatRange(0),
    help="Pull of the weights towards 0.  [default: 0, for adamw 0.01]",
)
@options.dropout
@augment_option
@options.dtype
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Of initial weights, order of images, dropout and --augment: the same seed gives the same "
    "run.",
)
@photograph_options
@table_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    callback=_expand,
    metavar="FOLDER",
    help="Folder for the results.  [default: runs/DATA, or runs/DATA-2 and so on]",
)
@click.option(
    "--resume",
    "checkpoint",
    metavar="CHECKPOINT",
    help="Continue the run of this file or folder, to the --epochs given here or then.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print the result only.")
@click.option("--watch", is_flag=True, help="Open a page in the browser that shows the run.")
@click.option("--no-browser", is_flag=True, help="With --watch: print its address only.")
@debug_option
@click.pass_context
def train(
    context: click.Context,
    /,
    data: str | None,
    backend: str | None,
    out: Path | None,
    checkpoint: str | None,
    quiet: bool,
    watch: bool,
    no_browser: bool,
    **settings: Any,
) -> None:
    """Train a network on images or on a table.

    DATA is mnist, fashion-mnist, digits, cifar10, emnist-letters or another name that "nnkit
    datasets" lists; a folder that has a folder of images for each class, such as cats and dogs,
    with or without train and test above them; a folder with the IDX files of MNIST or EMNIST or
    with those of CIFAR-10; an .npz file with x_train, t_train, x_test and t_test; or a .csv or
    .parquet file, of which --target names a column. Without DATA it is mnist, or where that can be
    neither found nor downloaded, digits.

    The network has hidden layers, or with --model is LeNet-5, one of the texts' two convolutional
    networks, one of two like VGG, or ResNet-20, made for images of this size: see nnkit.models.

    Where DATA has no images to test with, one in five of each class is held out for that. Image
    files are made gray, unless there is --color, and scaled to one size. Numbers of a table are
    standardised, its texts become a 1 among zeros. How, the checkpoint keeps for "nnkit predict".

    The folder of results has model.safetensors, written after every epoch, learning-curves.png and
    history.json. No other run is ever overwritten: where runs/DATA exists, the folder is
    runs/DATA-2.

    Ctrl-C stops after the current step and saves, as do SIGTERM and SIGHUP. --resume then continues
    as if nothing had happened, in the same folder and on the same backend, unless --backend or
    NNKIT_BACKEND names another. Of the other options only --epochs, --quiet and --watch may be
    given with it, and DATA only if it has moved.

    --watch shows on a page of this machine what the network learns: curves, weights, and whom it
    takes for whom. In a terminal the page stays open at the end, until Ctrl-C.

    Started several times by mpiexec, srun or torchrun, it trains the same network, by a share of
    every batch in each process; --batch-size is that of the whole.
    """
    if checkpoint is None:
        options.refuse_layers(context, settings["model"])
        run = start(data, backend, out, Settings(**settings))
    else:
        _refuse_options(context)
        run = resume(checkpoint, data, backend, settings["epochs"])
    if not quiet:
        click.echo(describe(run))
    with watched(run, not no_browser) if watch else nullcontext() as page:
        seconds = fit(run, quiet, [] if page is None else [page])
        report(run, seconds)
        if page is not None:
            stay(page)


_WITH_RESUME = {"data", "backend", "epochs", "checkpoint", "quiet", "watch", "no_browser"}


def _refuse_options(context: click.Context) -> None:
    """Raise for an option that has no meaning with --resume."""
    for name, option in options.given(context):
        if name not in _WITH_RESUME:
            raise click.UsageError(
                f"{option} cannot be given with --resume: a run keeps its settings", context
            )
