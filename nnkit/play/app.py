"""The web application: the page's files, and a WebSocket for each view that is open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from nnkit.play.connection import ClosedError, Connection
from nnkit.play.files import page
from nnkit.play.guard import Guard
from nnkit.play.limits import PAGES, WAITING_MESSAGES
from nnkit.play.rooms import Room, Rooms, serve
from nnkit.play.wire import MessageError, unpack

MALFORMED, FAILED, FULL = 1007, 1011, 1013
"""Why a connection was closed, as RFC 6455 and its registry number it."""


def application(rooms: Rooms, token: str, port: int, names: Iterable[str] = ()) -> ASGIApp:
    """Make the application for views of these names, and whoever has the token."""
    files, open_pages = page(), set[threading.Thread]()

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return PlainTextResponse("There is no such file.\n", 404)
        content, kind = files[name]
        return Response(content, headers={"content-type": kind})

    async def views(_: Request) -> Response:
        return JSONResponse([*rooms])

    async def talk(socket: WebSocket) -> None:
        make = rooms.get(socket.path_params["view"])
        await socket.accept()
        if make is None or len(open_pages) >= PAGES:
            await socket.close(FULL, "no such view, or too many open")
            return
        await _talk(socket, make, open_pages)

    routes = [
        Route("/", file),
        Route("/views", views),
        Route("/page/{name:path}", file),
        WebSocketRoute("/talk/{view}", talk),
    ]
    return Guard(Starlette(routes=routes), token, port, names)


async def _talk(
    socket: WebSocket, make: Callable[[Connection], Room], open_pages: set[threading.Thread]
) -> None:
    """Carry messages between a socket and a thread of its own, until one of them ends."""
    loop, room_left = asyncio.get_running_loop(), asyncio.Semaphore(WAITING_MESSAGES)
    ended = asyncio.Event()

    async def write(data: str | bytes) -> None:
        try:
            await (socket.send_text(data) if isinstance(data, str) else socket.send_bytes(data))
        except (WebSocketDisconnect, RuntimeError) as error:  # closed meanwhile
            raise ClosedError from error

    def taken() -> None:
        loop.call_soon_threadsafe(room_left.release)

    connection = Connection(
        lambda data: asyncio.run_coroutine_threadsafe(write(data), loop).result(),
        taken,
    )

    def be_there() -> None:
        serve(make, connection)
        loop.call_soon_threadsafe(ended.set)

    thread = threading.Thread(target=be_there, name=f"nnkit-page-{id(connection):x}", daemon=True)
    open_pages.add(thread)
    thread.start()
    code: int | None = FAILED
    reading = asyncio.ensure_future(_read(socket, connection, room_left))
    ending = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        code = reading.result() if reading.done() else FAILED
    finally:
        connection.close()
        reading.cancel()
        await ending
        open_pages.discard(thread)
    if code is not None:
        await socket.close(code)


async def _read(
    socket: WebSocket, connection: Connection, room_left: asyncio.Semaphore
) -> int | None:
    """Hand over what comes, until the page goes (None) or sends what is no message (why)."""
    while True:
        await room_left.acquire()
        came = await socket.receive()
        if came["type"] == "websocket.disconnect":
            return None
        try:
            connection.put(unpack(came.get("text") or came.get("bytes") or b""))
        except MessageError:
            return MALFORMED
