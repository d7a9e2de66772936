"""Files that are replaced in one step, and locks that end with the process."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nnkit.files import atomic, locking, renaming

posix = pytest.mark.skipif(sys.platform == "win32", reason="as POSIX has it")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_with_its_folders_and_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    for data in (b"first", b"second"):
        atomic.replace(path, data)
        assert path.read_bytes() == data
    assert names(path.parent) == ["file"]


@posix
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_stays_one(tmp_path, dangling):
    real, link = tmp_path / "store" / "real", tmp_path / "link"
    real.parent.mkdir()
    link.symlink_to("store/real")
    if not dangling:
        real.write_bytes(b"old")
    atomic.replace(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert names(tmp_path), names(real.parent) == (["link", "store"], ["real"])


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permissions_are_kept(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    atomic.replace(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_owner_is_kept_where_that_may_be(tmp_path, monkeypatch):
    asked = []
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(handle, user, group):
        asked.append((user, group))
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    atomic.replace(path, b"new")
    assert asked == [(path.stat().st_uid, path.stat().st_gid)]
    assert path.read_bytes() == b"new"


@posix
def test_the_folder_is_flushed_after_the_renaming(tmp_path, monkeypatch):
    flushed = []
    real = os.fsync

    def fsync(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        flushed.append((kind, names(tmp_path)))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.replace(tmp_path / "file", b"new")
    (first, before), (second, after) = flushed
    assert (first, second) == ("file", "folder")
    assert "file" not in before
    assert after == ["file"]


@posix
def test_what_is_no_ordinary_file_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(FileExistsError, match="is no ordinary file: choose another name"):
            atomic.replace(tmp_path / name, b"new")
    assert names(tmp_path) == ["pipe"]


class BusyOnWindows:
    """A file that another program has open, for so many tries."""

    def __init__(self, monkeypatch, times):
        self.left, self.slept = times, []
        replace = Path.replace

        def refuse(file, place):
            self.left -= 1
            if self.left >= 0:
                raise PermissionError(13, "Access is denied", str(file), 5, str(place))
            return replace(file, place)

        monkeypatch.setattr(renaming, "WINDOWS", True)
        monkeypatch.setattr(renaming.time, "sleep", self.slept.append)
        monkeypatch.setattr(Path, "replace", refuse)


def test_a_file_that_is_open_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")
    busy = BusyOnWindows(monkeypatch, 3)
    atomic.replace(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(busy.slept) == 3


def test_a_file_that_stays_open_is_named_and_stays(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    busy = BusyOnWindows(monkeypatch, 1000)
    with pytest.raises(PermissionError) as caught:
        atomic.replace(path, b"new")
    assert (caught.value.strerror, caught.value.filename) == (
        "is open in another program, or read-only: close it there, or save under another name",
        str(path.resolve()),
    )
    assert 1 <= sum(busy.slept) <= 3
    assert (names(tmp_path), path.read_bytes()) == (["file"], b"old")


def test_elsewhere_a_refusal_is_one_at_once(tmp_path, monkeypatch):
    busy = BusyOnWindows(monkeypatch, 1)
    monkeypatch.setattr(renaming, "WINDOWS", False)
    with pytest.raises(PermissionError, match="Access is denied"):
        atomic.replace(tmp_path / "file", b"new")
    assert busy.slept == []


def test_what_a_killed_process_left_is_removed_and_no_more(tmp_path):
    stale = tmp_path / ".file.0123abcd"
    others = [".file.0123abcde", ".other.0123abcd", "file.0123abcd", ".file.0123abcg"]
    for name in (stale.name, *others):
        (tmp_path / name).write_bytes(b"half")
    atomic.replace(tmp_path / "file", b"new")
    assert names(tmp_path) == sorted([*others, "file"])


@posix
def test_what_another_process_is_writing_stays(tmp_path):
    temporary = tmp_path / ".file.0123abcd"
    with temporary.open("xb") as file, locking.locked(file.fileno()) as mine:
        assert mine
        atomic.replace(tmp_path / "file", b"new")
        assert temporary.exists()
    atomic.replace(tmp_path / "file", b"newer")
    assert names(tmp_path) == ["file"]


def test_a_folder_is_locked_once_and_again_later(tmp_path):
    with locking.folder(tmp_path) as mine, locking.folder(tmp_path) as second:
        assert (mine, second) == (True, False)
    with locking.folder(tmp_path) as mine:
        assert mine
    assert names(tmp_path) == []


@posix
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = "import sys, time, pathlib\nfrom nnkit.files import locking\n"
    code += "with locking.folder(pathlib.Path(sys.argv[1])): print(1, flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with locking.folder(tmp_path) as mine:
            assert not mine
        process.kill()
    with locking.folder(tmp_path) as mine:
        assert mine


@posix
def test_a_file_system_without_locks_is_good_enough(tmp_path, monkeypatch):
    def flock(handle, how):
        raise OSError("no locks here")

    monkeypatch.setattr(locking.fcntl, "flock", flock)
    with locking.folder(tmp_path) as mine, contextlib.suppress(OSError):
        assert mine
