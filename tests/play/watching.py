"""A page without a browser: what it would be sent, read until a message is the one waited for."""

from __future__ import annotations

from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.sync.client import connect

import nnkit
from nnkit.play.wire import pack, unpack

RNG = np.random.default_rng(7)
X = RNG.normal(size=(96, 16)).astype(np.float32)
T = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
UNSEEN = X[:48] + 0.3 * RNG.normal(size=(48, 16)).astype(np.float32), T[:48]


class Page:
    """Reads what a Watch tells; `last` has the latest message of each type."""

    def __init__(self, watch):
        place = urlsplit(watch.address)
        token = parse_qs(place.query)["token"][0]
        where = f"ws://{place.netloc}/talk/watch?token={token}"
        self._stack = ExitStack()
        self.socket = self._stack.enter_context(connect(where, max_size=None))
        self.last = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._stack.close()

    def until(self, kind, **wanted):
        """The first message of a type in which these fields are so, or were so before."""
        while not self._is(kind, wanted):
            message = unpack(self.socket.recv(timeout=20))
            self.last[message["type"]] = message
        return self.last[kind]

    def _is(self, kind, wanted):
        found = self.last.get(kind)
        return found is not None and all(found[name] == value for name, value in wanted.items())

    def send(self, kind, **fields):
        self.socket.send(pack({"type": kind, **fields}))


def trainer(outputs=3, loss=None, backend="numpy"):
    model = nnkit.Sequential(
        *(nnkit.Linear(16, 8), nnkit.Dropout(0.2), nnkit.ReLU(), nnkit.Linear(8, outputs)),
        seed=0,
        backend=backend,
    )
    return nnkit.Trainer(model, loss, nnkit.SGD(0.1, momentum=0.5))


def fit(one, *callbacks, epochs=4, batch=10, data=(X, T), validation=UNSEEN, **options):
    options = {"validation_data": validation, "callbacks": callbacks, "progress": False, **options}
    return one.fit(*data, epochs, batch, **options)


class Join(nnkit.Callback):
    """Opens a page when the run begins, so that snapshots are made of it."""

    comes_last = True

    def __init__(self, watch):
        self.watch = watch

    def on_fit_begin(self, trainer):
        self.page = Page(self.watch)
        self.page.until("frame")
