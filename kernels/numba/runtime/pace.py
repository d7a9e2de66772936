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
GROWTH = 4
"""How many times as long as the last the next stretch of the faster one is, up to that period.

A trial is over sooner than a busy core changes threads. Where others want the cores, a team's may
show what it takes undisturbed, and the passes after it, in which one member waits for another that
has to wait for its core, take several times as long: what is found then counts."""


class Pace:
    """Seconds that a pass over a tape takes with a team of so many members, and with one."""

    def __init__(self, members: int) -> None:
        self._seconds = {size: deque[float](maxlen=MEASURED) for size in (members, 1)}
        self._tried = dict.fromkeys(self._seconds, False)
        self._left = self._stretch = 0.0
        self._doubted = False

    def choose(self, times: int) -> tuple[int, int]:
        """Say how many members should carry out how many of the passes that are to come."""
        if len(self._seconds) == 1:
            return 1, times
        untried = [size for size, tried in self._tried.items() if not tried]
        if untried:
            return untried[0], self._passes(untried[0], TRIAL_SECONDS, times)
        best = min(self._seconds, key=lambda size: min(self._seconds[size]))
        return best, self._passes(best, min(self._left, self._stretch), times)

    def note(self, members: int, passes: int, seconds: float) -> None:
        """Learn how long some passes took; the first of a size wakes it, and counts for little."""
        found = self._seconds[members]
        found.append(seconds / passes)
        if len(found) == 1 or len(self._seconds) == 1:
            return
        if not all(self._tried.values()):
            self._tried[members] = True
            slowest = max(min(found, default=0.0) for found in self._seconds.values())
            self._left = max(PERIOD_SECONDS, TRIAL_SHARE * slowest)
            self._stretch, self._doubted = GROWTH * TRIAL_SECONDS, False
            return
        self._compare(members)
        self._left -= seconds
        if self._left <= 0:
            self._tried = {size: size == members for size in self._tried}

    def _compare(self, members: int) -> None:
        """Hold the faster one's last stretch against the other; slower twice, it counts alone."""
        found = self._seconds[members]
        slower = found[-1] > min(min(f) for size, f in self._seconds.items() if size != members)
        if slower and self._doubted:
            found.extend([found[-1]] * MEASURED)
        self._stretch = GROWTH * (TRIAL_SECONDS if slower else self._stretch)
        self._doubted = slower and not self._doubted

    def _passes(self, members: int, seconds: float, most: int) -> int:
        """As many passes as fit in a time, at least one; few where the time is not known."""
        found = self._seconds[members]
        return min(most, max(1, int(seconds / min(found)))) if found else 1
