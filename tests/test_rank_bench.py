"""The benches of ranks: what they measure with, what they say, and that nothing stays behind."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time

import pytest

from bench import rank, ranks, report, results, slow_network
from bench.children import PeerError
from bench.summaries import headline, show
from tests.ranks import on_ranks


def started(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_what_ranks_print_comes_in_their_order():
    assert ranks.answers([started("print(1)"), started("print(2)")]) == ["1\n", "2\n"]


def test_a_rank_that_fails_is_an_error():
    with pytest.raises(PeerError, match=re.escape("ranks ended with [0, 3]")):
        ranks.answers([started(""), started("raise SystemExit(3)")])


def test_ranks_that_do_not_end_are_killed(monkeypatch):
    monkeypatch.setattr(ranks, "PATIENCE", 0.1)
    running = [started("import time; time.sleep(60)") for _ in range(2)]
    with pytest.raises(PeerError, match=r"ranks have not ended after 0\.1 s"):
        ranks.answers(running)
    assert all(process.poll() for process in running)


def test_ranks_meet_where_rank_0_listens():
    first, second = ranks.environments(2, "10.0.0.1")
    assert (first.pop("RANK"), second.pop("RANK")) == ("0", "1")
    assert first == second
    assert (first["WORLD_SIZE"], first["MASTER_ADDR"]) == ("2", "10.0.0.1")


def test_training_is_timed_alone_and_on_ranks(monkeypatch):
    """The same number of epochs on all, though their clocks differ."""
    monkeypatch.setattr(rank, "SECONDS", 0.01)
    alone = rank.train("one-hidden", "numpy", None, 2)
    assert (alone["bytes"], alone["sum"]) == (4 * (785 * 128 + 129 * 10), 0)
    for found in on_ranks(2, lambda each: rank.train("one-hidden", "numpy", each, 2)):
        assert found["bytes"] == alone["bytes"]
        assert min(found["seconds"], found["sum"]) > 0


def record():
    """Two rounds on networks of one kind, in which ranks are 1.5 and 1.7 times as fast."""
    alone = [{"seconds": 3e-3, "bytes": 8, "sum": 0.0}, {"seconds": 3.4e-3, "bytes": 8, "sum": 0.0}]
    both = [{"seconds": 2e-3, "bytes": 8, "sum": 2e-4}, {"seconds": 2e-3, "bytes": 8, "sum": 4e-4}]
    rows = [
        ranks.row("lenet", way, found, alone)
        for way, found in (("1 thread", alone), ("2 ranks", both))
    ]
    call = {"name": "a sum", "size": 1000, "column": "float32, mpi", "yardstick": None}
    return results.make("ranks", [*rows, {**call, "seconds": 9e-6}])


def test_the_tables_say_what_was_measured(tmp_path):
    found = record()
    assert "2 ranks, times as fast as one thread: lenet 1.60" in headline(found)
    shown = show(results.load(results.save(found, tmp_path)))
    assert re.search(
        r"LeNet-5, batch 64, Adam +3,200 +1.60 \(1.50-1.70\) +1.68 +8 +300 +15%", shown
    )
    text = "<!-- bench:sums -->\n<!-- bench:end -->"
    assert "| 1,000 | 9.0 |" in report.fill(text, tmp_path)


linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


@linux
def test_packets_come_later_and_one_after_the_other():
    """10,000 bytes take 10 ms at this rate, and another 20 ms to get there."""
    (left, one), (right, other) = (socket.socketpair(type=socket.SOCK_DGRAM) for _ in range(2))
    done = threading.Event()
    ends = [one.fileno(), other.fileno()]
    carrier = threading.Thread(target=slow_network.carry, args=(ends, 0.02, 1e6, done))
    right.settimeout(10)
    carrier.start()
    try:
        begin = time.perf_counter()
        for first in (b"1", b"2"):
            left.send(first * 10_000)
        arrived = []
        for first in (b"1", b"2"):
            assert right.recv(1 << 16) == first * 10_000
            arrived.append(time.perf_counter() - begin)
        assert arrived[0] >= 0.03
        assert arrived[1] >= 0.04
    finally:
        done.set()
        carrier.join()
        for each in (left, one, right, other):
            each.close()


@linux
def test_a_line_without_the_right_to_make_one_leaves_nothing(monkeypatch):
    made = []

    def device(space, address):
        made.append(space)
        raise PermissionError("no right to")

    monkeypatch.setattr(slow_network, "device", device)
    monkeypatch.setattr(slow_network.subprocess, "run", lambda command, **_: made.append(command))
    with pytest.raises(PermissionError), slow_network.line(0, 1e9):
        pass
    assert made[0] == slow_network.SPACES[0]
    deleted = [["ip", "netns", "del", space] for space in slow_network.SPACES]
    assert made[1:] == deleted
