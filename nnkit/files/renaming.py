"""Renaming a file to the place of another, which Windows refuses while somebody has that open."""

from __future__ import annotations

import os
import time
from pathlib import Path

WINDOWS = os.name == "nt"
TRIES, SECONDS = 40, 0.05
"""How often to try, and how long to wait in between: readers and virus scanners are soon done."""


def rename(file: Path, place: Path) -> None:
    """Put a file in the place of another, or where there is none.

    Raises OSError where that cannot be: on Windows, after two seconds, PermissionError where
    another program has the old file open.
    """
    for left in reversed(range(TRIES if WINDOWS else 1)):
        try:
            file.replace(place)
            return
        except PermissionError as error:
            if not WINDOWS:
                raise
            if not left:
                reason = "is open in another program, or read-only: close it there, or save under "
                raise PermissionError(error.errno, f"{reason}another name", str(place)) from error
            time.sleep(SECONDS)
