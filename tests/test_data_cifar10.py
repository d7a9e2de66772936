"""CIFAR-10's binary version, in files made in the format that it was published in."""

import gzip
import hashlib
import io
import re
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from nnkit.data import DataError, available, catalogue, load, places
from nnkit.data.cifar10 import CLASSES
from nnkit.data.cifar10_published import CIFAR10, DIGESTS, Cifar10
from nnkit.files import memory
from tests.mirrors import serving

NAMES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"


def images(count=4):
    """Images (6, count, 32, 32, 3) and labels (6, count) of the six files."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (6, count, 32, 32, 3), np.uint8)
    return x, (np.arange(6 * count) % 10).reshape(6, count)


def contents(count=4):
    """The files: each record a label, then the red, the green and the blue of an image, by rows."""
    files = {"batches.meta.txt": "\n".join([*CLASSES, ""]).encode()}
    for name, batch, labels in zip(NAMES, *images(count), strict=True):
        records = []
        for image, label in zip(batch, labels, strict=True):
            records.append(bytes([label]))
            records += [image[:, :, color].tobytes() for color in range(3)]
        files[name] = b"".join(records)
    return files


def tar(files, folder=f"{FOLDER}/"):
    """An archive as it was made for publication, its folder before the files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        entry = tarfile.TarInfo(folder or "./")
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(folder + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def place(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def assert_is_complete(dataset, count=4):
    x, t = images(count)
    np.testing.assert_array_equal(dataset.x_train, x[:5].reshape(-1, 32, 32, 3))
    np.testing.assert_array_equal(dataset.t_train, t[:5].reshape(-1))
    np.testing.assert_array_equal(dataset.x_test, x[5])
    np.testing.assert_array_equal(dataset.t_test, t[5])
    assert dataset.x_train.dtype == dataset.x_test.dtype == np.uint8
    assert dataset.t_train.dtype == dataset.t_test.dtype == np.int64
    assert dataset.x_train.flags.c_contiguous and dataset.x_test.flags.c_contiguous
    assert dataset.image_shape == (32, 32, 3)
    assert dataset.class_names == CLASSES
    assert dataset.preparation == "resize"


def refusal(path):
    with pytest.raises(DataError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# By path.


def test_a_folder_with_the_unpacked_files(tmp_path):
    assert_is_complete(load(place(tmp_path / "mine", contents())))
    dataset = load(place(tmp_path / "other" / FOLDER, contents()).parent)
    assert_is_complete(dataset)
    assert dataset.name == "other"


@pytest.mark.parametrize("folder", [f"{FOLDER}/", "./cifar/", ""])
def test_the_archive(tmp_path, folder):
    path = tmp_path / ARCHIVE
    path.write_bytes(tar(contents(), folder))
    dataset = load(path)
    assert_is_complete(dataset)
    assert dataset.name == ARCHIVE
    assert [entry.name for entry in tmp_path.iterdir()] == [ARCHIVE]


def test_as_many_images_as_were_published(tmp_path):
    zeros = bytes(10_000 * 3073)
    (tmp_path / "full.tgz").write_bytes(tar(dict.fromkeys(NAMES, zeros)))
    dataset = load(tmp_path / "full.tgz")
    assert dataset.x_train.shape == (50_000, 32, 32, 3)
    assert dataset.x_test.shape == (10_000, 32, 32, 3)


BAD_FILES = {
    "missing": ({"data_batch_2.bin": None, "test_batch.bin": None},
        "lacks data_batch_2.bin, test_batch.bin of CIFAR-10's binary version"),
    "cut off": ({"data_batch_3.bin": bytes(3072)},
        "data_batch_3.bin has 3,072 bytes, which are not records of 3,073, a label and 32x32 "
        "pixels in three colours; get it again"),
    "too long": ({"test_batch.bin": bytes(3074)}, "test_batch.bin has 3,074 bytes, which are not"),
    "another label": ({"data_batch_1.bin": bytes(3073) + b"\x0a" + bytes(3072)},
        "data_batch_1.bin: label 10 of image 1 is no class from 0 to 9; get it again"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_files_that_are_not_in_the_format(tmp_path, change, message):
    files = {name: content for name, content in {**contents(), **change}.items() if content}
    folder = place(tmp_path / "mine", files)
    assert refusal(folder).startswith(f"{folder}: {message}")
    (tmp_path / "mine.tar.gz").write_bytes(tar(files))
    assert refusal(tmp_path / "mine.tar.gz").startswith(f"{tmp_path / 'mine.tar.gz'}: {message}")


def test_an_empty_file(tmp_path):
    folder = place(tmp_path / "mine", {**contents(), "data_batch_4.bin": b""})
    assert refusal(folder) == f"{folder / 'data_batch_4.bin'}: is empty"


def archive_of(*entries):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def forged_header():
    """An archive whose first entry claims to be a name of 2 GiB."""
    entry = tarfile.TarInfo("a")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2**31
    return gzip.compress(entry.tobuf() + bytes(2**14))


def negative_size():
    """An archive whose first file says that it is a block behind itself."""
    entry = tarfile.TarInfo("test_batch.bin")
    header = bytearray(entry.tobuf())
    header[124:136] = (2**96 - 512).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(2**14))


BAD_ARCHIVES = {
    "text": (b"hello", "is no gzipped tar archive or is damaged; get it again: Not a gzipped file"),
    "empty": (b"", "is empty"),
    "packed text": (gzip.compress(b"hello" * 999), "is no gzipped tar archive or is damaged"),
    "cut off": (tar(contents())[:-1000], "is no gzipped tar archive or is damaged; get it again: "),
    "tail": (
        gzip.compress(gzip.decompress(tar(contents())) + bytes(2**21)),
        "is no gzipped tar archive or is damaged; get it again: much follows the archive's end",
    ),
    "twice": (
        archive_of(*[(tarfile.TarInfo(f"{i}/test_batch.bin"), bytes(3073)) for i in "ab"]),
        "has test_batch.bin twice; get it again",
    ),
    "negative": (
        negative_size(),
        "is no gzipped tar archive or is damaged; get it again: ",
    ),
    "forged": (
        forged_header(),
        "is no gzipped tar archive or is damaged; get it again: a header in it claims to be larger",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_archives_that_are_none(tmp_path, content, message):
    path = tmp_path / ARCHIVE
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: {message}")


def test_links_and_names_that_lead_elsewhere_do_nothing(tmp_path):
    """Only ordinary files are read, by the last part of their names, and none is written."""
    files = contents()
    link = tarfile.TarInfo("test_batch.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    entries = [(tarfile.TarInfo(f"../../{name}"), content) for name, content in files.items()]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / ARCHIVE
    path.write_bytes(archive_of((link, b""), *entries, (tarfile.TarInfo("/tmp/x/y"), b"x")))
    assert_is_complete(load(path))
    assert [entry.name for entry in tmp_path.rglob("*")] == ["in", ARCHIVE]
    path.write_bytes(archive_of(*entries[:-1], (link, b"")))
    assert "lacks test_batch.bin" in refusal(path)


def test_no_flipped_byte_gives_other_images(tmp_path, rng):
    content, path = tar(contents(1)), tmp_path / ARCHIVE
    want, same = images(1)[0], 0
    for place_ in rng.integers(0, len(content), 100):
        damaged = bytearray(content)
        damaged[place_] ^= 1 << place_ % 8
        path.write_bytes(damaged)
        try:
            got = load(path)
        except DataError as error:
            assert str(error).startswith(f"{path}: ")
        else:
            same += 1
            np.testing.assert_array_equal(got.x_test, want[5])
            np.testing.assert_array_equal(got.x_train, want[:5, 0])
    assert same < 10


def test_too_large_for_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 20_000)
    folder = place(tmp_path / "mine", contents())
    (tmp_path / ARCHIVE).write_bytes(tar(contents()))
    for path in (folder, tmp_path / ARCHIVE):
        assert "12,292 bytes, more than half of the 20,000 bytes of memory" in refusal(path)


# By name.


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give each test a cache folder and a data folder of its own, and no proxy."""
    monkeypatch.setattr(places, "user_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache" / "nnkit" / "cifar10"


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data" / "cifar10"


@pytest.fixture
def small(monkeypatch):
    """Four images a file are what was published, as `load` knows it; return the archive."""
    content = tar(contents())

    def publish(*mirrors):
        sha256 = hashlib.sha256(content).hexdigest()
        archive = replace(CIFAR10.archive, sha256=sha256, mirrors=mirrors)
        monkeypatch.setitem(catalogue.KNOWN, "cifar10", replace(CIFAR10, archive=archive))
        return content

    digests = {name: hashlib.sha256(file).hexdigest() for name, file in contents().items()}
    monkeypatch.setattr(Cifar10, "digests", digests)
    publish()
    return publish


def location():
    return next(info.location for info in available() if info.name == "cifar10")


@pytest.mark.parametrize("inner", ["", FOLDER])
def test_unpacked_under_its_name(small, data_dir, inner):
    folder = place(data_dir / inner, contents())
    dataset = load("cifar10")
    assert_is_complete(dataset)
    assert dataset.name == "cifar10"
    assert location() == folder
    other = contents()["data_batch_1.bin"][::-1]
    place(folder, {"data_batch_1.bin": other})
    assert refusal("cifar10") == (
        f"{folder / 'data_batch_1.bin'}: not the published data_batch_1.bin: its SHA-256 is "
        f"{hashlib.sha256(other).hexdigest()}, not {Cifar10.digests['data_batch_1.bin']}; get it "
        "again"
    )
    (folder / "data_batch_1.bin").unlink()
    assert refusal("cifar10").startswith(f"{folder}: lacks data_batch_1.bin of CIFAR-10's")


def test_packed_under_its_name(small, data_dir, cache):
    place(data_dir, {ARCHIVE: small()})
    place(cache, {ARCHIVE: b"damaged"})
    assert_is_complete(load("cifar10"))
    assert location() == data_dir / ARCHIVE
    place(data_dir, {ARCHIVE: b"damaged"})
    assert refusal("cifar10").startswith(f"{data_dir / ARCHIVE}: not the published {ARCHIVE}: its")
    assert (data_dir / ARCHIVE).read_bytes() == b"damaged"


def test_it_is_downloaded_once(small, cache):
    with serving() as server:
        mirrors = [server.mirror("bad", {ARCHIVE: b"<html>"}), server.mirror("good", {})]
        server.mirror("good", {ARCHIVE: small(*mirrors)})
        assert location() is None
        assert_is_complete(load("cifar10"))
        assert [entry.name for entry in cache.iterdir()] == [ARCHIVE]
        assert location() == cache / ARCHIVE
        server.wait_for_probes(len(mirrors))
        server.asked.clear()
        assert_is_complete(load("cifar10"))
        assert server.asked == []
        place(cache, {ARCHIVE: b"damaged"})
        assert_is_complete(load("cifar10"))
        assert "/good/cifar-10-binary.tar.gz" in server.downloads()


def test_unpacked_in_the_cache(small, cache):
    place(cache / FOLDER, contents())
    assert_is_complete(load("cifar10"))


def test_what_to_do_where_it_cannot_be_downloaded(small, cache):
    with serving() as server:
        mirror = server.mirror("empty", {})
        small(mirror)
        message = (
            f"cifar10 is not on this machine and cannot be downloaded: %s{mirror} "
            f"({ARCHIVE}: HTTP 404 Not Found). To place it by hand, put {ARCHIVE} into {cache} or "
            "into $NNKIT_DATA_DIR/cifar10"
        )
        assert refusal("cifar10") == message % ""
        place(cache, {ARCHIVE: b"damaged"})
        found = hashlib.sha256(b"damaged").hexdigest()
        right = hashlib.sha256(small(mirror)).hexdigest()
        assert refusal("cifar10") == message % (
            f"{cache / ARCHIVE}: not the published {ARCHIVE}: its SHA-256 is {found}, not {right}; "
            "get it again; "
        )


def test_a_cache_folder_that_cannot_be_made(small, cache):
    cache.parent.parent.mkdir()
    cache.parent.write_text("not a folder")
    assert refusal("cifar10").startswith(f"{cache}: cannot be written: ")
    assert refusal("cifar10").endswith(f"; put {ARCHIVE} into $NNKIT_DATA_DIR/cifar10 instead")


def test_what_was_published():
    assert set(DIGESTS) == set(NAMES)
    assert len({*DIGESTS.values(), CIFAR10.archive.sha256}) == 7
    for digest in (*DIGESTS.values(), CIFAR10.archive.sha256):
        assert re.fullmatch("[0-9a-f]{64}", digest)
    for mirror in CIFAR10.archive.mirrors:
        assert re.fullmatch(r"https://\S+/", mirror)
    assert len(CLASSES) == 10
