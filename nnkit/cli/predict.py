"""``nnkit predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import checked_classifier, load_trainer
from nnkit.cli.command import Command, Failure, backend_option, debug_option, explain, report
from nnkit.cli.predict_tables import predict_tables
from nnkit.cli.tables import encoder_of
from nnkit.reasons import printable
from nnkit.recognising import Recogniser

Probabilities = NDArray[np.floating[Any]]

SHOWN = 10
"""How many classes are shown of a single image, the most probable ones."""

SHOWN_OF_MANY = 3
"""How many are shown in the line of each of several images."""

BAR = 30
"""Length of the bar of a probability of 1."""

EXAMPLES = """
nnkit predict runs/mnist/model.safetensors seven.png
nnkit predict runs/mnist/model.safetensors scans/*.png        a line for each
nnkit predict runs/photos/model.safetensors cat.jpg --top 2
nnkit predict runs/mnist/model.safetensors scans/*.jpg --json
nnkit predict runs/flowers new.csv --out answers.csv
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint")
@click.argument("images", nargs=-1, required=True, metavar="FILE...")
@backend_option
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="N",
    help="Show the N most probable classes.  "
    f"[default: {SHOWN} of one image, {SHOWN_OF_MANY} of each of several; with --json all]",
)
@click.option("--raw", is_flag=True, help="Scale images to the right size, and change no more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Of a table: write it, with the predictions, as a CSV file.",
)
@debug_option
def predict(
    checkpoint: str,
    images: tuple[str, ...],
    backend: str | None,
    top: int | None,
    raw: bool,
    as_json: bool,
    out: Path | None,
) -> None:
    """Say what is on images, or of the rows of a table.

    CHECKPOINT is a model.safetensors or a run's folder. Tables are .csv or .parquet files with the
    columns that the network was trained on, and perhaps others. Images are PNG, JPEG, GIF, BMP,
    PPM, TIFF or WebP files of any size and colours, up to 50 million pixels; where a file has
    several, the first is taken. With several files there is a line for each.

    Images are prepared as those were that the network was trained on. For MNIST: made gray
    and, where dark on light, inverted; the digit is cut out, scaled to fit 20x20 pixels, and its
    centre of mass put in the middle of 28x28. An image that has 28x28 pixels already is only
    inverted, if need be. For one's own data, images are just made gray and scaled. They keep their
    colours where the network was trained on images in colour.
    """
    trainer = load_trainer(checkpoint, get_backend(backend))
    if (encoder := encoder_of(trainer)) is not None:
        if raw:
            raise Failure(f"--raw is for images, but {checkpoint} was trained on a table")
        predict_tables(trainer, encoder, images, top, as_json, out)
        return
    if out is not None:
        raise Failure(f"--out is for tables, which {checkpoint} was not trained on")
    recogniser = Recogniser(checked_classifier(trainer, checkpoint), checkpoint)
    results = []
    failed = False
    for image in images:
        try:
            pixels = recogniser.read(image, raw)
        except (OSError, ValueError) as error:
            failed = True
            report(explain(error))
            continue
        probabilities = recogniser.probabilities(pixels)
        names = recogniser.names(len(probabilities))
        if as_json:  # which writes by itself what is not for printing
            results.append(_record(image, names, probabilities, top))
            continue
        names = tuple(map(printable, names))
        if len(images) > 1:
            click.echo(_line(image, names, probabilities, top or SHOWN_OF_MANY))
        else:
            click.echo(_bars(image, names, probabilities, top))
    if as_json:
        click.echo(json.dumps(results, indent=2))
    if failed:
        raise click.exceptions.Exit(1)


def _record(
    image: str, names: tuple[str, ...], probabilities: Probabilities, top: int | None
) -> dict[str, Any]:
    best = int(probabilities.argmax())
    shown = range(len(names)) if top is None else _most_probable(probabilities, top)
    return {
        "file": image,
        "class": names[best],
        "probability": float(probabilities[best]),
        "probabilities": {names[i]: float(probabilities[i]) for i in shown},
    }


def _line(image: str, names: tuple[str, ...], probabilities: Probabilities, top: int) -> str:
    shown = (f"{names[i]} ({probabilities[i]:.1%})" for i in _most_probable(probabilities, top))
    return f"{printable(image)}: {'  '.join(shown)}"


def _bars(image: str, names: tuple[str, ...], probabilities: Probabilities, top: int | None) -> str:
    best = int(probabilities.argmax())
    shown: Iterable[int] = _most_probable(probabilities, top or SHOWN)
    if top is None and len(names) <= SHOWN:
        shown = range(len(names))
    width = max(len(names[i]) for i in shown)
    block = "█" if "utf" in (sys.stdout.encoding or "").lower() else "#"
    lines = [f"{printable(image)}: {names[best]} ({probabilities[best]:.1%})"]
    for i in shown:
        bar = block * round(BAR * float(probabilities[i]))
        lines.append(f"  {names[i]:<{width}}  {probabilities[i]:>6.1%}  {bar}".rstrip())
    return "\n".join(lines)


def _most_probable(probabilities: Probabilities, top: int) -> list[int]:
    """Numbers of the `top` most probable classes, the most probable first."""
    order: list[int] = np.argsort(-probabilities, kind="stable")[:top].tolist()
    return order
