"""A room is what one view of the page talks to: a thread of its own, as long as it is open."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from nnkit.play.connection import ClosedError, Connection, RefusedError
from nnkit.play.wire import Message

_logger = logging.getLogger(__name__)


class Room:
    """Answers a page's messages, one after the other, in the page's thread.

    A subclass has a method ``on_<type>(message)`` for each type of message; it may replace `serve`.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def greet(self) -> None:
        """Say what the page has to know first."""

    def serve(self) -> None:
        """Answer until the page goes, which raises ClosedError."""
        self.greet()
        while True:
            message = self.connection.receive()
            assert message is not None
            self.handle(message)

    def handle(self, message: Message) -> None:
        """Carry out what one message asks for, or say why it is refused."""
        answer = getattr(self, f"on_{message['type']}", None)
        try:
            if answer is None:
                raise RefusedError("unknown_message", kind=message["type"][:40])
            answer(message)
        except RefusedError as error:
            self.connection.send("problem", code=error.code, values=error.values)


Rooms = Mapping[str, Callable[[Connection], Room]]
"""Views by name, and what makes a room for each."""


def serve(make: Callable[[Connection], Room], connection: Connection) -> None:
    """Be a page's thread: make the room, and stay in it until the page goes."""
    try:
        make(connection).serve()
    except ClosedError:
        pass
    except Exception:
        _logger.exception("a page's thread ended")
        connection.failed = True
