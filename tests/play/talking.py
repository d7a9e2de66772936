"""A page without a browser: says things to a room, and waits for what it answers."""

import queue
import threading
from contextlib import contextmanager

from hypothesis import strategies as st

from nnkit.play.connection import Connection
from nnkit.play.rooms import serve
from nnkit.play.wire import unpack

SECONDS = 60
"""How long to wait before a test fails."""

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
"""What JSON may hold, NaN and all."""


class Page:
    """The other end of a room's connection."""

    def __init__(self, make):
        self.came = queue.SimpleQueue()
        self.connection = Connection(lambda data: self.came.put(unpack(data)), lambda: None)
        self.thread = threading.Thread(target=serve, args=(make, self.connection), daemon=True)

    def say(self, kind, **fields):
        self.connection.put({"type": kind, **fields})

    def hear(self, *kinds):
        """The next message of one of these types; those before it are passed over."""
        while True:
            message = self.came.get(timeout=SECONDS)
            if message["type"] in kinds:
                return message
            assert message["type"] != "problem", message

    def close(self):
        self.connection.close()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        assert not self.connection.failed


@contextmanager
def talking(make):
    """A page that talks to a room; the room's thread has ended well behind the block."""
    page = Page(make)
    page.thread.start()
    try:
        yield page
    finally:
        page.close()
