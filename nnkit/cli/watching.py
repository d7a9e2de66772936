"""A run that is seen in the browser while it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nnkit.cli.runs import Run
from nnkit.showing.watching import person_watches

if TYPE_CHECKING:
    from nnkit.play.watching.callback import Watch


def watched(run: Run, browser: bool) -> Watch:
    """Return what shows a run, with its images and the names of its classes."""
    from nnkit.play.watching.callback import Watch

    data = run.dataset
    return Watch(
        browser=None if browser else False,
        image_shape=data.image_shape,
        class_names=data.class_names,
    )


def stay(page: Watch) -> None:
    """Keep the page open for a person, until Ctrl-C."""
    if page.address is not None and person_watches():
        click.echo("The page stays open: Ctrl-C ends.", err=True)
        page.wait()
