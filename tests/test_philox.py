"""The random number generator: known answers, layout of the stream, statistics."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends.numpy.philox import philox4x32, uniform

KNOWN_ANSWERS = """
00000000 00000000 00000000 00000000 00000000 00000000  6627e8d5 e169c58d bc57ac4c 9b00dbd8
ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff  408f276d 41c83b0e a20bc7c6 6d5451fd
243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0  d16cfe09 94fdcceb 5001e420 24126ea1
"""
"""Counter, key, output: the rows "philox4x32 10" of Random123 1.14, tests/kat_vectors."""


def _answers() -> list[tuple[list[int], tuple[int, int], list[int]]]:
    rows = [[int(word, 16) for word in line.split()] for line in KNOWN_ANSWERS.split("\n") if line]
    return [(row[:4], (row[4], row[5]), row[6:]) for row in rows]


@pytest.mark.parametrize(("counter", "key", "output"), _answers())
def test_known_answers(counter, key, output):
    words = philox4x32(np.array(counter).reshape(4, 1), key)
    assert words.dtype == np.uint32
    assert words[:, 0].tolist() == output


def test_counters_are_independent():
    """Many counters in one call give what each gives alone."""
    key = (0xA4093822, 0x299F31D0)
    counters = np.random.default_rng(0).integers(0, 2**32, (4, 50))
    together = philox4x32(counters, key)
    alone = np.hstack([philox4x32(counters[:, i : i + 1], key) for i in range(50)])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("row", _answers())
def test_uniform_is_the_upper_24_bits_of_the_words(row):
    """Element i is word ``i % 4`` of the counter (i // 4 in two words, stream in two words)."""
    _, (low, high), _ = row
    key, stream = low | high << 32, 0x0370734413198A2E
    values = uniform(11, key, stream)
    assert values.dtype == np.float32
    for i, value in enumerate(values):
        counter = np.array([[i // 4], [0], [0x13198A2E], [0x03707344]])
        word = int(philox4x32(counter, (low, high))[i % 4, 0])
        assert value == (word >> 8) / 2**24


def test_uniform_known_first_block():
    words = np.array([0x6627E8, 0xE169C5, 0xBC57AC, 0x9B00DB])
    assert np.array_equal(uniform(4, 0, 0), words / 2**24)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 1001])
def test_uniform_prefix(n):
    """The stream does not depend on how much of it is asked for."""
    values = uniform(n, 5, 6)
    assert values.shape == (n,)
    assert np.array_equal(values, uniform(2000, 5, 6)[:n])


def test_streams_and_keys_differ():
    pairs = [(0, 0), (0, 1), (1, 0), (0, 2**32), (2**32, 0), (2**64 - 1, 0), (0, 2**40)]
    assert len({uniform(16, key, stream).tobytes() for key, stream in pairs}) == len(pairs)


class TestUniformStatistics:
    """Each bound is five standard deviations, for a stream that never changes."""

    N = 200_000
    VALUES = uniform(N, 20240101, 3).astype(np.float64)

    def test_range(self):
        assert self.VALUES.min() >= 0
        assert self.VALUES.max() < 1
        assert self.VALUES.min() < 1e-4
        assert self.VALUES.max() > 1 - 1e-4

    def test_moments(self):
        assert abs(self.VALUES.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / self.N)
        assert abs(self.VALUES.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / self.N)

    def test_histogram(self):
        """Chi-square of 100 equal bins: mean 99, variance 198."""
        counts = np.histogram(self.VALUES, 100, (0, 1))[0]
        chi2 = ((counts - self.N / 100) ** 2 / (self.N / 100)).sum()
        assert abs(chi2 - 99) < 5 * np.sqrt(198)

    @pytest.mark.parametrize("lag", [1, 2, 3, 4, 784])
    def test_no_serial_correlation(self, lag):
        centred = self.VALUES - 1 / 2
        correlation = 12 * (centred[lag:] * centred[:-lag]).mean()
        assert abs(correlation) < 5 / np.sqrt(self.N - lag)

    def test_bits(self):
        """Each of the 24 bits is set half of the time."""
        bits = (self.VALUES * 2**24).astype(np.int64)[:, None] >> np.arange(24) & 1
        assert (abs(bits.mean(axis=0) - 1 / 2) < 5 * np.sqrt(1 / 4 / self.N)).all()

    def test_streams_are_uncorrelated(self):
        other = uniform(self.N, 20240101, 4).astype(np.float64)
        correlation = 12 * ((self.VALUES - 1 / 2) * (other - 1 / 2)).mean()
        assert abs(correlation) < 5 / np.sqrt(self.N)
