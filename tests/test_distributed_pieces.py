"""Sums in pieces, in full precision and in 16 bits."""

from __future__ import annotations

import selectors
import socket

import numpy as np
import pytest

from nnkit import dtypes
from nnkit.distributed.halves import pack, unpack
from nnkit.distributed.pieces import PieceSum
from nnkit.distributed.sockets import _move
from tests.ranks import on_ranks


def added(given: list[np.ndarray], wire: str | None) -> list[np.ndarray]:
    """What each rank has after the sum of what they are given."""

    def work(ranks):
        def exchange(out, into):
            for rank, theirs in enumerate(ranks.gather([piece.copy() for piece in out])):
                if rank != ranks.rank:
                    into[rank][:] = theirs[ranks.rank]

        mine = given[ranks.rank].copy()
        pieces = PieceSum(exchange, ranks.rank, ranks.size)
        pieces.add_up(mine.copy(), wire)
        pieces.add_up(mine, wire)
        return mine

    return on_ranks(len(given), work)


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("name", ["float32", "float64", "float16", "int64"])
def test_sums_in_the_order_of_ranks(rng, name, size, ranks):
    given = [(100 * rng.standard_normal(size)).astype(name) for _ in range(ranks)]
    total = given[0].astype(dtypes.arithmetic(name))
    for array in given[1:]:
        total = total + array
    for found in added(given, None):
        assert found.dtype == name
        np.testing.assert_array_equal(found, total.astype(name))


@pytest.mark.parametrize("wire", ["float16", "bfloat16"])
def test_16_bits_are_added_in_float32_and_rounded_once(rng, wire):
    if wire == "bfloat16":
        pytest.importorskip("ml_dtypes")
    dtype = dtypes.parse(wire)
    given = [rng.standard_normal(1000).astype(np.float32) for _ in range(3)]
    sent = [array.astype(dtype).astype(np.float32) for array in given]
    expected = (sent[0] + sent[1] + sent[2]).astype(dtype).astype(np.float32)
    for found in added(given, wire):
        np.testing.assert_array_equal(found, expected)


def test_bfloat16_is_that_of_ml_dtypes(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bits = rng.integers(0, 2**32, 100_000, dtype=np.uint32)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45], np.float32)
    ties = np.arange(1, 2000, 2, dtype=np.uint32) * 0x8000
    numbers = np.concatenate([bits.view(np.float32), special, ties.view(np.float32)])
    with np.errstate(invalid="ignore"):
        expected = numbers.astype(ml_dtypes.bfloat16).astype(np.float32)
    half, found = np.empty(numbers.size, np.uint16), np.empty_like(numbers)
    pack(numbers, "bfloat16", half)
    unpack(half, "bfloat16", found)
    np.testing.assert_array_equal(found, expected)


def test_float16_has_no_larger_numbers():
    half = np.empty(1, np.float16)
    pack(np.array([1e5], np.float32), "float16", half)
    assert half == np.inf


def test_a_connection_that_is_not_ready_after_all_is_still_there():
    here, there = socket.socketpair()
    with here, there, selectors.DefaultSelector() as selector:
        here.setblocking(False)
        read = selectors.EVENT_READ
        key = selector.register(here, read, {read: memoryview(bytearray(1))})
        assert _move(selector, key, read)
        there.close()
        assert not _move(selector, key, read)
