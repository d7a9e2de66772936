"""``nnkit evaluate``."""

from __future__ import annotations

import json
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import class_names, dataset_of, load_classifier
from nnkit.cli.command import Command, backend_option, debug_option
from nnkit.reasons import printable

EXAMPLES = """
nnkit evaluate runs/mnist/model.safetensors
nnkit evaluate runs/mnist/model.safetensors other-digits.npz --json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint")
@click.argument("data", required=False)
@backend_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def evaluate(checkpoint: str, data: str | None, backend: str | None, as_json: bool) -> None:
    """Test a network on images that it was not trained on.

    CHECKPOINT is a model.safetensors or a run's folder. DATA, whose test images are taken, is
    whatever "nnkit train" takes; by default it is what the network was trained on.
    """
    trainer = load_classifier(checkpoint, get_backend(backend))
    dataset, _ = dataset_of(trainer, checkpoint, data)
    figures = trainer.evaluate(dataset.x_test, dataset.t_test)
    probabilities = trainer.predict_proba(dataset.x_test)
    names = tuple(map(printable, class_names(trainer, probabilities.shape[1])))
    classes = _by_class(dataset.t_test, probabilities.argmax(axis=1), names)
    if as_json:
        result = {"data": dataset.name, "images": len(dataset.x_test), **figures}
        click.echo(json.dumps({**result, "classes": classes}, indent=2))
        return
    click.echo(f"data      {printable(dataset.name)}: {len(dataset.x_test):,} test images")
    click.echo(f"loss      {figures['loss']:.4f}")
    click.echo(f"accuracy  {figures['accuracy']:.2%}")
    click.echo()
    click.echo(_table(classes))


def _by_class(
    labels: NDArray[np.int64], answers: NDArray[np.int64], names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """For each class that there is: images, accuracy, and what it is most often mistaken for."""
    rows: list[dict[str, Any]] = []
    for label in np.unique(labels):
        counts = np.bincount(answers[labels == label], minlength=len(names))
        images, right = int(counts.sum()), int(counts[label])
        counts[label] = 0
        mistaken = None
        if right < images:
            mistaken = {"class": names[counts.argmax()], "images": int(counts.max())}
        row = {"class": names[label], "images": images, "accuracy": right / images}
        rows.append({**row, "mistaken_for": mistaken})
    return rows


def _table(classes: list[dict[str, Any]]) -> str:
    width = max(5, *(len(row["class"]) for row in classes))
    lines = [f"{'class':<{width}}  images  accuracy  most often mistaken for"]
    for row in classes:
        mistaken = row["mistaken_for"]
        line = f"{row['class']:<{width}}  {row['images']:>6,}  {row['accuracy']:>8.2%}"
        if mistaken:
            line += f"  {mistaken['class']} ({mistaken['images']:,})"
        lines.append(line)
    return "\n".join(lines)
