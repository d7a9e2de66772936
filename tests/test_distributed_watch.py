"""Who is let in, who is late, and what is said of it: the watch's parts, without processes."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnkit.distributed.channel import Channel, RefusedError, identify, introduce
from nnkit.distributed.door import Door, call
from nnkit.distributed.ending import Process, kill_stopped, on_exception, this_process
from nnkit.distributed.meeting import join, receive_others
from nnkit.distributed.progress import Progress

TOKEN = b"token of this run"


@pytest.fixture
def door():
    door = Door("127.0.0.1", 0, TOKEN)
    yield door
    door.close()


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


class TestDoor:
    def test_strangers_are_sent_away_and_disturb_nobody(self, door):
        place = ("127.0.0.1", door.port)
        with (
            socket.create_connection(place) as silent,
            socket.create_connection(place) as talks,
            socket.create_connection(place) as leaves,
        ):
            talks.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            leaves.close()
            with pytest.raises(TimeoutError, match=r"closed|it is no rank of this run"):
                call([place], b"another token", "watch", 1, soon(0))
            ours = call([place], TOKEN, "watch", 1, soon())
            theirs = door.wait_for("watch", [1], soon())[1]
            ours.sendall(b"x")
            assert theirs.recv(1) == b"x"
            assert silent.recv(32), "still asked who it is"
            ours.close()
            theirs.close()

    def test_a_host_without_the_token(self):
        here, there = socket.socketpair()
        with here, there, ThreadPoolExecutor(1) as pool:
            here.settimeout(5)
            there.settimeout(5)
            asked = pool.submit(identify, there, b"another token")
            with pytest.raises((RefusedError, EOFError, TimeoutError)):
                there_closes = threading.Timer(0.2, there.close)
                there_closes.start()
                introduce(here, TOKEN, "watch", 1)
            there_closes.join()
            assert isinstance(asked.exception(), RefusedError)

    def test_two_processes_of_one_rank(self, door):
        place = ("127.0.0.1", door.port)
        both = [call([place], TOKEN, "watch", 1, soon()) for _ in range(2)]
        text = "two processes call themselves rank 1: each must have a RANK of its own, from 0 to 2"
        with pytest.raises(ValueError, match=f"^{text}$"):
            receive_others(door, 3, 5, False)
        for connection in both:
            connection.close()

    def test_ranks_learn_of_each_other(self, door):
        with ThreadPoolExecutor(2) as pool:
            places = [("127.0.0.1", 9), ("127.0.0.1", door.port)]
            joining = [pool.submit(join, r, places, TOKEN, 3, 5, True) for r in (1, 2)]
            met = [receive_others(door, 3, 5, True), *(each.result() for each in joining)]
        assert [sorted(each.channels) for each in met] == [[1, 2], [0], [0]]
        assert [sorted(each.sums) for each in met] == [[1, 2], [0, 2], [0, 1]]
        assert all(each.processes == [this_process()] * 3 for each in met)
        met[1].sums[2].sendall(b"x")
        assert met[2].sums[1].recv(1) == b"x"
        for each in met:
            for connection in (*each.channels.values(), *each.sums.values()):
                connection.close()


def test_messages_arrive_whole_and_in_order():
    ours, theirs = (Channel(side, 0.05) for side in socket.socketpair())
    with ThreadPoolExecutor(1) as pool:
        received = pool.submit(lambda: [theirs.receive() for _ in range(3)])
        time.sleep(0.1)  # longer than the time limit, which is that of sending
        ours.send("give", b"x" * 100_000)
        ours.send_unless_busy("beat", 1, 2)
        ours.send("bye")
        assert received.result(5) == [("give", b"x" * 100_000), ("beat", 1, 2), ("bye",)]
    ours.close()
    with pytest.raises(EOFError):
        theirs.receive()
    theirs.close()


class TestProgress:
    """Of three ranks, with a time limit of 10 s."""

    @pytest.fixture
    def progress(self):
        return Progress(range(3), 3, 10, now=0)

    def hear(self, progress, now, *places):
        for rank, (entered, left, *busy) in enumerate(places):
            progress.hear(rank, entered, left, bool(busy), now)

    def test_silence(self, progress):
        for now in range(1, 15):
            self.hear(progress, now, (1, 1), (1, 1))
            expected = ("rank 2 of 3 has not answered for 10 s", 2) if now > 10 else None
            assert progress.late(now) == expected

    def test_others_wait_for_one(self, progress):
        for now in range(1, 15):
            self.hear(progress, now, (5, 4), (4, 4), (5, 4))
            expected = ("rank 1 of 3 has not answered for 10 s", None) if now > 11 else None
            assert progress.late(now) == expected

    def test_one_that_works_for_long_while_nobody_waits(self, progress):
        for now in range(1, 50):
            self.hear(progress, now, (4, 4), (4, 4), (3, 3))
            assert progress.late(now) is None

    def test_gpus_wait_for_one(self, progress):
        for now in range(1, 15):
            self.hear(progress, now, (4, 4, "busy"), (4, 4), (4, 4, "busy"))
            expected = ("rank 1 of 3 has not answered for 10 s", None) if now > 11 else None
            assert progress.late(now) == expected

    def test_gpus_that_get_on(self, progress):
        """One is asked when it has just finished; for another all work is one."""
        for now in range(1, 50):
            busy = ("busy",) if now % 9 else ()
            self.hear(progress, now, (4, 4, "busy"), (4, 4, *busy), (4, 4, "busy"))
            assert progress.late(now) is None

    def test_all_wait_for_each_other(self, progress):
        for now in range(1, 12):
            self.hear(progress, now, (4, 3), (4, 3), (4, 3))
            assert progress.late(now) is None
        self.hear(progress, 12, (4, 3), (4, 3), (4, 3))
        assert progress.late(12) == (
            "all 3 ranks have waited for each other for 10 s: each must call the same methods in "
            "the same order, or needs a longer timeout",
            None,
        )

    def test_one_has_left(self, progress):
        self.hear(progress, 1, (4, 4), (4, 4), (4, 4))
        progress.leave(2)
        for now in range(1, 30):
            self.hear(progress, now, (4, 4), (4, 4))
            assert progress.late(now) is None
        self.hear(progress, 30, (5, 4), (4, 4))
        assert progress.late(30) == ("rank 2 of 3 ended before the others", None)

    def test_who_was_stopped_itself_forgives(self, progress):
        assert progress.late(1) is None
        assert progress.late(1000) is None
        assert progress.late(1001) is None


class TestEnding:
    def test_only_processes_of_this_machine_are_killed(self, monkeypatch):
        killed = []
        monkeypatch.setattr("os.kill", lambda pid, signal: killed.append(pid))
        ours = this_process()
        for numbers in ("", "another machine's"):
            kill_stopped(Process(ours.machine, numbers, 1))
        assert killed == []
        if ours.numbers:
            kill_stopped(ours._replace(pid=7))
            assert killed == [7]

    def test_an_exception_is_told_and_shown(self, monkeypatch):
        shown, told = [], []
        monkeypatch.setattr("sys.excepthook", lambda kind, *_: shown.append(kind))
        on_exception(told.append)
        import sys

        from nnkit.distributed import RankError

        for error in (ValueError("no such file"), RankError("of another")):
            sys.excepthook(type(error), error, None)
        assert shown == [ValueError, RankError]
        assert told == ["ValueError: no such file"]
