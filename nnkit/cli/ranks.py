"""The command line started several times, by mpiexec for instance: rank 0 speaks and writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import click

from nnkit.data import DataError, available, load
from nnkit.distributed import communicator, launched
from nnkit.training.ranks import Ranks

DIVIDED = ("evaluate", "train")
"""Commands that several processes carry out together."""

_silenced: list[TextIO] = []


def here() -> Ranks:
    """Return the ranks that carry out the command."""
    context = click.get_current_context(silent=True)
    return (context and context.find_object(Ranks)) or Ranks()


def refuse_undivided(command: str | None) -> None:
    """Raise UsageError for a command that several processes cannot carry out together.

    None, for no command, shows help.
    """
    if not here().alone and command not in (*DIVIDED, None):
        raise click.UsageError(
            f"nnkit {command} is for one process, but {here().size} were started: leave mpiexec, "
            "srun or torchrun out"
        )


@contextmanager
def met() -> Iterator[Ranks]:
    """Meet the other processes that were started, if there are any; rank 0 alone is heard.

    Raises ClickException where they cannot be met.
    """
    try:
        ranks = Ranks(communicator() if launched() else None)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if ranks.rank == 0:
        yield ranks
        return
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        _silenced.append(sys.stderr)
        sys.stdout = sys.stderr = nowhere
        try:
            yield ranks
        finally:
            sys.stdout, sys.stderr = before
            _silenced.pop()


def errors_of_all() -> TextIO:
    """Return where a traceback is written that any rank may have."""
    return _silenced[-1] if _silenced else sys.stderr


def fetch(ranks: Ranks, data: str | None) -> None:
    """Have rank 0 download a data set that a rank does not find, before all look for it."""
    missing = [info.name for info in available() if info.location is None]
    if any(ranks.gather((data or "mnist") in missing)):
        if ranks.rank == 0:
            with suppress(DataError):  # which loading it tells of
                load(data or "mnist")
        ranks.gather(None)
