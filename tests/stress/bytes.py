"""Damaging bytes at random, as disks, networks and wrong programs do."""

from __future__ import annotations

import numpy as np

EXTREMES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return other bytes: one to three random changes, each of a random kind."""
    result = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        KINDS[rng.integers(len(KINDS))](result, rng)
    return bytes(result)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Return a position, in half of the cases among the first 128, where headers are."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 128)
    return int(rng.integers(max(1, end)))


def flip_bit(data: bytearray, rng: np.random.Generator) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def set_byte(data: bytearray, rng: np.random.Generator) -> None:
    if data:
        data[_place(data, rng)] = EXTREMES[rng.integers(len(EXTREMES))]


def set_integer(data: bytearray, rng: np.random.Generator) -> None:
    """Overwrite 2, 4 or 8 bytes with an extreme number, as sizes in a header are."""
    size = int(rng.choice([2, 4, 8]))
    bits = 8 * size
    value = int(rng.choice([0, 1, 2**31 - 1, 2**16, 2**20])) % 2**bits
    if rng.random() < 0.5:
        value = 2**bits - 1 - value
    place = _place(data, rng)
    data[place : place + size] = value.to_bytes(size, "little" if rng.random() < 0.5 else "big")


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[rng.integers(len(data) + 1) :]


def append(data: bytearray, rng: np.random.Generator) -> None:
    data += rng.bytes(int(rng.integers(1, 64)))


def cut_out(data: bytearray, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    del data[place : place + int(rng.integers(1, 64))]


def repeat(data: bytearray, rng: np.random.Generator) -> None:
    """Write a piece twice."""
    place = _place(data, rng)
    data[place:place] = data[place : place + int(rng.integers(1, 64))]


def swap(data: bytearray, rng: np.random.Generator) -> None:
    """Exchange two pieces of the same length."""
    a, b = sorted((_place(data, rng), _place(data, rng)))
    size = min(int(rng.integers(1, 33)), b - a)
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


KINDS = (flip_bit, set_byte, set_integer, truncate, append, cut_out, repeat, swap)
