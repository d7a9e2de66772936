"""The bars of tqdm, and the room that there is for one."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from typing import Any

from nnkit.showing.watching import in_notebook


def bar_class(needed: bool) -> Any:
    """tqdm's bar for notebooks in one that can show it, else the one of characters.

    As ``tqdm.auto`` does, which warns where ipywidgets is missing. Without tqdm, None, or if the
    bar is needed an ImportError.
    """
    if find_spec("tqdm") is None and not needed:
        return None
    if in_notebook() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    return tqdm


def columns() -> int:
    """How many columns the terminal has, but for the last, which not all draw well."""
    try:
        wide = os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, ValueError, OSError):  # no terminal, or no file at all
        wide = 0
    return (wide or shutil.get_terminal_size().columns) - 1
