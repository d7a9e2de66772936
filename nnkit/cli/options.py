"""Options about a network and how it is trained, which several commands have."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.core import ParameterSource

from nnkit.activations import HIDDEN
from nnkit.cli.command import Name
from nnkit.cli.settings import RATES
from nnkit.models import MODELS


def _widths(_: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    """Read the widths of layers: "256,128", or "none" for no layer."""
    if value == "none":
        return ()
    widths = [width.strip() for width in value.split(",")]
    if not all(width.isascii() and width.isdigit() and int(width) for width in widths):
        raise click.BadParameter(
            f"{value!r} is neither widths such as 256,128 nor none", param=option
        )
    return tuple(map(int, widths))


model = click.option(
    "--model",
    type=Name(list(MODELS)),
    help="A convolutional network by its name.  "
    "[default: hidden layers, as --hidden, --activation and --dropout say]",
)

hidden = click.option(
    "--hidden",
    callback=_widths,
    metavar="WIDTHS",
    default="256,128",
    show_default=True,
    help="Widths of the hidden layers; none for a network without.",
)

activation = click.option(
    "--activation",
    type=Name(HIDDEN),
    default="relu",
    show_default=True,
    help="Behind each hidden layer.",
)

optimizer = click.option(
    "--optimizer",
    type=Name(list(RATES)),
    default="adam",
    show_default=True,
    help="How weights follow gradients; momentum is sgd with momentum 0.9.",
)

dropout = click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Fraction of each hidden layer that is left out at random in training.",
)

dtype = click.option(
    "--dtype",
    type=Name(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="What to compute in.",
)


def refuse_layers(context: click.Context, model: str | None) -> None:
    """Raise for an option about hidden layers beside a network that has its own."""
    for name, option in given(context):
        if model is not None and name in {"hidden", "activation", "dropout"}:
            raise click.UsageError(
                f"{option} cannot be given with --model: {model} has layers of its own; leave one "
                "of the two out",
                context,
            )


def given(context: click.Context) -> Iterator[tuple[str | None, str]]:
    """Names of the parameters on the command line, and how they are written there."""
    for option in context.command.params:
        if context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
            yield option.name, option.opts[0]
