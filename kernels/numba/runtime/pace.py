"""Whether a team or one thread is faster at a tape, found out while it runs.

Nothing known beforehand tells. Two cores of one cache exchange data in no time; two that are
farther apart, share their units, or are wanted by other programs can make a team three times as
slow as one thread, and on virtual machines that changes from minute to minute. The results have
the same bits either way, so that both are tried, again and again.
"""

from collections import deque

TRIAL_SECONDS = 0.003
PERIOD_SECONDS = 0.3
"""How long a trial takes, about, and how long at least the faster one then runs before the next."""
TRIAL_SHARE = 100
"""How many times as long as a trial the faster one runs, at least."""
MEASURED = 3
"""Stretches of which the fastest counts: a thread that wakes late, or another program, makes a
single one twice as long."""


class Pace:
    """Seconds that a pass over a tape takes with a team of so many members, and with one."""

    def __init__(self, members: int) -> None:
        self._seconds = {size: deque[float](maxlen=MEASURED) for size in (members, 1)}
        self._tried = dict.fromkeys(self._seconds, False)
        self._left = 0.0

    def choose(self, times: int) -> tuple[int, int]:
        """Say how many members should carry out how many of the passes that are to come."""
        if len(self._seconds) == 1:
            return 1, times
        untried = [size for size, tried in self._tried.items() if not tried]
        if untried:
            return untried[0], self._passes(untried[0], TRIAL_SECONDS, times)
        best, other = sorted(self._seconds, key=lambda size: min(self._seconds[size]))
        doubtful = self._seconds[best][-1] > min(self._seconds[other])
        return best, self._passes(best, TRIAL_SECONDS if doubtful else self._left, times)

    def note(self, members: int, passes: int, seconds: float) -> None:
        """Learn how long some passes took; the first of a size wakes it, and counts for little."""
        self._seconds[members].append(seconds / passes)
        if len(self._seconds[members]) == 1:
            return
        if not all(self._tried.values()):
            self._tried[members] = True
            slowest = max(min(found, default=0.0) for found in self._seconds.values())
            self._left = max(PERIOD_SECONDS, TRIAL_SHARE * slowest)
            return
        self._left -= seconds
        if self._left <= 0:
            self._tried = {size: size == members for size in self._tried}

    def _passes(self, members: int, seconds: float, most: int) -> int:
        """As many passes as fit in a time, at least one; few where the time is not known."""
        found = self._seconds[members]
        return min(most, max(1, int(seconds / min(found)))) if found else 1
