"""``nnkit plot``."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from nnkit import plotting
from nnkit.backends import get_backend
from nnkit.cli import histories
from nnkit.cli.checkpoints import (
    class_names,
    dataset_of,
    input_features,
    load_classifier,
    load_trainer,
)
from nnkit.cli.command import Command, Decorated, Failure, backend_option, debug_option
from nnkit.cli.problems import UNITS, Problem, classes, learn, make
from nnkit.data import Dataset
from nnkit.files.paths import expand
from nnkit.kernels.table import ACTIVATIONS
from nnkit.training import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 1000
"""How many points of a data set are drawn at most."""

EPOCHS = 1000
"""How long a network learns a problem in the plane."""

EXAMPLES = """
nnkit plot activations sigmoid tanh relu
nnkit plot curves runs/mnist runs/mnist-2 -o curves.svg
nnkit plot digits runs/mnist/model.safetensors --wrong
nnkit plot boundary --problem xor
"""


class Plots(Command, click.Group):
    """The group of the pictures."""


@click.group(cls=Plots, examples=EXAMPLES, invoke_without_command=True)
@debug_option
@click.pass_context
def plot(context: click.Context) -> None:
    """Draw networks, their training and what they are made of.

    Each picture is written into a file, PNG or SVG by its ending; a file of that name is replaced.
    Needs Matplotlib: pip install matplotlib
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _check_ending(_: click.Context, option: click.Parameter, path: Path) -> Path:
    if path.suffix.lower() not in {".png", ".svg"}:
        raise click.BadParameter(f"{path} ends neither in .png nor in .svg", param=option)
    return expand(path)


def _picture(default: str) -> Callable[[Decorated], Decorated]:
    """Add --output, which is `default` unless it is given, --title and --debug."""

    def decorate(function: Decorated) -> Decorated:
        output = click.option(
            "--output",
            "-o",
            type=click.Path(path_type=Path, dir_okay=False),
            default=default,
            show_default=True,
            callback=_check_ending,
            metavar="FILE",
            help="What to write, a .png or an .svg.",
        )
        title = click.option("--title", help="Headline of the picture.")
        return output(title(debug_option(function)))

    return decorate


def _save(
    output: Path, title: str | None, draw: Callable[..., Figure], *args: Any, **options: Any
) -> None:
    """Draw, write the file, and say so."""
    if title is not None:
        options["title"] = title
    try:
        figure = draw(*args, **options)
    except ImportError as error:
        raise Failure(str(error)) from error
    figure.savefig(output)
    click.echo(f"saved {output}")


# ---------------------------------------------------------------------- without a network


@plot.command(
    cls=Command,
    examples="nnkit plot activations\nnnkit plot activations sigmoid tanh -o smooth.svg",
    help=f"""Draw activation functions with their derivatives.

    NAMES are any of {", ".join(ACTIVATIONS)}; by default step, sigmoid and relu.
    """,
)
@click.argument("names", nargs=-1, type=click.Choice(list(ACTIVATIONS)), metavar="[NAMES]...")
@_picture("activations.png")
def activations(names: tuple[str, ...], output: Path, title: str | None) -> None:
    """Draw activation functions."""
    _save(output, title, plotting.activation_functions, *([names] if names else []))


@plot.command(cls=Command, examples="nnkit plot optimizers\nnnkit plot optimizers --steps 60")
@click.option(
    "--steps", type=click.IntRange(1), default=30, show_default=True, help="Of each optimizer."
)
@_picture("optimizers.png")
def optimizers(steps: int, output: Path, title: str | None) -> None:
    """Draw the ways of optimizers down a valley.

    The valley is f(x, y) = x^2 / 20 + y^2, and all start from (-7, 2): gradient descent, momentum,
    Nesterov's, AdaGrad, RMSProp and Adam.
    """
    _save(output, title, plotting.optimizer_paths, steps=steps)


# ---------------------------------------------------------------------- of a network


