"""Whether a team or one thread is faster at a tape, found out while it runs.

Nothing known beforehand tells. Two cores of one cache exchange data in no time; two that are
farther apart, share their units, or are wanted by other programs can make a team three times as
slow as one thread, and on virtual machines that changes from minute to minute. The results have
the same bits either way, so that both are tried, again and again.
"""

from math import inf

TRIAL_SECONDS = 0.003
PERIOD_SECONDS = 0.3
"""How long a trial takes, about, and how long at least the faster one then runs before the next."""
TRIAL_SHARE = 100
"""How many times as long as a trial the faster one runs, at least."""


class Pace:
    """Seconds that a pass over a tape takes with a team of so many members, and with one."""

    def __init__(self, members: int) -> None:
        self._seconds = {members: inf, 1: inf}
        self._tried = dict.fromkeys(self._seconds, False)
        self._left = 0.0

    def choose(self, times: int) -> tuple[int, int]:
        """Say how many members should carry out how many of the passes that are to come."""
        if len(self._seconds) == 1:
            return 1, times
        untried = [size for size, tried in self._tried.items() if not tried]
        if untried:
            return untried[0], self._passes(untried[0], TRIAL_SECONDS, times)
        best = min(self._seconds, key=lambda size: self._seconds[size])
        return best, self._passes(best, self._left, times)

    def note(self, members: int, passes: int, seconds: float) -> None:
        """Learn how long some passes took; the first of a size wakes it, and counts for little."""
        first = self._seconds[members] == inf
        self._seconds[members] = seconds / passes
        if first:
            return
        if not all(self._tried.values()):
            self._tried[members] = True
            self._left = max(PERIOD_SECONDS, TRIAL_SHARE * max(self._seconds.values()))
            return
        self._left -= seconds
        if self._left <= 0:
            self._tried = {size: size == members for size in self._tried}

    def _passes(self, members: int, seconds: float, most: int) -> int:
        """As many passes as fit in a time, at least one; few where the time is not known."""
        pace = self._seconds[members]
        return min(most, 1 if pace == inf else max(1, int(seconds / pace)))
