"""A page's part, played by a program: requests with any headers, and WebSockets."""

from __future__ import annotations

import gc
import http.client
import logging
import threading
import time
from contextlib import closing

import numpy as np
from websockets.sync.client import connect

from nnkit.play.rooms import Room
from nnkit.play.wire import pack, unpack

SILENT = logging.Logger("silent")  # the server's words alone are looked at


class Echo(Room):
    """Says what it hears; says too much, waits, ends and fails when asked to."""

    def on_say(self, message):
        self.connection.send("said", **{k: v for k, v in message.items() if k != "type"})

    def on_flood(self, message):
        while True:
            self.connection.send("much", values=np.zeros(30_000, np.float32))

    def on_work(self, message):
        while not self.connection.waiting():
            time.sleep(0.002)

    def on_fail(self, message):
        raise ZeroDivisionError


def ask(server, path="/", method="GET", host=None, **headers):
    """The status, headers and body of an answer; the path goes out as it is."""
    where = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(where) as line:
        line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        line.putheader("Host", host or f"127.0.0.1:{server.port}")
        for name, value in headers.items():
            line.putheader(name, value)
        line.endheaders()
        answer = line.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def cookie(server, token=None):
    return f"nnkit-{server.port}={token or server.token}"


def talk(server, view="echo", *, headers=None, **how):
    """A WebSocket, as the page opens it."""
    given = {"Cookie": cookie(server)} if headers is None else headers
    address = f"ws://127.0.0.1:{server.port}/talk/{view}"
    return connect(address, additional_headers=given, proxy=None, logger=SILENT, **how)


def says(line, **fields):
    """What comes back for something said."""
    line.send(pack({"type": "say", **fields}))
    return unpack(line.recv(timeout=20))


def page_threads():
    return [thread for thread in threading.enumerate() if thread.name == "nnkit-page"]


def eventually(true, seconds=20):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        gc.collect()
        time.sleep(0.01)
