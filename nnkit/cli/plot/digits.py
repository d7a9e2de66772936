"""``nnkit plot digits``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from nnkit import plotting
from nnkit.cli.command import Command, Failure, backend_option
from nnkit.cli.plot.loading import answers_of, is_ink
from nnkit.cli.plot.saving import picture, save


@click.command(
    cls=Command,
    examples="nnkit plot digits runs/mnist/model.safetensors\n"
    "nnkit plot digits runs/mnist/model.safetensors --wrong --count 80",
)
@click.argument("checkpoint")
@click.argument("data", required=False)
@click.option("--wrong", is_flag=True, help="Only images with a wrong answer.")
@click.option(
    "--count", type=click.IntRange(1), default=40, show_default=True, help="Images at most."
)
@backend_option
@picture("digits.png")
def digits(
    checkpoint: str,
    data: str | None,
    wrong: bool,
    count: int,
    backend: str | None,
    output: Path,
    title: str | None,
) -> None:
    """Draw test images with answers, the wrong ones marked.

    CHECKPOINT is a model.safetensors. DATA, whose first test images are taken, is whatever "nnkit
    train" takes; by default it is what the network was trained on.
    """
    dataset, answers, names = answers_of(checkpoint, data, backend)
    if dataset.image_shape is None or dataset.image_shape[2:] not in {(), (3,)}:
        raise Failure(f"{dataset.name} has no images, gray or in colour")
    right = float(np.mean(answers == dataset.t_test))
    if wrong and right == 1:
        raise Failure(f"{checkpoint} is right on all test images of {dataset.name}")
    save(
        output,
        title or f"{dataset.name}: {right:.2%} of {len(answers):,} test images right",
        plotting.predicted_images,
        dataset.x_test.reshape(-1, *dataset.image_shape),
        dataset.t_test,
        answers,
        names,
        count=count,
        only_wrong=wrong,
        ink=is_ink(dataset.preparation),
    )
