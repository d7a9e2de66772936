"""Where a rank listens for others, and how they come there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from threading import Condition, Thread

from nnkit.distributed.channel import identify, introduce

POLITE = 5.0
"""Seconds that a caller has to prove who it is."""


class Door:
    """Takes in those ranks that prove to be such; others are sent away, and do not disturb."""

    def __init__(self, host: str, port: int, token: bytes) -> None:
        """Listen; OSError if that cannot be."""
        family = socket.getaddrinfo(host or None, port, flags=socket.AI_PASSIVE)[0][0]
        self._listener = socket.create_server((host, port), family=family, backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._token, self._open = token, True
        self._came: dict[tuple[str, int], socket.socket] = {}
        self._twice: set[int] = set()
        self._changed = Condition()
        Thread(target=self._accept, name="nnkit-door", daemon=True).start()

    def wait_for(
        self, purpose: str, ranks: Iterable[int], deadline: float
    ) -> dict[int, socket.socket]:
        """Return the connections of these ranks, once all have come.

        Raises TimeoutError that names those which have not, ValueError for a rank that came twice.
        """
        wanted = {(purpose, rank) for rank in ranks}
        with self._changed:
            while not wanted <= self._came.keys() and not self._twice:
                left = deadline - time.monotonic()
                if left <= 0:
                    missing = sorted(rank for _, rank in wanted - self._came.keys())
                    raise TimeoutError(", ".join(map(str, missing)))
                self._changed.wait(left)
            if self._twice:
                raise ValueError(f"two processes call themselves rank {min(self._twice)}")
            return {rank: self._came.pop((purpose, rank)) for _, rank in wanted}

    def close(self) -> None:
        """Listen no longer."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, on Linux
        self._listener.close()
        with self._changed:
            self._open = False
            for connection in self._came.values():
                connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._take_in, args=(connection,), daemon=True).start()

    def _take_in(self, connection: socket.socket) -> None:
        connection.settimeout(POLITE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            who = identify(connection, self._token)
        except (OSError, EOFError, IndexError):
            connection.close()
            return
        with self._changed:
            if who in self._came or not self._open:
                self._twice.add(who[1])
                connection.close()
            else:
                self._came[who] = connection
            self._changed.notify_all()


def call(
    addresses: Iterable[tuple[str, int]], token: bytes, purpose: str, rank: int, deadline: float
) -> socket.socket:
    """Connect to a door at the first address that answers; TimeoutError says why none does."""
    places = list(addresses)
    while True:
        for place in places:
            try:
                left = max(0.1, deadline - time.monotonic())
                return _connected(place, min(POLITE, left), token, purpose, rank)
            except (OSError, EOFError) as error:
                why = f"{place[0]}:{place[1]}: {error}"
        if time.monotonic() > deadline:
            raise TimeoutError(why)
        time.sleep(0.05)


def _connected(
    place: tuple[str, int], timeout: float, token: bytes, purpose: str, rank: int
) -> socket.socket:
    connection = socket.create_connection(place, timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        introduce(connection, token, purpose, rank)
    except BaseException:
        connection.close()
        raise
    return connection
