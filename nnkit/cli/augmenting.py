"""Augmentation on the command line: ``--augment shift=2,rotate=10``."""

from __future__ import annotations

from typing import Any

import click

from nnkit.augment import AUGMENTATIONS, Augment, listed
from nnkit.cli.command import Decorated

NAMES: dict[str, Any] = {name.lower(): cls for name, cls in AUGMENTATIONS.items()}
CHANGES = "shift=2, crop=4, flip, rotate=10, scale=0.1, cutout=8"


def read(_: click.Context, option: click.Parameter, value: str | None) -> Augment:
    """Read changes with commas in between; nothing given is none."""
    if value is None:
        return ()
    try:
        return listed([_one(part.strip()) for part in value.split(",")])
    except (ValueError, TypeError) as error:
        raise click.BadParameter(str(error), param=option) from None


def _one(text: str) -> Any:
    """Make the change that is called ``name=amount``, or ``flip``."""
    name, sign, amount = text.partition("=")
    known = NAMES.get(name)
    if known is None or not (sign or name == "flip"):
        raise ValueError(f"{text!r} is none of the changes, which are such as {CHANGES}")
    try:
        amounts = [float(amount)] if sign else []
    except ValueError:
        raise ValueError(f"{amount!r} in {text!r} is no number") from None
    return known(*amounts)


def augment_option(function: Decorated) -> Decorated:
    """Add --augment."""
    return click.option(
        "--augment",
        callback=read,
        metavar="CHANGES",
        help=f"Change images at random in training: such as {CHANGES}; several with commas.",
    )(function)
