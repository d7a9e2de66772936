"""The model of what more ranks bring: its formulas by hand, and the tables that are made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import efficiency, predictions, report
from bench.efficiency import Cluster, Link, Work, all_reduce, examples_for, ring, strong, tree, weak
from nnkit import models

PAGE = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text("utf-8")
LINK = Link(bandwidth=1e9, latency=1e-6)
FLAT = Cluster(LINK, LINK, per_machine=1)
WORK = Work(flops=1e6, nbytes=1_000_000, rate=1e12)


def test_a_ring_by_hand():
    """Four ranks: six messages of a quarter of the bytes, each 250 us and 1 us more."""
    assert ring(4, 1e6, LINK) == pytest.approx(6 * (250e-6 + 1e-6))
    assert ring(2, 1e6, LINK) == pytest.approx(1e-3 + 2e-6)
    assert ring(1, 1e6, LINK) == 0


def test_trees_by_hand():
    """1,024 ranks: ten levels up and ten down, and the bytes twice."""
    assert tree(1024, 1e6, LINK) == pytest.approx(20e-6 + 2e-3)
    assert tree(5, 0, LINK) == pytest.approx(6e-6), "three levels hold five"
    assert tree(1, 1e6, LINK) == 0


def test_trees_are_for_many_ranks_and_few_bytes():
    assert all_reduce(1024, 1e4, FLAT) == tree(1024, 1e4, LINK)
    assert all_reduce(4, 1e8, FLAT) == ring(4, 1e8, LINK)


def test_machines_add_up_inside_and_then_among_each_other():
    slow = Link(bandwidth=1e8, latency=1e-5)
    cluster = Cluster(LINK, slow, per_machine=4, start=5e-6)
    assert all_reduce(1, 1e6, cluster) == 0
    assert all_reduce(4, 1e6, cluster) == pytest.approx(5e-6 + ring(4, 1e6, LINK))
    both = 5e-6 + ring(4, 1e6, LINK) + ring(3, 1e6, slow)
    assert all_reduce(12, 1e6, cluster) == pytest.approx(both)


def test_efficiencies_by_hand():
    """A step of 1 ms beside an all-reduce of as much is half as efficient."""
    two = all_reduce(2, WORK.nbytes, FLAT)
    assert weak(WORK, 2, 1000, FLAT) == pytest.approx(1e-3 / (1e-3 + two))
    assert strong(WORK, 2, 1000, FLAT) == pytest.approx(1e-3 / (2 * (0.5e-3 + two)))
    assert weak(WORK, 1, 1000, FLAT) == strong(WORK, 1, 1000, FLAT) == 1


def test_what_is_hidden_behind_the_backward_pass():
    """No more than what is known early, and than the backward pass lasts: two thirds of 1 ms."""
    early, late = replace(WORK, early=0.25), replace(WORK, early=0.75)
    two = all_reduce(2, WORK.nbytes, FLAT)
    assert efficiency.seen(early, 2, 1000, FLAT, overlap=True) == pytest.approx(0.75 * two)
    assert efficiency.seen(late, 2, 1000, FLAT, overlap=True) == pytest.approx(two - 2e-3 / 3)
    assert efficiency.seen(late, 2, 1000, FLAT, overlap=False) == two


def test_small_sums_cost_their_messages():
    sums = replace(WORK, sums=42)
    more = efficiency.seen(sums, 2, 9, FLAT, False) - efficiency.seen(WORK, 2, 9, FLAT, False)
    assert more == pytest.approx(42 * 2e-6)


@pytest.mark.parametrize("fixed", [0.0, 1e-3])
def test_enough_examples_are_just_enough(fixed):
    work = replace(WORK, fixed=fixed)
    n = examples_for(work, 64, FLAT)
    assert weak(work, 64, n + 1, FLAT) > 0.9 > weak(work, 64, n - 2, FLAT)


def test_the_networks_are_counted():
    linear, images = predictions.work("large"), predictions.work("resnet20", whole_batch=True)
    assert linear.nbytes == 4 * (785 * 1024 + 1025 * 1024 + 1025 * 10)
    assert linear.flops == 2 * (2 * 784 * 1024 + 3 * 1024 * 1024 + 3 * 1024 * 10)
    assert linear.early == pytest.approx(1 - 785 * 1024 / (linear.nbytes / 4))
    assert images.nbytes == 4 * sum(p.size for p in models.resnet20(backend="numpy").parameters())
    assert images.sums == 2 * (1 + 18 + 2), "the first, two in each block, and two shortcuts"


def test_the_page_shows_what_is_predicted():
    for table in predictions.tables():
        assert table in PAGE, f"python -m bench.predictions now prints\n{table}"


def test_the_page_shows_what_was_measured():
    assert report.fill(PAGE) == PAGE, "write it: python -m bench.report docs/scaling.md"
