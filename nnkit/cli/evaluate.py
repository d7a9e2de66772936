"""``nnkit evaluate``."""

from __future__ import annotations

import json
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import checked_classifier, dataset_of, load_trainer
from nnkit.cli.command import Command, backend_option, debug_option
from nnkit.cli.tables import encoder_of, errors
from nnkit.data import Dataset
from nnkit.reasons import printable
from nnkit.recognising import class_names

EXAMPLES = """
nnkit evaluate runs/mnist/model.safetensors
nnkit evaluate runs/mnist/model.safetensors other-digits.npz --json
nnkit evaluate runs/flowers more-flowers.csv
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint")
@click.argument("data", required=False)
@backend_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def evaluate(checkpoint: str, data: str | None, backend: str | None, as_json: bool) -> None:
    """Test a network on examples that it was not trained on.

    CHECKPOINT is a model.safetensors or a run's folder. DATA, whose test images are taken, is
    whatever "nnkit train" takes; by default it is what the network was trained on. Of a table that
    it was not trained on all rows are taken.
    """
    trainer = load_trainer(checkpoint, get_backend(backend))
    encoder = encoder_of(trainer)
    amounts = encoder is not None and encoder.regression
    if not amounts:
        checked_classifier(trainer, checkpoint)
    dataset, _ = dataset_of(trainer, checkpoint, data)
    figures = trainer.evaluate(dataset.x_test, dataset.t_test)
    if encoder is not None and amounts:
        _tell_errors(dataset, *errors(encoder, figures["loss"]), as_json)
        return
    probabilities = trainer.predict_proba(dataset.x_test)
    names = tuple(map(printable, class_names(trainer, probabilities.shape[1])))
    classes = _by_class(dataset.t_test, probabilities.argmax(axis=1), names, dataset.noun)
    if as_json:
        result = {"data": dataset.name, dataset.noun: len(dataset.x_test), **figures}
        click.echo(json.dumps({**result, "classes": classes}, indent=2))
        return
    click.echo(f"data      {printable(dataset.name)}: {len(dataset.x_test):,} test {dataset.noun}")
    click.echo(f"loss      {figures['loss']:.4f}")
    click.echo(f"accuracy  {figures['accuracy']:.2%}")
    click.echo()
    click.echo(_table(classes, dataset.noun))


def _tell_errors(dataset: Dataset, squared: float, root: float, as_json: bool) -> None:
    """Say how far a network is from amounts, in their units."""
    n = len(dataset.x_test)
    if as_json:
        found = {"data": dataset.name, dataset.noun: n, "mse": squared, "rmse": root}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"data      {printable(dataset.name)}: {n:,} test {dataset.noun}")
    click.echo(f"error     {squared:.4g} (MSE), {root:.4g} (RMSE)")


def _by_class(
    labels: NDArray[np.int64], answers: NDArray[np.int64], names: tuple[str, ...], noun: str
) -> list[dict[str, Any]]:
    """For each class: how many there are, accuracy, and what it is most often mistaken for."""
    rows: list[dict[str, Any]] = []
    for label in np.unique(labels):
        counts = np.bincount(answers[labels == label], minlength=len(names))
        images, right = int(counts.sum()), int(counts[label])
        counts[label] = 0
        mistaken = None
        if right < images:
            mistaken = {"class": names[counts.argmax()], noun: int(counts.max())}
        row = {"class": names[label], noun: images, "accuracy": right / images}
        rows.append({**row, "mistaken_for": mistaken})
    return rows


def _table(classes: list[dict[str, Any]], noun: str) -> str:
    width = max(5, *(len(row["class"]) for row in classes))
    lines = [f"{'class':<{width}}  {noun:>6}  accuracy  most often mistaken for"]
    for row in classes:
        mistaken = row["mistaken_for"]
        line = f"{row['class']:<{width}}  {row[noun]:>6,}  {row['accuracy']:>8.2%}"
        if mistaken:
            line += f"  {mistaken['class']} ({mistaken[noun]:,})"
        lines.append(line)
    return "\n".join(lines)
