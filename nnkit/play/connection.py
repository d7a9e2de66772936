"""A page's connection, as its thread sees it: messages to wait for, messages to send."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from nnkit.play.wire import Message, pack


class ClosedError(Exception):
    """The page has gone: its thread ends."""


class RefusedError(Exception):
    """What the page asks for is not done; it is told so, and goes on.

    Parameters
    ----------
    code
        What is wrong; the page has a sentence for it in its language, ``problems.<code>``.
    values
        What the sentence names.
    """

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code, values)
        self.code, self.values = code, values


class Connection:
    """Both ends' words. All but `put` and `close` are called by the page's thread alone.

    `send` is what writes a packed message, waits until the page has room for it, and raises
    ClosedError where it has gone; `taken` is called when a message has been taken.
    """

    def __init__(self, send: Callable[[str | bytes], None], taken: Callable[[], None]) -> None:
        self._send, self._taken = send, taken
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._closed = False
        self.failed = False
        """Whether the thread has ended by an error of nnkit's own."""

    def put(self, message: Message) -> None:
        """Have a message wait for the thread."""
        self._inbox.put(message)

    def close(self) -> None:
        """Wake the thread, which gets ClosedError from now on."""
        self._closed = True
        self._inbox.put(None)

    def receive(self, seconds: float | None = None) -> Message | None:
        """The next message; None where none comes in so many seconds. None: as long as it takes.

        Raises ClosedError where the page has gone.
        """
        if self._closed:
            raise ClosedError
        try:
            message = self._inbox.get(timeout=seconds)
        except queue.Empty:
            return None
        if message is None:
            raise ClosedError
        self._taken()
        return message

    def waiting(self) -> bool:
        """Whether a message is waiting; raises ClosedError where the page has gone."""
        if self._closed:
            raise ClosedError
        return not self._inbox.empty()

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message of a type, with numbers, texts, lists, dictionaries and arrays."""
        if self._closed:
            raise ClosedError
        self._send(pack({"type": kind, **fields}))
