"""A connection between two ranks: both prove that they know the run's token, then messages pass.

What is no rank of this run, such as a scan of ports, never gets as far as a message: messages are
pickled, and unpickling runs whatever it is told to. Nothing is encrypted: ranks belong into a
network that is trusted.
"""

from __future__ import annotations

import hmac
import pickle
import secrets
import socket
import struct
from contextlib import suppress
from threading import Lock
from typing import Any

NONCE, PROOF = 32, 32
"""Bytes of what a proof is about, and of a proof (SHA-256)."""
PURPOSES = ("watch", "sum")
"""What a connection is for: messages of the watch, or sums."""


class RefusedError(ConnectionError):
    """The other side is no rank of this run."""


def introduce(connection: socket.socket, token: bytes, purpose: str, rank: int) -> None:
    """Say who calls, and for what; RefusedError if the other side does not know the token."""
    nonce = secrets.token_bytes(NONCE)
    theirs = receive_exactly(connection, NONCE)
    who = struct.pack("!BI", PURPOSES.index(purpose), rank)
    connection.sendall(who + nonce + _proof(token, b"caller", theirs + who))
    if not hmac.compare_digest(receive_exactly(connection, PROOF), _proof(token, b"host", nonce)):
        raise RefusedError("it is no rank of this run")


def identify(connection: socket.socket, token: bytes) -> tuple[str, int]:
    """Return for what a caller calls, and its rank; RefusedError if it does not know the token."""
    nonce = secrets.token_bytes(NONCE)
    connection.sendall(nonce)
    who, theirs = receive_exactly(connection, 5), receive_exactly(connection, NONCE)
    if not hmac.compare_digest(
        receive_exactly(connection, PROOF), _proof(token, b"caller", nonce + who)
    ):
        raise RefusedError("it is no rank of this run")
    connection.sendall(_proof(token, b"host", theirs))
    purpose, rank = struct.unpack("!BI", who)
    return PURPOSES[purpose], rank


def _proof(token: bytes, role: bytes, about: bytes) -> bytes:
    return hmac.digest(token, role + about, "sha256")


def receive_exactly(connection: socket.socket, count: int, patient: bool = False) -> bytes:
    """Receive so many bytes; EOFError at the end. Who is patient waits beyond the time limit."""
    buffer = bytearray(count)
    view, got = memoryview(buffer), 0
    while got < count:
        try:
            more = connection.recv_into(view[got:])
        except TimeoutError:
            if not patient:
                raise
            continue
        if not more:
            raise EOFError("the connection was closed")
        got += more
    return bytes(buffer)


class Channel:
    """Messages over a connection whose sides know each other: any values that pickle takes."""

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        connection.settimeout(timeout)  # of sending: who does not read for so long is not there
        self._connection, self._lock = connection, Lock()

    def send(self, *message: Any) -> None:
        """Send a message; OSError if the other side has gone."""
        with self._lock:
            self._send(message)

    def send_unless_busy(self, *message: Any) -> None:
        """Send a message, unless another is being sent: that is a sign of life as well."""
        if self._lock.acquire(blocking=False):
            try:
                self._send(message)
            finally:
                self._lock.release()

    def _send(self, message: tuple[Any, ...]) -> None:
        data = pickle.dumps(message)
        self._connection.sendall(struct.pack("!Q", len(data)) + data)

    def receive(self) -> tuple[Any, ...]:
        """Wait for a message; EOFError or OSError if there will be none."""
        (length,) = struct.unpack("!Q", receive_exactly(self._connection, 8, patient=True))
        message: tuple[Any, ...] = pickle.loads(
            receive_exactly(self._connection, length, patient=True)
        )
        return message

    def close(self) -> None:
        """End the connection, for a thread that waits for a message as well."""
        with suppress(OSError):  # that the other side was first
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def forget(self) -> None:
        """Leave the connection to the process that this one was forked from."""
        self._connection.close()
