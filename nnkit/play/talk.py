"""A socket and a page's thread: messages go both ways between the loop and the thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from nnkit.play.connection import ClosedError, Connection
from nnkit.play.limits import WAITING_MESSAGES
from nnkit.play.rooms import Room, serve
from nnkit.play.wire import MessageError, unpack

DONE, MALFORMED, FAILED, FULL = 1000, 1007, 1011, 1013
"""Why a connection was closed, as RFC 6455 and its registry number it."""


class Bridge:
    """A thread's way into the loop, which is shut before the loop ends.

    `post` and `send` are the thread's, everything else is the loop's.
    """

    def __init__(self) -> None:
        self._loop, self._lock = asyncio.get_running_loop(), threading.Lock()
        self._open = True
        self._sending: Future[None] | None = None
        self.outbox: asyncio.Queue[tuple[str | bytes, Future[None]]] = asyncio.Queue()

    def post(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have the loop call something; nothing happens once the page has gone."""
        with self._lock:
            if self._open:
                self._loop.call_soon_threadsafe(call, *arguments)

    def send(self, data: str | bytes) -> None:
        """Wait until the page has room for a message and it is on its way, or raise ClosedError."""
        sent: Future[None] = Future()
        with self._lock:
            if not self._open:
                raise ClosedError
            self._sending = sent
            self._loop.call_soon_threadsafe(self.outbox.put_nowait, (data, sent))
        sent.result()

    def shut(self) -> None:
        """Let nothing more through; a thread that waits for its message gets ClosedError."""
        with self._lock:
            self._open = False
        if self._sending is not None and not self._sending.done():
            self._sending.set_exception(ClosedError())


async def talk(
    socket: WebSocket, make: Callable[[Connection], Room], alive: set[threading.Thread]
) -> None:
    """Carry messages between a socket and a thread of its own, until one of them ends.

    The thread may live a little longer, until it next looks at its connection.
    """
    bridge, places, ended = Bridge(), asyncio.Semaphore(WAITING_MESSAGES), asyncio.Event()
    connection = Connection(bridge.send, lambda: bridge.post(places.release))

    def be_there() -> None:
        serve(make, connection)
        bridge.post(ended.set)

    thread = threading.Thread(target=be_there, name="nnkit-page", daemon=True)
    alive.add(thread)
    thread.start()
    reading = asyncio.ensure_future(_read(socket, connection, places))
    writing = asyncio.ensure_future(_write(socket, bridge.outbox))
    ending = asyncio.ensure_future(ended.wait())
    tasks = reading, writing, ending
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        connection.close()
        bridge.shut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    why = None
    if not reading.cancelled():
        why = reading.result()
    elif not ending.cancelled():
        why = FAILED if connection.failed else DONE
    if why is not None:
        with suppress(WebSocketDisconnect, RuntimeError):  # it has gone meanwhile
            await socket.close(why)


async def _read(socket: WebSocket, connection: Connection, places: asyncio.Semaphore) -> int | None:
    """Hand over what comes, until the page goes (None) or sends what is no message (why)."""
    while True:
        await places.acquire()
        came = await socket.receive()
        if came["type"] == "websocket.disconnect":
            return None
        try:
            connection.put(unpack(came.get("text") or came.get("bytes") or b""))
        except MessageError:
            return MALFORMED


async def _write(
    socket: WebSocket, outbox: asyncio.Queue[tuple[str | bytes, Future[None]]]
) -> None:
    """Send what the thread has for the page, until the page has gone."""
    while True:
        data, sent = await outbox.get()
        try:
            await (socket.send_text(data) if isinstance(data, str) else socket.send_bytes(data))
        except (WebSocketDisconnect, RuntimeError):
            return
        sent.set_result(None)
