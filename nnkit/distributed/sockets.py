"""Sums over TCP, where there is no MPI: each rank has a connection to every other."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from nnkit.distributed.pieces import Numbers, PieceSum
from nnkit.distributed.watch import Watch

_MOVES = {
    selectors.EVENT_READ: socket.socket.recv_into,
    selectors.EVENT_WRITE: socket.socket.send,
}
LOOK = 0.2
"""Seconds after which who waits for others looks whether they are still there."""


class SocketSum:
    """Adds up arrays of the host through one connection for each other rank."""

    def __init__(self, connections: dict[int, socket.socket], watch: Watch) -> None:
        self._connections, self._watch = connections, watch
        self._pieces = PieceSum(self._exchange, watch.rank, watch.size)
        for connection in connections.values():
            connection.setblocking(False)

    def add_up(self, flat: Numbers, wire: str | None) -> None:
        """Replace a vector by the sum of all ranks', sent in 16 bits if `wire` names them."""
        self._pieces.add_up(flat, wire)

    def _exchange(self, out: Sequence[Numbers], into: Sequence[Numbers]) -> None:
        """Send each rank its array while theirs are received; RankError if one fails."""
        with selectors.DefaultSelector() as selector:
            for rank, connection in self._connections.items():
                left = {
                    selectors.EVENT_WRITE: _bytes(out[rank]),
                    selectors.EVENT_READ: _bytes(into[rank]),
                }
                _expect(selector, connection, left)
            while selector.get_map():
                self._watch.check()
                for key, events in selector.select(LOOK):
                    if not _move(selector, key, events):
                        self._watch.lost()

    def close(self) -> None:
        """End the connections."""
        for connection in self._connections.values():
            with suppress(OSError):
                connection.close()


def _bytes(array: Numbers) -> memoryview:
    return array.view(np.uint8).data


def _expect(
    selector: selectors.BaseSelector, connection: socket.socket, left: dict[int, memoryview]
) -> None:
    """Wait for what a connection has left to do."""
    events = sum(event for event, data in left.items() if data)
    registered = connection in selector.get_map()
    if events and registered:
        selector.modify(connection, events, left)
    elif events:
        selector.register(connection, events, left)
    elif registered:
        selector.unregister(connection)


def _move(selector: selectors.BaseSelector, key: selectors.SelectorKey, events: int) -> bool:
    """Send and receive as much as a connection takes and has; return whether it is still there."""
    connection, left = key.fileobj, key.data
    assert isinstance(connection, socket.socket)
    before = [bool(data) for data in left.values()]
    try:
        for event, move in _MOVES.items():
            if events & event:
                moved = move(connection, left[event])
                if not moved:
                    return False
                left[event] = left[event][moved:]
    except BlockingIOError:  # it was not ready after all
        pass
    except OSError:
        return False
    if before != [bool(data) for data in left.values()]:
        _expect(selector, connection, left)
    return True
