"""Data sets of four published IDX files: finding them, checking them, downloading them.

The mirrors are a web server on this machine that holds a tiny data set.
"""

import gzip
import hashlib
import io
import os
import re
import socket
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnkit.data import DataError, available, catalogue, download, load, places, transfer
from nnkit.data.fashion_mnist import FASHION_MNIST
from nnkit.data.files import ROLES
from nnkit.data.mnist import MNIST
from nnkit.data.remote import RemoteFile
from tests.mirrors import half, serving

ARRAYS = {
    "x_train": np.arange(5 * 28 * 28).reshape(5, 28, 28).astype(np.uint8),
    "t_train": np.array([0, 1, 2, 3, 9], dtype=np.uint8),
    "x_test": np.arange(2 * 28 * 28).reshape(2, 28, 28).astype(np.uint8)[::-1],
    "t_test": np.array([4, 5], dtype=np.uint8),
}


def encode(array):
    shape = np.array(array.shape, dtype=">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


CONTENTS = {MNIST.files[role].name: encode(array) for role, array in ARRAYS.items()}
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in CONTENTS.items()}


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give each test a cache folder of its own, no data folder and no proxy."""
    monkeypatch.setattr(places, "user_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.delenv("NNKIT_DATA_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache" / "nnkit" / "tiny"


@pytest.fixture
def in_order(monkeypatch):
    """Ask the mirrors in the order they are listed, whichever would answer first."""
    monkeypatch.setattr(download, "_first_answer", lambda addresses, probe: (None, {}))


def tiny(*mirrors):
    files = {
        role: RemoteFile(file.name, f"sha256:{hashlib.sha256(CONTENTS[file.name]).hexdigest()}")
        for role, file in MNIST.files.items()
    }
    return replace(MNIST, name="tiny", mirrors=mirrors, files=files)


def place(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def assert_is_tiny(dataset):
    np.testing.assert_array_equal(dataset.x_train, ARRAYS["x_train"].reshape(5, 784))
    np.testing.assert_array_equal(dataset.x_test, ARRAYS["x_test"].reshape(2, 784))
    np.testing.assert_array_equal(dataset.t_train, ARRAYS["t_train"])
    np.testing.assert_array_equal(dataset.t_test, ARRAYS["t_test"])
    assert dataset.x_train.dtype == dataset.x_test.dtype == np.uint8
    assert dataset.t_train.dtype == dataset.t_test.dtype == np.int64
    assert dataset.x_train.flags.c_contiguous and dataset.x_test.flags.c_contiguous


def assert_holds_exactly(folder, contents):
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents


def refusal(dataset):
    with pytest.raises(DataError) as caught:
        dataset.load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def closed_address():
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


# Downloading.


def test_downloads_once_into_the_cache(server, cache):
    dataset = tiny(server.mirror("good", PACKED))
    assert dataset.info().location is None
    assert_is_tiny(dataset.load())
    assert_holds_exactly(cache, PACKED)
    assert sorted(server.downloads()) == sorted(f"/good/{name}" for name in PACKED)
    assert dataset.info().location == cache
    server.asked.clear()
    assert_is_tiny(dataset.load())
    assert server.asked == []


def test_load_and_available_know_it_by_name(server, cache, monkeypatch):
    dataset = tiny(server.mirror("good", PACKED))
    monkeypatch.setitem(catalogue.KNOWN, "mnist", dataset)
    assert_is_tiny(load("mnist"))
    assert available()[0] == dataset.info()


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ({}, "HTTP 404 Not Found"),
        (dict.fromkeys(PACKED, b"<!DOCTYPE html>"), "not an IDX file"),
        (dict.fromkeys(PACKED, b""), "is empty"),
        (dict.fromkeys(PACKED, gzip.compress(encode(ARRAYS["t_test"] + 1))), "not the published"),
        ({name: half(page) for name, page in PACKED.items()}, "the connection broke off after "),
        (dict.fromkeys(PACKED, lambda handler: None), "closed connection without response"),
    ],
    ids=["404", "html", "empty", "wrong contents", "broken off", "hangs up"],
)
def test_a_mirror_that_fails_is_left_for_the_next_and_named(server, cache, in_order, pages, reason):
    bad = server.mirror("bad", pages)
    message = refusal(tiny(bad, bad + "again/"))
    assert f"{bad} (train-images-idx3-ubyte.gz: " in message
    assert reason in message and ".download-" not in message
    assert_holds_exactly(cache, {})
    server.asked.clear()
    assert_is_tiny(tiny(bad, server.mirror("good", PACKED)).load())
    assert server.downloads() == [
        "/bad/train-images-idx3-ubyte.gz",
        "/good/train-images-idx3-ubyte.gz",
        "/good/train-labels-idx1-ubyte.gz",
        "/good/t10k-images-idx3-ubyte.gz",
        "/good/t10k-labels-idx1-ubyte.gz",
    ]
    assert_holds_exactly(cache, PACKED)


def test_a_mirror_that_is_down_is_not_waited_for(server):
    assert_is_tiny(tiny(closed_address(), server.mirror("good", PACKED)).load())


def test_the_first_mirror_to_answer_is_the_first_to_be_used(server, monkeypatch):
    used = []
    transfer = download.transfer

    def record(address, path):
        used.append(address)
        transfer(address, path)

    monkeypatch.setattr(download, "transfer", record)
    good = server.mirror("good", PACKED)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert_is_tiny(tiny(f"http://127.0.0.1:{silent.getsockname()[1]}/", good).load())
    assert len(used) == 4 and all(address.startswith(good) for address in used)


def test_a_mirror_that_fails_on_a_later_file_keeps_what_it_gave(server, cache, in_order):
    partial = {name: page for name, page in PACKED.items() if name.startswith("train")}
    first = server.mirror("first", partial)
    assert_is_tiny(tiny(first, server.mirror("second", PACKED)).load())
    assert [path.split("/")[1] for path in server.downloads()] == [
        *["first"] * 3,
        *["second"] * 2,
    ]


def test_when_every_mirror_has_failed_no_other_file_is_tried(server, cache, in_order):
    mirrors = [server.mirror(name, {}) for name in ("one", "two", "three")]
    message = refusal(tiny(*mirrors))
    assert len(server.downloads()) == 3
    assert message.startswith("tiny is not on this machine and cannot be downloaded: ")
    for mirror in mirrors:
        assert f"{mirror} (train-images-idx3-ubyte.gz: HTTP 404 Not Found)" in message


def test_without_a_network_each_mirror_is_asked_once_and_named(cache, monkeypatch):
    asked = []

    def no_network(host, *args, **kwargs):
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    message = refusal(tiny("https://one.invalid/a/", "http://two.invalid/b/"))
    assert sorted(asked) == ["one.invalid", "two.invalid"]
    assert message == (
        "tiny is not on this machine and cannot be downloaded: "
        "https://one.invalid/a/ (Name or service not known), "
        "http://two.invalid/b/ (Name or service not known). To place it by hand, put "
        "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
        f"t10k-labels-idx1-ubyte.gz into {cache} or into $NNKIT_DATA_DIR/tiny"
    )


def test_a_network_that_swallows_everything_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert f"{address} (no answer within 0.2 seconds)" in refusal(tiny(address))


def test_a_mirror_that_falls_silent_is_given_up(server, in_order, monkeypatch):
    monkeypatch.setattr(transfer, "READ_SECONDS", 0.2)
    release = threading.Event()
    mirror = server.mirror("silent", dict.fromkeys(PACKED, lambda handler: release.wait(30)))
    try:
        assert "train-images-idx3-ubyte.gz: no answer in time" in refusal(tiny(mirror))
    finally:
        release.set()


def test_an_address_that_is_none(in_order):
    message = "nonsense/ (train-images-idx3-ubyte.gz: unknown url type: 'nonsense/train-images-"
    assert message in refusal(tiny("nonsense/"))


def test_an_interrupted_download_leaves_nothing_and_restarts_cleanly(server, cache, monkeypatch):
    dataset = tiny(server.mirror("good", PACKED))

    def interrupt(address, path):
        path.write_bytes(PACKED["train-images-idx3-ubyte.gz"][:20])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "transfer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            dataset.load()
    assert_holds_exactly(cache, {})
    assert_is_tiny(dataset.load())


def test_what_a_killed_download_left_is_not_used(server, cache):
    place(cache / ".download-abc", {"train-images-idx3-ubyte.gz": b"\x1f\x8b"})
    assert_is_tiny(tiny(server.mirror("good", PACKED)).load())
    assert len(server.downloads()) == 4


def test_the_published_archive_hash_is_checked_too(server, in_order):
    dataset = tiny(server.mirror("good", PACKED))
    files = {
        role: replace(file, archive_sha256=hashlib.sha256(PACKED[f"{file.name}.gz"]).hexdigest())
        for role, file in dataset.files.items()
    }
    other = {**files, "x_train": replace(files["x_train"], archive_sha256="0" * 64)}
    assert "train-images-idx3-ubyte.gz: its SHA-256 is" in refusal(replace(dataset, files=other))
    assert_is_tiny(replace(dataset, files=files).load())


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shows"), [(Terminal, True), (io.StringIO, False)])
def test_progress_is_shown_on_a_terminal_only(server, monkeypatch, stream, shows):
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)
    tiny(server.mirror("good", PACKED)).load()
    assert ("100%" in stderr.getvalue()) == shows
    assert shows or stderr.getvalue() == ""


def test_a_full_disk_is_not_blamed_on_the_mirrors(server, cache, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    dataset = tiny(server.mirror("good", PACKED))
    monkeypatch.setattr(Path, "replace", full)
    assert refusal(dataset) == (
        f"{cache}: cannot be written: No space left on device; put tiny into "
        "$NNKIT_DATA_DIR/tiny instead"
    )
    assert len(server.downloads()) == 1
    assert_holds_exactly(cache, {})


def test_a_cache_folder_that_cannot_be_made(server, cache):
    cache.parent.parent.mkdir()
    cache.parent.write_text("not a folder")
    assert refusal(tiny(server.mirror("good", PACKED))).startswith(f"{cache}: cannot be written: ")
    assert server.asked == []


# The cache.


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, cache):
    place(cache, {**PACKED, "t10k-labels-idx1-ubyte.gz": b"damaged"})
    assert_is_tiny(tiny(server.mirror("good", PACKED)).load())
    assert server.downloads() == ["/good/t10k-labels-idx1-ubyte.gz"]
    assert_holds_exactly(cache, PACKED)


def test_a_damaged_unpacked_file_in_the_cache_is_replaced(server, cache):
    place(cache, {**CONTENTS, "t10k-labels-idx1-ubyte": encode(ARRAYS["t_test"] + 1)})
    dataset = tiny(server.mirror("good", PACKED))
    assert_is_tiny(dataset.load())
    assert not (cache / "t10k-labels-idx1-ubyte").exists()
    assert_is_tiny(dataset.load())
    assert len(server.downloads()) == 1


def test_a_damaged_file_that_cannot_be_downloaded_again_is_named(cache):
    place(cache, {**PACKED, "t10k-labels-idx1-ubyte.gz": b"damaged"})
    message = refusal(tiny(closed_address()))
    assert f"{cache / 't10k-labels-idx1-ubyte.gz'}: not an IDX file" in message
    assert "Connection refused" in message


# The data folder.


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "tiny"


@pytest.mark.parametrize("contents", [CONTENTS, PACKED], ids=["plain", "gzip"])
def test_the_data_folder_goes_first(data_dir, cache, contents):
    place(data_dir, contents)
    place(cache, dict.fromkeys(PACKED, b"damaged"))
    assert tiny().info().location == data_dir
    assert_is_tiny(tiny().load())


def test_a_tilde_in_the_data_folder_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("NNKIT_DATA_DIR", "~/data")
    place(tmp_path / "data" / "tiny", CONTENTS)
    assert_is_tiny(tiny().load())


def test_a_damaged_file_in_the_data_folder_is_an_error_and_stays(data_dir, cache, server):
    place(data_dir, {**PACKED, "t10k-labels-idx1-ubyte.gz": b"damaged"})
    place(cache, PACKED)
    message = refusal(tiny(server.mirror("good", PACKED)))
    assert message.startswith(f"{data_dir / 't10k-labels-idx1-ubyte.gz'}: not an IDX file")
    assert (data_dir / "t10k-labels-idx1-ubyte.gz").read_bytes() == b"damaged"
    assert server.asked == []


def test_another_file_in_the_data_folder_is_an_error(data_dir):
    wrong = encode(ARRAYS["t_test"] + 1)
    place(data_dir, {**CONTENTS, "t10k-labels-idx1-ubyte": wrong})
    assert refusal(tiny()) == (
        f"{data_dir / 't10k-labels-idx1-ubyte'}: not the published t10k-labels-idx1-ubyte: the "
        f"SHA256 of its contents is {hashlib.sha256(wrong).hexdigest()}, not "
        f"{hashlib.sha256(CONTENTS['t10k-labels-idx1-ubyte']).hexdigest()}; get it again"
    )


def test_an_incomplete_data_folder_is_an_error(data_dir):
    place(data_dir, {name: page for name, page in PACKED.items() if name.startswith("train")})
    assert refusal(tiny()).startswith(f"{data_dir}: lacks t10k-images or test-images*")
    assert tiny().info().location is None


def test_a_data_folder_without_this_data_set_is_passed_over(data_dir, cache):
    place(data_dir.parent / "other", PACKED)
    place(data_dir, {"README.md": b"Nothing here yet."})
    place(cache, PACKED)
    assert tiny().info().location == cache
    assert_is_tiny(tiny().load())


def test_an_unreadable_data_folder_is_an_error(data_dir, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert refusal(tiny()) == f"{data_dir}: cannot be read: Permission denied"
    assert tiny().info().location is None


# What is published.


@pytest.mark.parametrize("dataset", [MNIST, FASHION_MNIST], ids=lambda dataset: dataset.name)
def test_the_published_data_sets_are_described_completely(dataset):
    assert set(dataset.files) == set(ROLES)
    assert len(dataset.class_names) == 10
    assert len(dataset.mirrors) == 3
    for mirror in dataset.mirrors:
        assert re.fullmatch(r"https?://\S+/", mirror)
    for file in dataset.files.values():
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.digest)
        assert file.archive_sha256 is None or re.fullmatch("[0-9a-f]{64}", file.archive_sha256)
    digests = [file.digest for file in dataset.files.values()]
    assert len(set(digests)) == 4


REAL = os.environ.get("NNKIT_DATA_DIR")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_data_set(name, monkeypatch):
    if not REAL or not Path(REAL, name).is_dir():
        pytest.skip(f"needs $NNKIT_DATA_DIR/{name}/ with the published files")
    monkeypatch.setenv("NNKIT_DATA_DIR", REAL)
    dataset = load(name)
    (info,) = (info for info in available() if info.name == name)
    assert dataset.x_train.shape == (info.n_train, 784) == (60_000, 784)
    assert dataset.x_test.shape == (info.n_test, 784) == (10_000, 784)
    assert dataset.x_train.dtype == np.uint8 and dataset.x_train.max() == 255
    assert dataset.image_shape == (28, 28)
    assert dataset.t_train.shape == (60_000,) and dataset.t_test.shape == (10_000,)
    for labels in (dataset.t_train, dataset.t_test):
        assert np.unique(labels).tolist() == list(range(10))
