"""Where each rank is in the run, as others hear of it, and for whom they wait in vain."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class _Place:
    """What is known of a rank: how many meetings it has entered and left, and since when.

    `busy` says whether its GPU has something unfinished to do, the same since `turned`.
    """

    heard: float
    since: float
    turned: float
    entered: int = 0
    left: int = 0
    busy: bool = False
    gone: bool = False


class Progress:
    """Judges who is late. A meeting is a sum or a gathering, which all ranks take part in.

    Of the sums of GPUs, which the host does not wait for, it is known that one GPU has been at the
    same work for long, and another has had nothing to do.

    Times are those of a clock that only goes forward, in seconds.
    """

    def __init__(self, ranks: range | list[int], size: int, timeout: float, now: float) -> None:
        self._places = {rank: _Place(now, now, now) for rank in ranks}
        self._size, self._timeout, self._last = size, timeout, now

    def hear(self, rank: int, entered: int, left: int, busy: bool, now: float) -> None:
        """Take note of where a rank is."""
        place = self._places[rank]
        place.heard = now
        if (place.entered, place.left) != (entered, left):
            place.entered, place.left, place.since = entered, left, now
        if place.busy != busy:
            place.busy, place.turned = busy, now

    def leave(self, rank: int) -> None:
        """Expect nothing more of a rank, which has come to the end of its program."""
        self._places[rank].gone = True

    def is_gone(self, rank: int) -> bool:
        """Whether a rank has come to its end."""
        return self._places[rank].gone

    def late(self, now: float) -> tuple[str, int | None] | None:
        """Say what is wrong, if anything, and which rank does not even give a sign of life.

        Whoever was stopped for long itself, as by Ctrl-Z, has not heard others, and forgives them.
        """
        if now - self._last > self._timeout / 2:
            for place in self._places.values():
                place.heard = place.since = place.turned = now
        self._last = now
        for rank, place in self._places.items():
            if not place.gone and now - place.heard > self._timeout:
                return self._unanswered(rank), rank
        waiting = [p for p in self._places.values() if p.entered > p.left and not p.gone]
        patience = now - self._timeout
        at_work = any(p.busy and p.turned < patience for p in self._places.values())
        for rank, place in self._places.items():
            behind = [p for p in waiting if p.entered > place.entered]
            idle = at_work and not place.busy and place.turned < patience
            if place.gone and (behind or idle):
                return f"rank {rank} of {self._size} ended before the others", None
            if idle or any(p.since < patience for p in behind):
                return self._unanswered(rank), None
        if len(waiting) == self._size and all(p.since < patience for p in waiting):
            return (
                f"all {self._size} ranks have waited for each other for {self._timeout:g} s: each "
                "must call the same methods in the same order, or needs a longer timeout"
            ), None
        return None

    def _unanswered(self, rank: int) -> str:
        return f"rank {rank} of {self._size} has not answered for {self._timeout:g} s"
