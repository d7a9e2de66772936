"""The networks that can be drawn for: opened when one is asked for, and shared by all pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.recognising import Recogniser

Examples = tuple[NDArray[Any], NDArray[np.int64]]
Open = Callable[[Callable[[], None]], "Exhibit"]
"""Makes one, calling what it is given before it begins to train."""


class Exhibit:
    """A network, and what it is not to forget.

    Parameters
    ----------
    recogniser
        The network, which nobody changes.
    rehearsal
        Gives images (n, ...) as the network takes them, and their labels, of the data that it was
        trained on; None where there are none. It is called once, when they are needed.
    """

    def __init__(
        self, recogniser: Recogniser, rehearsal: Callable[[], Examples | None] = lambda: None
    ) -> None:
        self.recogniser = recogniser
        self._rehearsal = rehearsal
        self._read: list[Examples | None] = []
        self._reading = threading.Lock()

    def rehearsal(self) -> Examples | None:
        """Images and labels that the network knows, where there are any."""
        with self._reading:
            if not self._read:
                self._read = [self._rehearsal()]
            return self._read[0]


class Gallery:
    """Networks by name; the first is the one that a page begins with."""

    def __init__(self, ways: Mapping[str, Open]) -> None:
        self._ways = ways
        self._made: dict[str, Exhibit] = {}
        self._making = {name: threading.Lock() for name in ways}

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._ways)

    def open(self, name: str, training: Callable[[], None] = lambda: None) -> Exhibit:
        """The network of a name; `training` is called where that will take a while.

        Who asks for one that another page has trained now waits for the same.
        """
        if name not in self._made:
            if self._making[name].locked():
                training()
            with self._making[name]:
                if name not in self._made:
                    self._made[name] = self._ways[name](training)
        return self._made[name]
