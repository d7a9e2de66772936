"""``nnkit export``."""

from __future__ import annotations

from pathlib import Path

import click

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import load_trainer
from nnkit.cli.command import Command, Failure, Name, backend_option, debug_option
from nnkit.files.paths import expand
from nnkit.recognising import as_taken

EXAMPLES = """
nnkit export runs/mnist/model.safetensors mnist.onnx
nnkit export runs/mnist mnist.onnx --probabilities --input uint8
"""


def _check_ending(_: click.Context, argument: click.Parameter, path: Path) -> Path:
    if path.suffix.lower() != ".onnx":
        raise click.BadParameter(f"{path} does not end in .onnx", param=argument)
    return expand(path)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint")
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False), callback=_check_ending)
@click.option(
    "--input",
    "dtype",
    type=Name(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="What images are given as: numbers as the network takes them, which are 0 to 1 for most, "
    "or bytes, which the file scales as training did.",
)
@click.option(
    "--probabilities",
    is_flag=True,
    help="Have the file give probabilities, as the network's loss says, in place of logits.",
)
@backend_option
@debug_option
def export(
    checkpoint: str, output: Path, dtype: str, probabilities: bool, backend: str | None
) -> None:
    """Write a network as an ONNX file, for other programs to run.

    CHECKPOINT is a model.safetensors or a run's folder. OUTPUT is the file to write, ending in
    .onnx; one that is there is replaced. The names of classes and how inputs are scaled are in its
    metadata. It needs the package onnx.
    """
    from nnkit.onnx import export as write

    trainer = load_trainer(checkpoint, get_backend(backend))
    shape, image = trainer.model.input_shape, trainer.extra.get("image_shape")
    if shape is None and image is not None:  # with an axis for a single channel, too
        shape = as_taken(trainer.model, (*image, 1)[:3])
    try:
        write(trainer, output, shape=shape, dtype=dtype, probabilities=probabilities)
    except ImportError as error:
        raise Failure(str(error)) from error
    click.echo(f"saved {output}")
