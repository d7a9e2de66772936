"""Load and abuse: answers stay right for a page beside, threads end, memory returns.

NNKIT_STRESS=1 tries all of it, a share of it less; else a little.
"""

from __future__ import annotations

import gc
import json
import struct
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from nnkit.play.server import Server
from tests.play.asking import Echo, eventually, page_threads, says, talk
from tests.stress.share import first_seed, share_of

MESSAGES = share_of(10_000, 400)
VISITS = share_of(1_000, 100)


@pytest.fixture
def server():
    with Server({"echo": Echo}, port=0) as server:
        yield server
    assert not page_threads()


def test_fifty_pages_at_once_are_all_answered(server):
    def visit(number):
        values = np.full(2000, number, np.float32)
        with talk(server) as line:
            return [says(line, n=number, values=values)["values"].mean() for _ in range(5)]

    with ThreadPoolExecutor(50) as pages:
        answers = list(pages.map(visit, range(50)))
    assert answers == [[number] * 5 for number in range(50)]


JUNK = [
    *(
        "",
        "{",
        "[]",
        "null",
        "3",
        "NaN",
        "[" * 3000,
        '{"a":' * 3000,
        '{"type": 3}',
        '{"type": "a"}',
    ),
    *('{"type": "say", "n": NaN}', '{"type": "say", "n": 1e999}', '{"type": "__class__"}'),
    *('{"type": "handle"}', '{"type": "say", "__proto__": {}}', '{"type": "say", "n": "\\ud800"}'),
    '{"type": "say", "n": %s}' % ("9" * 5000),
]
SHAPES = [[], [0], [8], [3, 3], [2**40], [2**23] * 3 + [0], [-1], [1.5], [True], "8", None, {}]


def junk(rng):
    """One message that no page sends: of any kind, in one piece or in several."""
    match rng.integers(5):
        case 0:
            data = JUNK[rng.integers(len(JUNK))]
        case 1:
            data = rng.bytes(rng.integers(200))
        case 2:
            data = '{"type": "say", "text": "%s"}' % ("x" * rng.integers(200_000))
            data = data[: rng.integers(1, len(data))]
        case 3:
            shape, dtype = SHAPES[rng.integers(len(SHAPES))], rng.choice(["uint8", "float32", "O"])
            head = json.dumps({"type": "say", "arrays": [["x", str(dtype), shape]]}).encode()
            head += b" " * (-(len(head) + 4) % 8)
            size = len(head) if rng.random() < 0.8 else int(rng.integers(2**32))
            data = struct.pack("<I", size) + head + rng.bytes(rng.integers(64))
        case _:
            text = bytearray(b'{"type": "say", "n": [1, 2, 3], "text": "abc"}')
            text[rng.integers(len(text))] = rng.integers(32, 127)
            data = text.decode()
    return [data[:1], data[1:]] if len(data) > 1 and rng.random() < 0.3 else data


def test_malformed_messages_leave_a_page_beside_as_it_was(server, caplog):
    rng = np.random.default_rng(first_seed())
    sent = 0
    with talk(server) as beside:
        while sent < MESSAGES:
            with talk(server) as line:
                try:
                    for _ in range(rng.integers(1, 20)):
                        line.send(junk(rng))
                        sent += 1
                except ConnectionClosed as error:
                    assert error.rcvd is None or error.rcvd.code in (1007, 1009)
                if rng.random() < 0.3:
                    line.close_socket()
            assert says(beside, n=sent)["n"] == sent
    assert not caplog.records


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_pages_that_come_and_go_leave_nothing_behind(server, monkeypatch):
    rooms = weakref.WeakSet()
    monkeypatch.setattr(Echo, "greet", partialmethod(_remember, rooms))

    def visits(count):
        for visit in range(count):
            with talk(server) as line:
                if visit % 3:
                    says(line, values=np.zeros(20_000, np.float32))
                if visit % 2:
                    line.close_socket()
        eventually(lambda: not page_threads())
        eventually(lambda: not rooms)
        gc.collect()
        return _memory(), len(list(Path("/proc/self/fd").iterdir()))

    before, descriptors = visits(50)
    after, open_now = visits(VISITS)
    assert after - before < 16 * 2**20
    assert open_now <= descriptors + 2


def _remember(room, rooms):
    rooms.add(room)


def _memory():
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.parametrize("fragments", [1, 40])
def test_too_large_in_any_number_of_pieces(server, fragments):
    piece = "x" * (800_000 // fragments)
    with talk(server) as line, pytest.raises(ConnectionClosed) as caught:
        line.send(piece for _ in range(fragments))
        line.recv(timeout=20)
    assert caught.value.rcvd is None or caught.value.rcvd.code == 1009


def test_a_page_far_ahead_of_its_thread_is_answered_in_order(server):
    with talk(server) as line:
        line.send('{"type": "work"}')
        for n in range(300):
            line.send(json.dumps({"type": "say", "n": n}))
        for n in range(300):
            assert json.loads(line.recv(timeout=20))["n"] == n
