"""The server: a socket on this machine, and uvicorn in a thread behind it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import socket
import threading
import time
from types import TracebackType

import uvicorn

from nnkit.play.app import application
from nnkit.play.limits import BUSY_SECONDS, MESSAGE_BYTES
from nnkit.play.rooms import Rooms

HOST, PORT = "127.0.0.1", 8765

SECONDS = 10
"""Within which it starts, and ends."""

THREAD_SECONDS = 1
"""For which its end waits for the pages' threads; what one computes then ends with the process."""


class Server:
    """Serves a page with these views; as a context manager, until its end.

    Parameters
    ----------
    rooms
        Views by name, and what makes a room for each.
    host, port
        Where to listen. Where the port is taken, another is; 0: any that is free.

    Raises OSError where it cannot listen there.
    """

    def __init__(self, rooms: Rooms, host: str = HOST, port: int = PORT) -> None:
        self.token = secrets.token_urlsafe(16)
        self.wanted = port
        self._socket = _listening(host, port)
        self._number, self.port = self._socket.getsockname()[:2]
        self._pages: set[threading.Thread] = set()
        names = () if self.private else (host, socket.gethostname())
        config = uvicorn.Config(
            application(rooms, self.token, self.port, names, self._pages),
            loop="asyncio",
            http="h11",
            ws="websockets-sansio",
            ws_max_size=MESSAGE_BYTES,
            ws_ping_timeout=BUSY_SECONDS,
            ws_per_message_deflate=False,
            log_config=None,
            log_level="error",
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nnkit-server", daemon=True)

    @property
    def private(self) -> bool:
        """Whether it can be reached from this machine alone."""
        return ipaddress.ip_address(self._number).is_loopback

    @property
    def address(self) -> str:
        """Where the page is, with the token; for a browser on this machine where that can be."""
        number = ipaddress.ip_address(self._number)
        if number.is_unspecified:
            number = ipaddress.ip_address("127.0.0.1" if number.version == 4 else "::1")
        name = f"[{number}]" if number.version == 6 else str(number)
        return f"http://{name}:{self.port}/?token={self.token}"

    def wait(self) -> None:
        """Serve until a signal, such as Ctrl-C, or an error ends it."""
        # Not by Thread.join, which an interrupt leaves broken (bpo-45274), and not without end,
        # which cannot be interrupted on Windows.
        while not self._ended.wait(0.5):
            pass

    def __enter__(self) -> Server:
        """Begin to serve."""
        self._thread.start()
        end = time.monotonic() + SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                self._server.should_exit = True
                self._socket.close()
                raise OSError(f"the server did not start within {SECONDS} s")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open, and end."""
        self._server.should_exit = True
        self._thread.join(SECONDS)
        end = time.monotonic() + THREAD_SECONDS
        for thread in list(self._pages):
            thread.join(max(0, end - time.monotonic()))

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        await self._server.serve(sockets=[self._socket])
        for stuck in list(self._server.server_state.connections):  # whose page does not read
            stuck.transport.abort()
        await asyncio.sleep(0)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens at the port, or where that cannot be had at one that is free."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        try:
            return _listening_at(family, host, port)
        except OSError:
            return _listening_at(family, host, 0)
    except OSError as error:
        raise OSError(f"cannot listen at {host}: {error.strerror}") from error


def _listening_at(family: int, host: str, port: int) -> socket.socket:
    # Said to be TCP, so that asyncio sets TCP_NODELAY: else small answers wait 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would share a port that is in use
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening
