"""Names of files with a run's figures in them: "epoch-{epoch}-{val_loss:.3f}.safetensors"."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from string import Formatter
from typing import Any

from nnkit.given.options import Option, shown


class Template(Option):
    """The attribute that is such a name, with its folders, kept as a string."""

    def checked(self, name: str, value: Any) -> str:
        """Return it; raises TypeError for what is no path, ValueError for braces that fail."""
        path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        if not isinstance(path, str):
            raise TypeError(f"{name} must be a path, not {shown(value)}")
        try:
            found = fields(path)
            path.format(**{field: 1 if field == "epoch" else 0.5 for field in found})
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(
                f"{name} must have figures in braces, such as {{epoch}} or {{val_loss:.3f}}, and "
                f"'{{{{' for a brace, not {shown(value)}"
            ) from error
        return path


def fields(path: str) -> set[str]:
    """Names in braces; raises ValueError where they do not match."""
    return {name for _, name, _, _ in Formatter().parse(path) if name is not None}


def check(owner: str, path: str, known: Collection[str]) -> None:
    """Raise ValueError where a name in braces is no figure of the run, nor "epoch"."""
    for name in sorted(fields(path) - {"epoch", *known}):
        raise ValueError(
            f"{owner}: there is no {name} in the history for {shown(path)}: choose of epoch, "
            f"{', '.join(known)}"
        )


def filled_in(path: str, epoch: int, figures: Mapping[str, float]) -> str:
    """Return the name of an epoch, which is counted from 0 and written from 1."""
    return path.format(**{**figures, "epoch": epoch + 1})
