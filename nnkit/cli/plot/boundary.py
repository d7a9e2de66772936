"""``nnkit plot boundary``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from nnkit import plotting
from nnkit.backends import get_backend
from nnkit.cli.checkpoints import dataset_of
from nnkit.cli.command import Command, Failure, Name, backend_option
from nnkit.cli.plot.loading import load_model
from nnkit.cli.plot.saving import picture, save
from nnkit.cli.problems import UNITS, Problem, classes, learn, make
from nnkit.recognising import class_names, input_features
from nnkit.training import Trainer

POINTS = 1000
"""How many points of a data set are drawn at most."""

EPOCHS = 1000
"""How long a network learns a problem in the plane."""


@click.command(
    cls=Command,
    examples="nnkit plot boundary\n"
    "nnkit plot boundary --problem xor --hidden 0    a single neuron cannot\n"
    "nnkit plot boundary my-own.safetensors --problem ring",
)
@click.argument("checkpoint", required=False)
@click.option("--problem", type=Name(list(UNITS)), help="What is to be learned.  [default: xor]")
@click.option(
    "--hidden",
    type=click.IntRange(0),
    help="Hidden units.  [default: 6, for ring 12, for spirals 48]",
)
@click.option("--epochs", type=click.IntRange(1), help=f"Of training.  [default: {EPOCHS:,}]")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Of the random points and of the initial weights.",
)
@backend_option
@picture("boundary.png")
def boundary(
    checkpoint: str | None,
    problem: str | None,
    hidden: int | None,
    epochs: int | None,
    seed: int,
    backend: str | None,
    output: Path,
    title: str | None,
) -> None:
    """Draw the decision regions of a network with two inputs.

    Without CHECKPOINT, a small network is trained on a problem. With it, a model.safetensors, that
    network is drawn, with the points of --problem or else of the data it was trained on.
    """
    points: Problem | None
    if checkpoint is None:
        problem = problem or "xor"
        points = make(problem, seed)
        units = UNITS[problem] if hidden is None else hidden
        trainer = learn(points, units, epochs or EPOCHS, seed, get_backend(backend))
        name = f"{problem}, a {f'2-{units}-1' if units else '2-1'} network"
    elif hidden is None and epochs is None:
        trainer, name = _load_planar(checkpoint, backend), Path(checkpoint).name
        points = make(problem, seed) if problem else _points_of(trainer, checkpoint)
    else:
        raise click.UsageError("--hidden and --epochs are for training: not with a CHECKPOINT")
    x, t = (None, None) if points is None else (points.x, points.t)
    if points is not None:
        right = int(np.sum(classes(trainer, points.x) == points.t))
        result = f"{right:,} of {len(points.t):,} points right"
        click.echo(result)
        name += f": {result}"
    save(
        output,
        title or name,
        plotting.decision_regions,
        lambda grid: classes(trainer, grid),
        x,
        t,
        class_names(trainer, 0),
    )


def _load_planar(path: str, backend: str | None) -> Trainer:
    trainer = load_model(path, backend)
    if (features := input_features(trainer)) != 2:
        raise Failure(f"{path} takes {features or 'an unknown number of'} inputs, not 2")
    return trainer


def _points_of(trainer: Trainer, path: str) -> Problem | None:
    """Return the points that a network was trained on, as far as its file says which."""
    if "data" not in trainer.extra:
        return None
    dataset, _ = dataset_of(trainer, path, None)
    x, t = dataset.x_train[:POINTS], dataset.t_train[:POINTS]
    return Problem(x.astype(np.float64), t)
