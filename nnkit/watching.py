"""Whether a person is looking: at a terminal, or at a notebook."""

from __future__ import annotations

import sys


def person_watches() -> bool:
    """Whether what is drawn on stderr moves before somebody's eyes.

    True for a terminal and for a notebook; false for a pipe, a file, a stream that does not say
    what it is, and where there is no stderr at all (as under ``pythonw``).
    """
    return in_notebook() or _is_terminal(sys.stderr)


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
