"""Teams of threads: waiting, sleeping, waking, interruption, and several callers at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from nnkit.kernels.numba import interpreter, threads
from nnkit.kernels.numba.gradients import sum_of_squares
from nnkit.kernels.numba.jit import kernel
from nnkit.kernels.numba.tape import Tape
from nnkit.kernels.numba.team import ME, SIZE, barrier


@kernel
def pass_on(values: Any, team: Any) -> None:
    """Each member adds its neighbour's number to its own, all at once."""
    me = team[ME]
    before = values[(me + 1) % team[SIZE]]
    barrier(team)
    values[me] += before


@kernel
def count(values: Any, team: Any) -> None:
    """Add one, without any protection: for one thread at a time."""
    values[0] += 1


def run(tape: Tape, times: int, members: int) -> None:
    threads.carry_out(np.array(tape._instructions, np.int64), times, members)


@pytest.mark.parametrize("members", [2, 3, 4])
def test_members_wait_for_each_other(members):
    values, counts = np.arange(members, dtype=np.int64), np.zeros(1, np.int64)
    tape = Tape()
    tape.append(pass_on, (values,), members, 0)
    tape.append(count, (counts,), 1, 0)
    tape.append(pass_on, (values,), members, 0)
    expected = values.copy()
    for _ in range(40):
        expected += np.roll(expected, -1)
    run(tape, 20, members)
    assert values.tolist() == expected.tolist()
    assert counts.tolist() == [20]


def test_a_kernel_for_fewer_than_the_team():
    pair, three = np.arange(2, dtype=np.int64), np.arange(3, dtype=np.int64)
    tape = Tape()
    tape.append(pass_on, (pair,), 2, 0)
    tape.append(pass_on, (three,), 3, 0)
    run(tape, 1, 3)
    assert (pair.tolist(), three.tolist()) == ([1, 1], [1, 3, 2])


def test_more_members_than_threads_are_as_many_as_there_are():
    pair = np.arange(2, dtype=np.int64)
    tape = Tape()
    tape.append(pass_on, (pair,), 5, 0)
    run(tape, 1, 2)
    assert pair.tolist() == [1, 1]


def test_threads_sleep_and_are_woken():
    values = np.zeros(1, np.int64)
    tape = Tape()
    tape.append(count, (values,), 1, 0)
    run(tape, 1, 3)
    team = threads._team(3)
    for pause in (0, 0.0001, 0.0002, 0.0004, 0.02) * 4:
        time.sleep(pause)
        run(tape, 5, 3)
    deadline = time.monotonic() + 30
    while not team._requests[1:, interpreter.PARKED].all():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert values[0] == 101


def test_an_interruption_leaves_the_team_in_order(monkeypatch):
    values = np.zeros(1, np.int64)
    tape = Tape()
    tape.append(count, (values,), 1, 0)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(interpreter, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tape, 3, 2)
    assert not threads._team(2)._requests[:, interpreter.WANTED].any()
    run(tape, 3, 2)
    assert values[0] == 3


def test_a_second_caller_works_alone():
    x = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)
    expected = float((x.astype(float) ** 2).sum())

    def work(_: int) -> set[float]:
        total, sums = np.zeros(1), np.empty(32)
        tape = Tape()
        tape.append(sum_of_squares.function, (x, total, True, sums), 2, 32)
        results = set()
        for _ in range(20):
            tape.run(1)
            results.add(float(total[0]))
        return results

    with ThreadPoolExecutor(3) as pool:
        found = set().union(*pool.map(work, range(6)))
    assert len(found) == 1
    assert found.pop() == pytest.approx(expected, rel=1e-12)
