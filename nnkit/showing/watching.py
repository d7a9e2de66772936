"""Whether a person is looking: at a terminal, or at a notebook."""

from __future__ import annotations

import sys
from typing import Literal


def person_watches(stream: Literal["stderr", "stdout"] = "stderr") -> bool:
    """Whether what is drawn on stderr, or stdout, moves before somebody's eyes.

    True for a terminal and for a notebook; false for a pipe, a file, a stream that does not say
    what it is, and where there is no such stream at all (as under ``pythonw``).
    """
    return in_notebook() or _is_terminal(getattr(sys, stream))


def in_notebook() -> bool:
    """Whether this is a notebook's process, whose output a browser draws."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):  # no stream, one without isatty, one that is closed
        return False
