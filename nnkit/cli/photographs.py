"""How image files become a data set, on the command line: ``--image-size 32 --color``."""

from __future__ import annotations

import click

from nnkit.cli.command import Decorated


def _size(_: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read a size: "28", or "24x32" for height and width."""
    if value is None:
        return None
    sides = value.split("x")
    if len(sides) > 2 or not all(s.isascii() and s.isdigit() and int(s) for s in sides):
        raise click.BadParameter(
            f"{value!r} is neither a size such as 28 nor height and width such as 24x32",
            param=option,
        )
    return int(sides[0]), int(sides[-1])


def photograph_options(function: Decorated) -> Decorated:
    """Add --image-size and --color."""
    color = click.option("--color", is_flag=True, help="Keep the colours of image files.")
    size = click.option(
        "--image-size",
        metavar="SIZE",
        callback=_size,
        help="Scale image files to it: 28, or 24x32 for height and width.  "
        "[default: their own, if it is small and the same for all, else 28]",
    )
    return size(color(function))
