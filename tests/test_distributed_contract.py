"""Shares of a batch, and sums over ranks inside a captured step."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends import Backend, get_backend
from nnkit.distributed.contract import Communicator, RankError, share
from tests.ranks import on_ranks


@pytest.mark.parametrize(("rows", "size"), [(10, 4), (3, 4), (0, 2), (7, 1), (128, 64)])
def test_shares_are_consecutive_and_even(rows, size):
    shares = [share(rows, rank, size) for rank in range(size)]
    assert [i for s in shares for i in range(rows)[s]] == list(range(rows))
    lengths = [s.stop - s.start for s in shares]
    assert max(lengths) - min(lengths) <= 1


def doubled_sums(backend: Backend, communicator: Communicator, captured: bool) -> list[float]:
    """Three times: double an array, add it up over ranks, and subtract 1."""
    x, one = backend.asarray(np.full(3, 1.0 + communicator.rank)), backend.asarray(np.ones(3))

    def step() -> None:
        backend.add(x, x, x)
        communicator.all_reduce(backend, x)
        backend.accumulate(one, x, -1.0, False)

    step()
    if captured:
        backend.capture(step)(2)
    else:
        step()
        step()
    return backend.to_numpy(x).tolist()


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_sums_over_ranks_between_operations(name, captured):
    if name == "numba":
        pytest.importorskip("numba")
    backend = get_backend(name)
    found = on_ranks(2, lambda ranks: doubled_sums(backend, ranks, captured))
    assert found == [[75.0] * 3] * 2


def test_a_rank_that_raises_ends_the_others():
    reasons = []

    def work(ranks: Communicator) -> None:
        if ranks.rank == 1:
            raise ValueError("no such file")
        try:
            ranks.gather(0)
        except RankError as error:
            reasons.append(str(error))
            raise

    with pytest.raises((ValueError, RankError)):
        on_ranks(2, work)
    assert reasons == ["rank 1 of 2 ended: ValueError: no such file"]
