"""The server: a socket on this machine, and uvicorn in a thread behind it."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from types import TracebackType

import uvicorn

from nnkit.play.app import application
from nnkit.play.limits import MESSAGE_BYTES
from nnkit.play.rooms import Rooms

HOST, PORT = "127.0.0.1", 8765

SECONDS = 10
"""Within which it starts, and ends."""


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
        self.wanted, self.host = port, host
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        names = [] if host == HOST else [host]
        config = uvicorn.Config(
            application(rooms, self.token, self.port, names),
            ws="websockets-sansio",
            ws_max_size=MESSAGE_BYTES,
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="nnkit-server", daemon=True)

    @property
    def address(self) -> str:
        """Where the page is, with the token."""
        return f"http://{self.host}:{self.port}/?token={self.token}"

    def __enter__(self) -> Server:
        """Begin to serve."""
        self._thread.start()
        end = time.monotonic() + SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
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

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _listening(host: str, port: int) -> socket.socket:
    """A socket bound to the port, or where it is taken to one that is free."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    for tried in (port, 0):
        # Said to be TCP, so that asyncio sets TCP_NODELAY: else small answers wait 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, tried))
        except OSError:
            listening.close()
            if tried == 0:
                raise
        else:
            return listening
    raise AssertionError("port 0 is bound, or raises")
