"""The view "draw": a digit is drawn, and the network says what it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnkit.play.connection import Connection, RefusedError
from nnkit.play.rooms import Room
from nnkit.play.wire import Array, Message

Recognise = Callable[[Array], Array]


class Draw(Room):
    """Answers each drawing with probabilities."""

    def __init__(self, connection: Connection, recognise: Recognise) -> None:
        super().__init__(connection)
        self.recognise = recognise

    def on_drawing(self, message: Message) -> None:
        """Answer one drawing."""
        pixels = message.get("pixels")
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 2:
            raise RefusedError("unknown_message", kind="drawing")
        probabilities = self.recognise(pixels)
        best = int(probabilities.argmax())
        self.connection.send("answer", best=str(best), probabilities=probabilities.tolist())
