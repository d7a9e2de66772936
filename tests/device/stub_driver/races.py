"""Work of two streams that touches the same memory, one of them to write, without being ordered.

On a GPU it may overlap. Here nothing ever does: a kernel is carried out as a whole, so that no
order of them shows two that share scratch memory. But what is ordered is known when work is given,
by what each stream has waited for, and the host: a clock counts, for every stream, how much of its
work comes before.

Memory is known by the addresses that kernels are given. Two that lie in one array are different, so
that not all races are found. Copies are left out: that they come too early or too late is what the
orders do show, and a copy to one half of an array may go on while a kernel reads the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Clock = dict[int, int]


@dataclass(eq=False)
class Access:
    """Addresses that an operation reads and writes, and the operation's place in time."""

    what: str = ""
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()
    stream: int = 0
    number: int = 0
    clock: Clock = field(default_factory=dict)

    def before(self, clock: Clock) -> bool:
        return clock.get(self.stream, 0) >= self.number


@dataclass
class _Users:
    """Who wrote to an address last, and who has read there since, by stream."""

    writer: Access | None = None
    readers: dict[int, Access] = field(default_factory=dict)


class Races:
    """What is known of the past. `found` says which operations race, each pair once."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._memory: dict[int, _Users] = {}
        self._host: Clock = {}
        self._counts: Clock = {}

    def forget(self) -> None:
        """The host has waited for everything."""
        self._memory, self._host = {}, dict(self._counts)

    def host_waited_for(self, access: Access) -> None:
        """All that is given from now on comes after this."""
        _learn(self._host, access)

    def give(self, access: Access, stream: int, after: Iterable[Access]) -> None:
        """Enter an operation of a stream, which comes after some others, and look for races."""
        access.stream = stream
        access.number = self._counts[stream] = self._counts.get(stream, 0) + 1
        access.clock = dict(self._host)
        for earlier in after:
            _learn(access.clock, earlier)
        access.clock[stream] = access.number
        for address in access.writes:
            users = self._memory.setdefault(address, _Users())
            self._check(access, [users.writer, *users.readers.values()])
            self._memory[address] = _Users(access)
        for address in access.reads - access.writes:
            users = self._memory.setdefault(address, _Users())
            self._check(access, [users.writer])
            users.readers[stream] = access

    def _check(self, access: Access, others: Iterable[Access | None]) -> None:
        for other in others:
            if other is not None and not other.before(access.clock):
                self.found.add(f"{other.what} and {access.what}")


def _learn(clock: Clock, access: Access) -> None:
    """Add an operation to what comes before, and all that came before it."""
    if not access.before(clock):
        for stream, number in access.clock.items():
            clock[stream] = max(number, clock.get(stream, 0))
