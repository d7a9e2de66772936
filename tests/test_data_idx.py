"""The IDX loader: every element type, and every way in which a file can be broken."""

import gzip
import hashlib
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nnkit.data import DataError, read_idx
from nnkit.data.idx import idx_digest

CODES = {"uint8": 8, "int8": 9, "int16": 0xB, "int32": 0xC, "float32": 0xD, "float64": 0xE}


def header(code, *shape):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def encode(array):
    big_endian = array.astype(array.dtype.newbyteorder(">"))
    return header(CODES[array.dtype.name], *array.shape) + big_endian.tobytes()


IMAGES = encode(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))

in_one_file = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)


@pytest.fixture
def write(tmp_path):
    def write(content, name="file"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_every_element_type_in_native_byte_order(write, dtype, pack):
    array = np.array([[0, 1, 2], [100, 101, 127]], dtype=dtype)
    read = read_idx(write(pack(encode(array))))
    assert read.dtype == array.dtype and read.dtype.isnative
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, array)


@in_one_file
@given(
    arrays(
        st.sampled_from([*CODES]).map(np.dtype),
        array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=5),
    ),
    st.booleans(),
)
def test_round_trip_and_digest(write, array, packed):
    content = encode(array)
    read = read_idx(write(gzip.compress(content) if packed else content))
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()
    assert idx_digest(read, "sha256") == hashlib.sha256(content).hexdigest()
    assert idx_digest(read, "md5") == hashlib.md5(content).hexdigest()


def test_accepts_a_path_as_str(write):
    assert read_idx(str(write(IMAGES))).shape == (2, 3, 4)


def test_the_contents_decide_what_is_gzip_not_the_name(write):
    assert read_idx(write(IMAGES, "plain.gz")).shape == (2, 3, 4)
    assert read_idx(write(gzip.compress(IMAGES), "packed-idx3-ubyte")).shape == (2, 3, 4)


def test_a_gzip_file_of_several_members_is_one_file(write):
    assert read_idx(write(gzip.compress(IMAGES[:20]) + gzip.compress(IMAGES[20:]))).size == 24


PACKED = gzip.compress(IMAGES)
BROKEN = {
    "empty": (b"", "is empty"),
    "html": (b"<!DOCTYPE html>", "not an IDX file: it starts with the bytes 3c 21 44 4f"),
    "short magic": (b"\0\0\x08", "not an IDX file"),
    "element type": (header(0x0A, 1) + b"\0", "unknown element type 0x0A"),
    "no dimension": (b"\0\0\x08\0\0", "it has 0 dimensions"),
    "255 dimensions": (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "it has 255 dimensions"),
    "header ends": (IMAGES[:10], "truncated: it ends inside its header"),
    "one too few": (IMAGES[:-1], "uint8 of shape (2, 3, 4), 24 bytes, but only 23 follow"),
    "one too many": (IMAGES + b"\0", "uint8 of shape (2, 3, 4), 24 bytes, but more follow"),
    "no data": (IMAGES[:16], "only 0 follow"),
    "empty gzip": (gzip.compress(b""), "not an IDX file"),
    "gzip of html": (gzip.compress(b"<html>"), "not an IDX file"),
    "gzip too few": (gzip.compress(IMAGES[:-1]), "only 23 follow"),
    "gzip too many": (gzip.compress(IMAGES + b"\0"), "more follow"),
    "gzip magic only": (b"\x1f\x8b", "truncated: the gzip data ends early"),
    "gzip truncated": (PACKED[: len(PACKED) // 2], "truncated: the gzip data ends early"),
    "gzip without checksum": (PACKED[:-8], "truncated: the gzip data ends early"),
    "gzip wrong checksum": (PACKED[:-8] + b"\0" * 4 + PACKED[-4:], "damaged gzip data"),
    "gzip wrong length": (PACKED[:-4] + b"\xff" * 4, "damaged gzip data"),
    "gzip bad method": (b"\x1f\x8b\x07" + PACKED[3:], "damaged gzip data"),
    "gzip bad deflate": (PACKED[:10] + b"\xff" * 20, "damaged gzip data"),
    "gzip then garbage": (PACKED + b"garbage", "damaged gzip data"),
    "exabytes": (header(0x0E, 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"\0" * 8, "more than half"),
    "over the limit": (header(0x08, 2**32 - 1, 2**16) + b"\0", "more than half"),
    "exabytes of nothing": (header(0x0E, 0, 2**32 - 1, 2**32 - 1, 2**32 - 1), "more than half"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_and_explained_in_one_line(write, content, message):
    path = write(content, "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@in_one_file
@given(st.binary(max_size=200), st.booleans())
@example(header(0x08, 2**32 - 1), False)
@example(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\xff\xff", False)
def test_random_bytes_are_read_or_refused(write, content, packed):
    read_or_refuse(write(gzip.compress(content) if packed else content))


@in_one_file
@given(st.data())
def test_a_truncated_file_is_always_refused(write, data):
    whole = data.draw(st.sampled_from([IMAGES, PACKED]))
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DataError, match="file: "):
        read_idx(write(whole[:length]))


@in_one_file
@given(st.data())
def test_a_mutated_file_is_read_or_refused(write, data):
    content = bytearray(data.draw(st.sampled_from([IMAGES, PACKED])))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    read_or_refuse(write(bytes(content)))


def read_or_refuse(path):
    try:
        array = read_idx(path)
    except DataError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert array.dtype.name in CODES


def test_memory_follows_what_the_file_delivers_not_what_it_claims(write):
    path = write(header(0x08, 2**28, 4) + b"\0" * 1000)
    assert peak_memory_of_refusing(path, "only 1,000 follow") < 4 * 2**20


def test_a_gzip_bomb_is_not_unpacked_beyond_what_its_header_says(write):
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(header(0x08, 1000))
    bomb += b"".join(packer.compress(b"\0" * 2**20) for _ in range(64)) + packer.flush()
    assert len(bomb) < 2**17
    assert peak_memory_of_refusing(write(bomb), "1,000 bytes, but more follow") < 4 * 2**20


def peak_memory_of_refusing(path, message):
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(DataError, match=message):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such file"):
        read_idx(tmp_path / "nowhere")


def test_path_through_a_file(write):
    with pytest.raises(DataError, match="no such file"):
        read_idx(write(IMAGES) / "inside")


def test_folder(tmp_path):
    with pytest.raises(DataError, match="is a folder where a file was expected"):
        read_idx(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is not an ordinary file"):
        read_idx(tmp_path / "pipe")


def test_null_byte_in_the_path():
    with pytest.raises(DataError, match=r"cannot be read: .*embedded null"):
        read_idx("a\0b")


def test_overlong_path():
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        read_idx("a" * 10_000)


def test_permission_denied(write, monkeypatch):
    path = write(IMAGES)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nnkit.data.idx.open_file", refuse)
    with pytest.raises(DataError, match="file: cannot be read: Permission denied"):
        read_idx(path)


def test_out_of_memory(write, monkeypatch):
    def refuse(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("nnkit.data.idx.read_array", refuse)
    with pytest.raises(DataError, match="file: does not fit into memory"):
        read_idx(write(IMAGES))
