"""Teams of threads: waiting, sleeping, waking, interruption, and several callers at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from nnkit.kernels.numba.codegen.jit import kernel, shared
from nnkit.kernels.numba.gradients import sum_of_squares
from nnkit.kernels.numba.runtime import interpreter, threads
from nnkit.kernels.numba.runtime.memory import ME, PARKED, SIZE, WANTED
from nnkit.kernels.numba.runtime.tape import Tape
from nnkit.kernels.numba.runtime.team import barrier


@shared(grain=1)
def pass_on(values: Any, team: Any) -> None:
    """Each member adds its neighbour's number to its own, all at once."""
    me = team[ME]
    before = values[(me + 1) % team[SIZE]]
    barrier(team)
    values[me] += before


@shared(grain=1)
def count(values: Any, team: Any) -> None:
    """Add one, without any protection: for one thread at a time."""
    values[0] += 1


def carry_out(tape: Tape, times: int, members: int) -> None:
    threads.carry_out(np.array(tape._instructions, np.int64), times, members)


@pytest.mark.parametrize("members", [2, 3, 4])
def test_members_wait_for_each_other(members):
    values, counts = np.arange(members, dtype=np.int64), np.zeros(1, np.int64)
    tape = Tape()
    tape.append(pass_on.function, (values,), members, 0)
    tape.append(count.function, (counts,), 1, 0)
    tape.append(pass_on.function, (values,), members, 0)
    expected = values.copy()
    for _ in range(40):
        expected += np.roll(expected, -1)
    carry_out(tape, 20, members)
    assert values.tolist() == expected.tolist()
    assert counts.tolist() == [20]


def test_a_kernel_for_fewer_than_the_team():
    pair, three = np.arange(2, dtype=np.int64), np.arange(3, dtype=np.int64)
    tape = Tape()
    tape.append(pass_on.function, (pair,), 2, 0)
    tape.append(pass_on.function, (three,), 3, 0)
    carry_out(tape, 1, 3)
    assert (pair.tolist(), three.tolist()) == ([1, 1], [1, 3, 2])


def test_more_members_than_threads_are_as_many_as_there_are():
    pair = np.arange(2, dtype=np.int64)
    tape = Tape()
    tape.append(pass_on.function, (pair,), 5, 0)
    carry_out(tape, 1, 2)
    assert pair.tolist() == [1, 1]


def test_threads_sleep_and_are_woken():
    values = np.zeros(1, np.int64)
    tape = Tape()
    tape.append(count.function, (values,), 1, 0)
    carry_out(tape, 1, 3)
    team = threads._shared.team_of(3)
    for pause in (0, 0.0001, 0.0002, 0.0004, 0.02) * 4:
        time.sleep(pause)
        carry_out(tape, 5, 3)
    deadline = time.monotonic() + 30
    while not team._requests[1:3, PARKED].all():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert values[0] == 101


class Interrupting:
    """A semaphore at whose release the user presses Ctrl-C."""

    def release(self) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["before waking", "before leading"])
def test_an_interruption_leaves_the_team_in_order(monkeypatch, where):
    values = np.arange(3, dtype=np.int64)
    tape = Tape()
    tape.append(pass_on.function, (values,), 3, 0)
    team = threads._shared.team_of(3)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    while not team._requests[1:3, PARKED].all():
        time.sleep(0.001)
    with monkeypatch.context() as patch:
        if where == "before waking":
            patch.setattr(team, "_wake", [*team._wake[:2], Interrupting()])
        else:
            patch.setattr(interpreter, "lead", interrupted)
        with pytest.raises(KeyboardInterrupt):
            carry_out(tape, 3, 3)
    assert not team._requests[:, WANTED].any()
    carry_out(tape, 1, 3)
    assert values.tolist() == [1, 3, 2]


def test_a_larger_team_takes_the_place_of_the_smaller():
    before = threads._shared.team_of(2)
    after = threads._shared.team_of(before.size + 1)
    assert after.size == before.size + 1
    assert not any(thread.is_alive() for thread in before._threads)
    assert threads._shared.team_of(2) is after


def test_handlers_at_exit_may_still_compute():
    code = """
import atexit
import numpy as np
x = np.ones((700, 700), np.float32)
atexit.register(lambda: print(backend.matmul(x, x)[0, 0]))
from nnkit.backends.numba import create
backend = create()
backend.threads = 2
print(backend.matmul(x, x)[0, 0])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "700.0\n700.0\n", "")


def test_a_tape_takes_contiguous_arrays_alone():
    with pytest.raises(ValueError, match="C-contiguous"):
        Tape().append(count.function, (np.zeros(4, np.int64)[::2],), 1, 0)


def test_a_tape_refuses_what_has_no_thunk():
    alone = kernel(lambda values, team: None)
    with pytest.raises(TypeError, match="only kernels made by `shared` can be put on a tape"):
        Tape().append(alone, (np.zeros(4),), 1, 0)


def test_the_page_on_states_names_what_there_is():
    folder = Path(interpreter.__file__).parent
    page = (folder / "README.md").read_text()
    assert all((folder / file).exists() for file in re.findall(r"\]\(([^)]+)\)", page))
    names = set(re.findall(r"`([A-Za-z_]+)`", page))
    assert {"PARKED", "replay", "lead", "serve"} <= names
    code = "".join(file.read_text() for file in folder.parent.rglob("*.py"))
    assert {name for name in names if not re.search(rf"\b(def )?{name}\b", code)} == set()


def test_a_second_caller_works_alone():
    x = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)
    expected = float((x.astype(float) ** 2).sum())

    def work(_: int) -> set[float]:
        total, sums = np.zeros(1), np.empty(32)
        tape = Tape()
        tape.append(sum_of_squares.function, (x, total, True, sums), 2, 32)
        results = set()
        for _ in range(20):
            tape.replay(1)
            results.add(float(total[0]))
        return results

    with ThreadPoolExecutor(3) as pool:
        found = set().union(*pool.map(work, range(6)))
    assert len(found) == 1
    assert found.pop() == pytest.approx(expected, rel=1e-12)
