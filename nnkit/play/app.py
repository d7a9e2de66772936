"""The web application: the page's files, and a WebSocket for each view that is open."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from nnkit.play.files import page
from nnkit.play.guard import Guard
from nnkit.play.limits import PAGES
from nnkit.play.rooms import Rooms
from nnkit.play.talk import FULL, talk


def application(
    rooms: Rooms,
    token: str,
    port: int,
    names: Iterable[str] = (),
    threads: set[threading.Thread] | None = None,
) -> ASGIApp:
    """Make the application for views of these names, and whoever has the token.

    `names` are those by which the machine is reached; `threads` is where the threads of pages are
    kept as long as they live.
    """
    files, alive = page(), set() if threads is None else threads

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return PlainTextResponse("There is no such file.\n", 404)
        content, kind = files[name]
        return Response(content, headers={"content-type": kind})

    async def views(_: Request) -> Response:
        return JSONResponse([*rooms])

    async def enter(socket: WebSocket) -> None:
        make = rooms.get(socket.path_params["view"])
        if make is None:
            await socket.close()  # refused, as a WebSocket that is nowhere is
            return
        await socket.accept()
        alive.difference_update([thread for thread in alive if not thread.is_alive()])
        if len(alive) >= PAGES:
            with suppress(WebSocketDisconnect, RuntimeError):  # it has gone meanwhile
                await socket.close(FULL, "too many pages are open")
            return
        await talk(socket, make, alive)

    routes = [
        Route("/", file),
        Route("/views", views),
        Route("/page/{name:path}", file),
        WebSocketRoute("/talk/{view}", enter),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return Guard(app, token, port, names)
