"""What all pictures share: the options --output and --title, and the file that is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnkit.cli.command import Decorated, Failure, debug_option
from nnkit.files.paths import expand

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _check_ending(_: click.Context, option: click.Parameter, path: Path) -> Path:
    if path.suffix.lower() not in {".png", ".svg"}:
        raise click.BadParameter(f"{path} ends neither in .png nor in .svg", param=option)
    return expand(path)


def picture(default: str) -> Callable[[Decorated], Decorated]:
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


def save(
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
