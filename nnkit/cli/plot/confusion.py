"""``nnkit plot confusion``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from nnkit import plotting
from nnkit.cli.command import Command, backend_option
from nnkit.cli.plot.loading import answers_of
from nnkit.cli.plot.saving import picture, save


@click.command(cls=Command, examples="nnkit plot confusion runs/mnist/model.safetensors")
@click.argument("checkpoint")
@click.argument("data", required=False)
@backend_option
@picture("confusion.png")
def confusion(
    checkpoint: str, data: str | None, backend: str | None, output: Path, title: str | None
) -> None:
    """Draw how many test images of each class got which answer.

    CHECKPOINT is a model.safetensors. DATA is whatever "nnkit train" takes; by default it is what
    the network was trained on.
    """
    dataset, answers, names = answers_of(checkpoint, data, backend)
    right = float(np.mean(answers == dataset.t_test))
    title = title or f"{dataset.name}: {right:.2%} of {len(answers):,} test images right"
    save(output, title, plotting.confusion_matrix, dataset.t_test, answers, names)