@plot.command(
    cls=Command,
    examples="nnkit plot curves runs/mnist -o curves.svg\n"
    "nnkit plot curves runs/mnist runs/mnist-2    two runs compared\n"
    "nnkit plot curves runs/*/history.json",
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@_picture("curves.png")
def curves(runs: tuple[str, ...], output: Path, title: str | None) -> None:
    """Draw the learning curves of a run, or of several.

    RUN is the folder of a run, or the history.json or model.safetensors in it. Several are drawn in
    one picture, each in a colour and named by its folder.
    """
    read = [histories.read(run, _load) for run in runs]
    drawn = dict(zip(histories.names(runs), read, strict=True)) if len(runs) > 1 else read[0]
    _save(output, title, plotting.learning_curves, drawn, validation="test")


@plot.command(cls=Command, examples="nnkit plot weights runs/mnist/model.safetensors --count 100")
@click.argument("checkpoint")
@click.option(
    "--count", type=click.IntRange(1), default=64, show_default=True, help="Units at most."
)
@_picture("weights.png")
def weights(checkpoint: str, count: int, output: Path, title: str | None) -> None:
    """Draw the weights of the first layer as images, one a unit.

    CHECKPOINT is a model.safetensors, of a network for images.
    """
    trainer = _load(checkpoint)
    shape = _image_shape(trainer, checkpoint)
    _save(output, title, plotting.first_layer_weights, trainer.model, shape, count=count)


def _image_shape(trainer: Trainer, path: str) -> tuple[int, int]:
    """Return height and width: what the checkpoint says, else those of a square."""
    if trainer.extra.get("image_shape") is not None:
        height, width, *colors = trainer.extra["image_shape"]
        if colors:
            raise Failure(f"{path} is no network for images with one channel")
        return height, width
    features = input_features(trainer) or 0
    side = math.isqrt(features)
    if "data" in trainer.extra or side == 0 or side**2 != features:
        raise Failure(f"{path} is no network for images with one channel")
    return side, side


@plot.command(
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
@_picture("digits.png")
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
    dataset, answers, names = _answers(checkpoint, data, backend)
    if dataset.image_shape is None or dataset.image_shape[2:] not in {(), (3,)}:
        raise Failure(f"{dataset.name} has no images, gray or in colour")
    right = float(np.mean(answers == dataset.t_test))
    if wrong and right == 1:
        raise Failure(f"{checkpoint} is right on all test images of {dataset.name}")
    _save(
        output,
        title or f"{dataset.name}: {right:.2%} of {len(answers):,} test images right",
        plotting.predicted_images,
        dataset.x_test.reshape(-1, *dataset.image_shape),
        dataset.t_test,
        answers,
        names,
        count=count,
        only_wrong=wrong,
    )


@plot.command(cls=Command, examples="nnkit plot confusion runs/mnist/model.safetensors")
@click.argument("checkpoint")
@click.argument("data", required=False)
@backend_option
@_picture("confusion.png")
def confusion(
    checkpoint: str, data: str | None, backend: str | None, output: Path, title: str | None
) -> None:
    """Draw how many test images of each class got which answer.

    CHECKPOINT is a model.safetensors. DATA is whatever "nnkit train" takes; by default it is what
    the network was trained on.
    """
    dataset, answers, names = _answers(checkpoint, data, backend)
    right = float(np.mean(answers == dataset.t_test))
    title = title or f"{dataset.name}: {right:.2%} of {len(answers):,} test images right"
    _save(output, title, plotting.confusion_matrix, dataset.t_test, answers, names)


def _answers(
    checkpoint: str, data: str | None, backend: str | None
) -> tuple[Dataset, NDArray[np.int64], tuple[str, ...]]:
    """Return the data, the network's answers to its test images, and the names of classes."""
    trainer = load_classifier(checkpoint, get_backend(backend))
    dataset, _ = dataset_of(trainer, checkpoint, data)
    probabilities = trainer.predict_proba(dataset.x_test)
    return dataset, probabilities.argmax(axis=1), class_names(trainer, probabilities.shape[1])


# ---------------------------------------------------------------------- in the plane


@plot.command(
    cls=Command,
    examples="nnkit plot boundary\n"
    "nnkit plot boundary --problem xor --hidden 0    a single neuron cannot\n"
    "nnkit plot boundary my-own.safetensors --problem ring",
)
@click.argument("checkpoint", required=False)
@click.option(
    "--problem", type=click.Choice(list(UNITS)), help="What is to be learned.  [default: xor]"
)
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
@_picture("boundary.png")
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
    _save(
        output,
        title or name,
        plotting.decision_regions,
        lambda grid: classes(trainer, grid),
        x,
        t,
        class_names(trainer, 0),
    )


def _load_planar(path: str, backend: str | None) -> Trainer:
    trainer = _load(path, backend)
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


def _load(path: str, backend: str | None = "numpy") -> Trainer:
    """Load a trainer, or one around the model where the file holds no more than that."""
    return load_trainer(path, get_backend(backend))
