"""Compiled kernels on disk: damage is a miss, another kernel's file is none, what fails is said."""

from __future__ import annotations

import errno
import itertools
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core import caching, config
from numba.core.bytecode import FunctionIdentity

import nnkit
from nnkit.kernels.numba.codegen import cache
from nnkit.kernels.numba.codegen.jit import kernel, shared
from nnkit.kernels.numba.runtime import memory
from nnkit.kernels.numba.runtime.tape import Tape


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where kernels that are made from now on are kept; nothing has been warned of."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_warned", [])
    return tmp_path


def plus(a, b):
    return a + b


def add(variant=""):
    """Make the kernel as a new process does; return its sum, and whether it was on disk."""
    made = kernel(plus, variant)
    result = made(2, 3)
    return result, sum(made.stats.cache_hits.values()) == 1


def files(folder, ending):
    return sorted(folder.rglob(f"*.{ending}"))


def flipped(data, part):
    place = int(part * (len(data) - 1))
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


DAMAGE = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "all but one byte": lambda data: data[:-1],
    "text": lambda data: b"not a pickle\n" * 9,
    "another pickle": lambda data: pickle.dumps(["something", "else"]),
    **{f"bit at {part}": lambda data, part=part: flipped(data, part) for part in (0.5, 0.9)},
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_file_is_compiled_and_written_again(folder, ending, how):
    assert add() == (5, False)
    (path,) = files(folder, ending)
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    assert add() == (5, False)
    assert add() == (5, True)


def test_a_file_that_has_gone(folder):
    assert add() == (5, False)
    files(folder, "nbc")[0].unlink()
    assert add() == (5, False)
    assert add() == (5, True)


def test_the_file_of_another_kernel(folder):
    """Names alone tell the kernels of a factory apart on disk."""
    assert add("plus") == (5, False)
    assert add("times") == (5, False)
    plus, times = files(folder, "nbc")
    shutil.copy(times, plus)
    assert add("plus") == (5, False)
    assert add("times") == (5, True)
    assert add("plus") == (5, True)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full(folder, monkeypatch):
    monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", full)
    with pytest.warns(
        nnkit.CacheWarning, match="kept .*No space left.*set NUMBA_CACHE_DIR"
    ) as told:
        assert add() == (5, False)
    assert told[0].filename == __file__
    assert add() == (5, False)  # and nothing more is said


def test_no_folder_at_all(folder, monkeypatch):
    monkeypatch.setattr(cache._Folders, "_locator_classes", [])
    with pytest.warns(nnkit.CacheWarning, match=r"\(no folder for them can be written\)") as told:
        assert add() == (5, False)
    assert told[0].filename == __file__
    assert add() == (5, False)


def test_a_folder_that_can_be_read_alone(folder, monkeypatch):
    """As of an image: what is there is used, and what is not is compiled in each program."""
    assert add() == (5, False)
    monkeypatch.setattr(caching.tempfile, "TemporaryFile", full)
    monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", full)
    assert add() == (5, True)
    made = kernel(lambda a, b: a + b, "")
    assert made._cache.cache_path.startswith(str(folder))
    assert not cache.is_missing(made, ()), "no helper could put it there"
    with pytest.warns(nnkit.CacheWarning, match=f"kept .{folder}"):
        assert add("another") == (5, False)
    assert "No space left" in cache.why_not_kept()


def scaling(factor, variant):
    @shared(1, variant)
    def scale(x, y, team):
        for i in range(x.size):
            y[i] = x[i] * factor

    return scale.function


def test_kernels_of_a_factory_that_several_processes_compiled(folder, monkeypatch):
    """Numba numbers functions in each process anew; two of a name would be one on a tape."""
    x, made = np.arange(1.0, 5.0), {}
    for factor in (2, 3, 5):
        monkeypatch.setattr(FunctionIdentity, "_unique_ids", itertools.count(10**6))
        made[factor] = scaling(factor, f"by{factor}")
        made[factor](x, np.empty_like(x), memory.ALONE)
    for factor, function in made.items():
        y = np.empty_like(x)
        tape = Tape()
        tape.append(function, (x, y), 1, 1)
        tape.replay(1)
        assert (y == factor * x).all()


def test_a_kernel_of_a_factory_must_have_a_variant():
    with pytest.raises(TypeError, match=r"^scaling\.<locals>\.scale is made by a factory: give it"):
        scaling(2, "")
