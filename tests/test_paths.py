"""Paths as people write them, files that are none, memory, and text that a terminal would obey."""

import ctypes
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nnkit
from nnkit.data import load, read_idx
from nnkit.files import caches, memory
from nnkit.files.paths import expand, open_file
from nnkit.reasons import printable


def at_home(monkeypatch, folder):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))


def test_the_home_folder(tmp_path, monkeypatch):
    at_home(monkeypatch, tmp_path)
    assert expand("~/a") == expand(b"~/a") == expand(Path("~/a")) == tmp_path / "a"
    assert expand("~no such user~/a") == Path("~no such user~/a")
    x, t = np.zeros((4, 2), np.uint8), np.arange(4) % 2
    np.savez(tmp_path / "a.npz", x_train=x, t_train=t, x_test=x, t_test=t)
    assert len(load("~/a.npz").x_train) == 4
    (tmp_path / "idx").write_bytes(b"\0\0\x08\1\0\0\0\2ab")
    assert read_idx("~/idx").tolist() == [97, 98]


def test_checkpoints_in_the_home_folder_and_under_the_longest_name(tmp_path, monkeypatch):
    at_home(monkeypatch, tmp_path)
    model = nnkit.Sequential(nnkit.Linear(2, 1), seed=0, backend="numpy")
    for name in ("~/a", b"~/b", "~/" + "ä" * 127):
        model.save(name)
        weight = nnkit.load(name, "numpy")[0].weight
        np.testing.assert_array_equal(weight.to_numpy(), model[0].weight.to_numpy())
    assert len(list(tmp_path.iterdir())) == 3


def test_an_ordinary_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with open_file(tmp_path / "a") as file:
        assert file.read() == b"abc"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and devices")
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder"])
def test_what_is_no_ordinary_file_is_refused_without_waiting(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(OSError, match=kind):
            open_file(Path(kind))


def test_text_that_a_terminal_would_obey():
    assert printable("größe 7\u3000.png") == "größe 7\u3000.png"
    assert printable("a\x1b[2J\r\n\x9b\u202e\udcff") == r"a\x1b[2J\r\n\x9b\u202e\udcff"


# ---------------------------------------------------------------------- memory


def test_half_of_the_free_memory_may_be_taken(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    assert memory.too_much(500) is None
    assert "takes 501 bytes, more than half of the 1,000 bytes" in memory.too_much(501)


def test_windows_says_how_much_memory_is_free(monkeypatch):
    def ask(place):
        status = ctypes.cast(place, ctypes.POINTER(memory._MemoryStatus)).contents
        assert status.length == 64
        status.available = 123 * 2**20
        return 1

    library = SimpleNamespace(GlobalMemoryStatusEx=ask)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    assert memory._available_on_windows() == [123 * 2**20]
    library.GlobalMemoryStatusEx = lambda place: 0
    assert memory._available_on_windows() == []


def test_free_memory_is_less_than_there_is():
    assert 2**20 < memory.free_memory() < 2**50


NEW = ("0::/job/step\n", "", "memory.max", "memory.current", "inactive_file")
OLD = (
    *("7:cpu:/x\n4:memory,pids:/job/step\n", "memory"),
    *("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@pytest.mark.parametrize("kind", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize("group", ["", "job", "job/step"])
@pytest.mark.parametrize(
    ("limit", "used", "cache", "free"),
    [("3000", "2000", "500", 1500), ("2000", "3000", "0", 1), ("max", "0", "0", 7000)],
)
def test_containers_and_batch_jobs_have_limits_of_their_own(
    tmp_path, monkeypatch, kind, group, limit, used, cache, free
):
    membership, root, *names = kind
    folder = tmp_path / root / group
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(names, (limit, used), strict=False):
        (folder / name).write_text(f"{text}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cache}\n")
    (tmp_path / "membership").write_text(membership)
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    left = memory._left_to_groups(tmp_path / "membership")
    assert min([7000, *left]) == free


def test_where_the_system_does_not_say(monkeypatch):
    monkeypatch.setattr(memory, "_left_to_groups", lambda _: [])
    monkeypatch.setattr(memory, "_available", list)
    assert memory.free_memory() == 4 * 2**30


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        ("linux", {}, "{home}/.cache/nnkit"),
        ("linux", {"XDG_CACHE_HOME": ""}, "{home}/.cache/nnkit"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "{home}/.cache/nnkit"),
        ("linux", {"XDG_CACHE_HOME": "{home}/fast"}, "{home}/fast/nnkit"),
        ("darwin", {}, "{home}/Library/Caches/nnkit"),
        ("win32", {"LOCALAPPDATA": "{home}/Local"}, "{home}/Local/nnkit/nnkit/Cache"),
        ("win32", {}, "{home}/AppData/Local/nnkit/nnkit/Cache"),
    ],
)
def test_the_users_cache(tmp_path, monkeypatch, system, variables, folder):
    monkeypatch.setattr(sys, "platform", system)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    at_home(monkeypatch, tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    assert caches.user_cache("nnkit") == Path(folder.format(home=tmp_path))
