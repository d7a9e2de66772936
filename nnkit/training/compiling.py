"""Telling who waits that kernels are being compiled, which takes seconds, once on a machine."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnkit.kernels import compiling
from nnkit.showing.bars import bar_class, columns
from nnkit.showing.watching import in_notebook, person_watches
from nnkit.showing.words import counted

logger = logging.getLogger(__name__)

WORDS = "compiling for this processor, once"
PATIENCE_SECONDS = 0.3
"""How long compilation takes before a bar is drawn."""
LINE_SECONDS = 1.0
"""How long it takes before a line is written, where nobody sees a bar."""
REFRESH_SECONDS = 0.1
"""Least time between two looks at the bar."""


@contextmanager
def compilation_shown(shown: bool | None = None, line: bool = False) -> Iterator[None]:
    """Show what is compiled inside a ``with`` block, in this thread; nothing where nothing is.

    Whether it is shown or not, the number of kernels is logged behind it.

    Parameters
    ----------
    shown
        Whether to tell of it, on stderr: by a bar where a person watches, in a terminal or a
        notebook, elsewhere by one line. None: where a person watches.
    line
        Whether None, too, writes the line where nobody watches.
    """
    watched = person_watches()
    wanted = (watched or line) if shown is None else shown
    if compiling.listener() is not None:  # a caller shows it
        yield
        return
    display = _Display(bar_class(needed=False) if wanted and watched else None, wanted)
    try:
        with compiling.told(display):
            yield
    finally:
        display.close()
        if display.kernels:
            words = counted(display.kernels, "kernel"), display.seconds
            logger.info("compiled %s for this processor, in %.1f s", *words)


class _Display:
    """Counts the kernels that are compiled and the seconds that takes, and shows both if many."""

    def __init__(self, bar_class: Any, wanted: bool) -> None:
        self._bar_class, self._bar = bar_class, None
        self.kernels, self.seconds = 0, 0.0
        self._begun: float | None = None
        self._drawn = 0.0
        self.wanted, self._written = wanted, False

    def begin(self) -> None:
        """Show that a kernel, or a part of one, is compiled now."""
        now = time.perf_counter()
        self._begun = now if self._begun is None else self._begun
        seconds = self.seconds + now - self._begun
        if self._bar_class is None:
            self._write(seconds)
        else:
            self._draw(seconds, now)

    def end(self) -> None:
        """Count a kernel. Training goes on, perhaps: the bar goes away until the next one."""
        self.begin()
        if self._begun is not None:
            self.seconds += time.perf_counter() - self._begun
        self.kernels, self._begun = self.kernels + 1, None
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _write(self, seconds: float) -> None:
        if self.wanted and seconds >= LINE_SECONDS and not self._written and sys.stderr:
            print(f"nnkit: {WORDS}", file=sys.stderr, flush=True)
            self._written = True

    def _draw(self, seconds: float, now: float) -> None:
        if seconds < PATIENCE_SECONDS:
            return
        text = f"{WORDS}: kernel {self.kernels + 1}, {seconds:.0f} s"
        if self._bar is None:
            width = None if in_notebook() else columns()
            self._bar = self._bar_class(desc=text, leave=False, bar_format="{desc}", ncols=width)
        elif now - self._drawn >= REFRESH_SECONDS:
            self._bar.set_description_str(text)
        else:
            return
        self._drawn = now
