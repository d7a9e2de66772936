"""``nnkit predict``."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import class_names, input_features, load_classifier
from nnkit.cli.command import Command, Failure, backend_option, debug_option, explain, report
from nnkit.images import Preparation, read_image
from nnkit.training import Trainer

SHOWN = 10
"""How many classes are shown, the most probable ones."""

BAR = 30
"""Length of the bar of a probability of 1."""

EXAMPLES = """
nnkit predict runs/mnist/model.safetensors seven.png
nnkit predict runs/mnist/model.safetensors scans/*.jpg --json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@backend_option
@click.option("--raw", is_flag=True, help="Scale images to the right size, and change no more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def predict(
    checkpoint: str, images: tuple[str, ...], backend: str | None, raw: bool, as_json: bool
) -> None:
    """Say what is on images, and how probable each class is.

    CHECKPOINT is a model.safetensors. Images may have any size, colours and format that Pillow
    reads. They are prepared as those were that the network was trained on. For MNIST: made gray
    and, where dark on light, inverted; the digit is cut out, scaled to fit 20x20 pixels, and its
    centre of mass put in the middle of 28x28. An image that has 28x28 pixels already is only
    inverted, if need be. For one's own data, images are just made gray and scaled.
    """
    trainer = load_classifier(checkpoint, get_backend(backend))
    shape, how = _input_of(trainer, checkpoint)
    results = []
    failed = False
    for image in images:
        try:
            pixels = read_image(image, shape, "resize" if raw else how)
        except (OSError, ValueError) as error:
            failed = True
            report(explain(error))
            continue
        probabilities = trainer.predict_proba(pixels[None])[0]
        names = class_names(trainer, len(probabilities))
        if as_json:
            results.append(_record(image, names, probabilities))
        else:
            click.echo(_show(image, names, probabilities))
    if as_json:
        click.echo(json.dumps(results, indent=2))
    if failed:
        raise click.exceptions.Exit(1)


def _input_of(trainer: Trainer, path: str) -> tuple[tuple[int, int], Preparation]:
    """Return the height and width of the network's images, and how they are prepared."""
    about = trainer.extra
    low, high = about.get("pixel_range", (0, 1))
    if low < 0 or high > 1:
        raise Failure(
            f"{path} was trained on pixels from {low:g} to {high:g}: image files hold bytes, which "
            "are 0 to 1 here; use nnkit.load in Python"
        )
    if about.get("image_shape") is not None:
        height, width = about["image_shape"]
        return (height, width), about["preparation"]
    features = input_features(trainer) or 0
    side = math.isqrt(features)
    if "data" in about or side == 0 or side**2 != features:
        raise Failure(f"{path} is no network for images with one channel")
    return (side, side), "mnist" if side == 28 else "resize"


def _record(
    image: str, names: tuple[str, ...], probabilities: NDArray[np.floating[Any]]
) -> dict[str, Any]:
    best = int(probabilities.argmax())
    return {
        "file": image,
        "class": names[best],
        "probability": float(probabilities[best]),
        "probabilities": dict(zip(names, map(float, probabilities), strict=True)),
    }


def _show(image: str, names: tuple[str, ...], probabilities: NDArray[np.floating[Any]]) -> str:
    best = int(probabilities.argmax())
    shown = np.argsort(-probabilities, kind="stable")[:SHOWN]
    if len(names) <= SHOWN:
        shown = np.arange(len(names))
    width = max(len(names[i]) for i in shown)
    block = "█" if "utf" in (sys.stdout.encoding or "").lower() else "#"
    lines = [f"{image}: {names[best]} ({probabilities[best]:.1%})"]
    for i in shown:
        bar = block * round(BAR * float(probabilities[i]))
        lines.append(f"  {names[i]:<{width}}  {probabilities[i]:>6.1%}  {bar}".rstrip())
    return "\n".join(lines)
