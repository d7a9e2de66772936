"""Choosing between a team and one thread while a tape runs, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("numba")

from nnkit.kernels.numba.runtime.pace import Pace


def carry_out(pace: Pace, times: int, cost: Callable[[int], float]) -> dict[int, int]:
    """Carry out so many passes, which cost what a function of the members says; counts them."""
    done = {1: 0, 2: 0}
    while times:
        members, now = pace.choose(times)
        assert 1 <= now <= times
        pace.note(members, now, now * cost(members))
        done[members] += now
        times -= now
    return done


@pytest.mark.parametrize(("team", "alone", "faster"), [(1e-4, 3e-4, 2), (3e-4, 1e-4, 1)])
def test_the_faster_one_does_nearly_all(team, alone, faster):
    done = carry_out(Pace(2), 100_000, lambda members: team if members == 2 else alone)
    assert done[faster] > 98_000
    assert done[3 - faster] > 100, "the other one is not tried any more"


def test_it_notices_when_the_faster_one_becomes_the_slower():
    pace = Pace(2)
    before = carry_out(pace, 10_000, lambda members: 2e-4 if members == 2 else 3e-4)
    after = carry_out(pace, 10_000, lambda members: 9e-4 if members == 2 else 3e-4)
    again = carry_out(pace, 20_000, lambda members: 2e-4 if members == 2 else 3e-4)
    assert before[2] > 9_500
    assert after[1] > 9_000
    assert again[2] > 15_000


def test_a_single_slow_stretch_changes_nothing():
    """As when a thread wakes late: the faster one goes on, and little is lost to finding out."""
    pace = Pace(2)
    carry_out(pace, 10_000, lambda members: 2e-4 if members == 2 else 3e-4)
    late = iter([9e-4])
    done = carry_out(pace, 10_000, lambda members: next(late, 2e-4) if members == 2 else 3e-4)
    assert next(late, None) is None
    assert done[2] > 9_500


@pytest.mark.parametrize("alone", [2e-4, 3e-4])
def test_what_a_trial_shows_may_not_last(alone):
    """As where other programs want the cores: a team is fast until one member has to wait."""
    pace, spent, times = Pace(2), 0.0, 20_000
    fast, slow, lasts = 1e-4, 5e-4, 0.003
    while times:
        members, now = pace.choose(times)
        seconds = now * (fast if members == 2 else alone)
        if members == 2 and seconds > lasts:
            seconds = lasts + (now - lasts / fast) * slow
        pace.note(members, now, seconds)
        spent += seconds
        times -= now
    assert spent < 1.3 * 20_000 * alone


def test_long_passes_are_not_tried_often():
    done = carry_out(Pace(2), 1000, lambda members: 1.0 if members == 2 else 2.0)
    assert 2 <= done[1] <= 8


def test_one_thread_has_no_choice():
    pace = Pace(1)
    for _ in range(5):
        assert pace.choose(1000) == (1, 1000)
        pace.note(1, 1000, 1.0)


def test_a_single_pass_is_the_team_s():
    assert Pace(3).choose(1) == (3, 1)
