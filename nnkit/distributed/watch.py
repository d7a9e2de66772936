"""The watch that ranks keep over each other: each has a connection to rank 0, and a thread for it.

A rank that is killed is noticed by the end of its connection; one that hangs by its silence, or
because others wait for it in a meeting (a sum, a gathering); one that raises says so. Whatever is
first is told to all, and is what `check` raises from then on.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition, Event, Thread
from typing import Any

from nnkit.distributed.channel import Channel
from nnkit.distributed.contract import RankError
from nnkit.distributed.progress import Progress


class Watch:
    """A rank's part in the watch, with its connections: of rank 0 to all, of others to rank 0.

    `failed` is called once, in a thread of the watch, with what is wrong and the rank that does not
    give a sign of life, if it is that.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        channels: dict[int, Channel],
        timeout: float,
        failed: Callable[[str, int | None], None],
    ) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout
        self.failure: str | None = None
        self.told = False
        """Whether the program knows of the failure."""
        self._channels, self._failed = channels, failed
        self._entered = self._left = 0
        self.busy: Callable[[], bool] = lambda: False
        """Whether the GPU has something unfinished to do, the same since the last call."""
        self._boxes: dict[int, deque[Any]] = {other: deque() for other in channels}
        self._changed, self._closed = Condition(), Event()
        self._progress = Progress([rank, *channels], size, timeout, time.monotonic())
        for other in channels:
            Thread(target=self._listen, args=(other,), daemon=True, name="nnkit-watch").start()
        Thread(target=self._beat, daemon=True, name="nnkit-beat").start()
        if hasattr(os, "register_at_fork"):  # a child would keep the connection of a killed rank
            os.register_at_fork(after_in_child=self._forget)

    @contextmanager
    def meeting(self) -> Iterator[None]:
        """Have others know that this rank waits for them in a sum or a gathering."""
        self.check()
        self._entered += 1
        yield
        self._left = self._entered

    def check(self) -> None:
        """Raise RankError if a rank has failed."""
        if self.failure is not None:
            self.told = True
            raise RankError(self.failure)

    def lost(self) -> None:
        """Raise RankError with the reason why a connection broke, once that is known."""
        with self._changed:
            self._changed.wait_for(lambda: self.failure is not None, self.timeout)
        self.fail("a connection between ranks was lost")
        self.check()

    def give(self, rank: int, value: Any) -> None:
        """Send a rank something, which it gets by `take`; RankError if it has gone."""
        sent = False
        with suppress(OSError):
            self._channels[rank].send("give", value)
            sent = True
        if not sent:
            self.lost()

    def take(self, rank: int) -> Any:
        """Wait for what a rank gives; RankError if any fails before."""
        with self._changed:
            self._changed.wait_for(lambda: self.failure is not None or self._boxes[rank])
            self.check()
            return self._boxes[rank].popleft()

    def fail(self, why: str, silent: int | None = None) -> None:
        """Have all ranks end for this reason, if there has been none before."""
        with self._changed:
            if self.failure is not None:
                return
            self.failure = why
            self._changed.notify_all()
        self._failed(why, silent)
        self._tell("failed", why, silent, but=silent)

    def _notice(self, why: str, silent: int | None = None) -> None:
        """Say at once what is wrong: a launcher may end all ranks before an exception is shown."""
        if self.failure is None:
            os.write(2, f"nnkit: {why}\n".encode())
        self.fail(why, silent)

    def close(self, patience: float | None) -> None:
        """Say goodbye, and wait until all ranks have or are dead, no longer than `patience`.

        Rank 0 waits for the others, through which they hear of each other; they wait for nobody in
        a run that ended well.
        """
        self._progress.leave(self.rank)
        self._tell("bye", self._entered, self._left, False)
        if self.rank == 0 or self.failure is not None:
            others = list(self._channels)
            with self._changed:
                self._changed.wait_for(lambda: all(map(self._progress.is_gone, others)), patience)
        self._closed.set()
        for channel in self._channels.values():
            channel.close()

    def _tell(self, *message: Any, but: int | None = None) -> None:
        for other, channel in self._channels.items():
            with suppress(OSError):
                if other != but:
                    channel.send(*message)

    def _beat(self) -> None:
        """Give signs of life, and look who does not."""
        while not self._closed.wait(min(1.0, self.timeout / 5)):
            now = time.monotonic()
            busy = self._is_busy()
            self._progress.hear(self.rank, self._entered, self._left, busy, now)
            for channel in self._channels.values():
                with suppress(OSError):
                    channel.send_unless_busy("beat", self._entered, self._left, busy)
            late = self._progress.late(now)
            if late is not None:
                self._notice(*late)

    def _is_busy(self) -> bool:
        try:
            return self.busy()
        except Exception:  # of a GPU that has failed, which the program will hear of
            return False

    def _listen(self, other: int) -> None:
        try:
            while True:
                self._hear(other, *self._channels[other].receive())
        except (OSError, EOFError):
            if not self._closed.is_set() and not self._progress.is_gone(other):
                self._notice(f"rank {other} of {self.size} was killed, or lost its connection")
        with self._changed:
            self._progress.leave(other)
            self._changed.notify_all()

    def _hear(self, other: int, kind: str, *what: Any) -> None:
        if kind in ("beat", "bye"):
            entered, left, busy = what
            self._progress.hear(other, entered, left, busy, time.monotonic())
        if kind == "failed":
            self.fail(*what)
        with self._changed:
            if kind == "give":
                self._boxes[other].extend(what)
            if kind == "bye":
                self._progress.leave(other)
            self._changed.notify_all()

    def _forget(self) -> None:
        """Be no rank, in a process that was forked from one and has none of its threads."""
        for channel in self._channels.values():
            channel.forget()
        self._channels, self._changed = {}, Condition()  # which a thread may have held
        self.failure = f"this process is not rank {self.rank}, but was forked from it"
