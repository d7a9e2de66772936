"""Compiled kernels on disk: damage is a miss, another kernel's file is none, what fails is said."""

from __future__ import annotations

import errno
import pickle
import shutil
from pathlib import Path

import pytest

pytest.importorskip("numba")

from numba.core import caching, config

import nnkit
from nnkit.kernels.numba.codegen import cache
from nnkit.kernels.numba.codegen.jit import kernel


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where kernels that are made from now on are kept; nothing has been warned of."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_warned", [])
    return tmp_path


def add(variant="", function=lambda a, b: a + b):
    """Make the kernel as a new process does; return its sum, and whether it was on disk."""
    made = kernel(function, variant)
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
    assert add("times", lambda a, b: a + b) == (5, False)
    plus, times = files(folder, "nbc")
    shutil.copy(times, plus)
    assert add("plus") == (5, False)
    assert add("times") == (5, False)  # the index was thrown away with the damage
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
