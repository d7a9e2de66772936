"""Telling a page that kernels are compiled, which takes seconds, once on a machine."""

from __future__ import annotations

from contextlib import suppress

from nnkit.play.connection import ClosedError, Connection


class Telling:
    """Sends "preparing" where compilation begins: see `nnkit.kernels.compiling.Listener`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._told = connection, False

    def begin(self) -> None:
        """Say so; that the page has gone is noticed behind the compilation."""
        if not self._told:
            self._told = True
            with suppress(ClosedError):
                self._connection.send("preparing")

    def end(self) -> None:
        """Say nothing: what was compiled for follows."""
        self._told = False
