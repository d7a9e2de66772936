"""Messages: what is packed is unpacked as it was, and what is no message is refused."""

import json
import struct

import numpy as np
import pytest

from nnkit.play.wire import DTYPES, MessageError, pack, unpack


def binary(head, rest=b"", pad=True):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    text += b" " * (-(len(text) + 4) % 8 if pad else 0)
    return struct.pack("<I", len(text)) + text + rest


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5), (1, 2, 3, 4)])
def test_arrays_come_back_as_they_were(dtype, shape):
    sent = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    other = np.array([1.5, -2], np.float32)
    got = unpack(pack({"type": "a", "x": sent, "y": other, "z": "그림"}))
    assert got["x"].dtype == dtype
    np.testing.assert_array_equal(got["x"], sent)
    np.testing.assert_array_equal(got["y"], other)
    assert (got["type"], got["z"], got["x"].shape) == ("a", "그림", shape)


def test_an_array_in_another_order_is_written_row_by_row():
    sent = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    np.testing.assert_array_equal(unpack(pack({"type": "a", "x": sent}))["x"], sent)


def test_what_is_not_finite_becomes_null():
    said = pack({"type": "a", "n": np.float32("nan"), "m": [1.5, float("inf")], "k": np.int64(3)})
    assert json.loads(said) == {"type": "a", "n": None, "m": [1.5, None], "k": 3}


def test_an_array_that_the_page_cannot_read_is_a_mistake():
    with pytest.raises(TypeError, match="x: the page reads arrays of uint8"):
        pack({"type": "a", "x": np.zeros(3)})


def test_numbers():
    got = unpack('{"type": "a", "n": [0, -12, 1.5, -2e3, 9007199254740992]}')
    assert got["n"] == [0, -12, 1.5, -2000.0, 2**53]
    assert [type(n) for n in got["n"]] == [int, int, float, float, int]


WRONG_TEXTS = [
    *("", "{", "nonsense", "3", "[]", "null", "{}", '{"type": 3}', '{"type": null}'),
    *('{"type": "a", "n": NaN}', '{"type": "a", "n": -Infinity}', '{"type": "a", "n": 1e999}'),
    *('{"type": "a", "n": %s}' % ("9" * 5000), "[" * 100_000, '{"a":' * 100_000, "\ud800"),
]


@pytest.mark.parametrize("text", WRONG_TEXTS, ids=lambda text: text[:20].encode("unicode-escape"))
def test_what_is_no_message(text):
    with pytest.raises(MessageError):
        unpack(text)


def described(*arrays):
    return {"type": "a", "arrays": [*arrays]}


WRONG_BYTES = {
    "empty": b"",
    "short": b"\0\0\0",
    "zeros": bytes(64),
    "size beyond the end": struct.pack("<I", 2**32 - 1) + b"{}",
    "not padded": binary({"type": "a", "arrays": []}, pad=False),
    "not UTF-8": binary(b'{"type": "\xff", "arrays": []}'),
    "no arrays": binary({"type": "a"}),
    "arrays of nothing": binary({"type": "a", "arrays": {}}),
    "not described": binary(described(3)),
    "unknown dtype": binary(described(["x", "object", [1]]), bytes(8)),
    "no shape": binary(described(["x", "uint8", 1]), bytes(8)),
    "negative": binary(described(["x", "uint8", [-1]]), bytes(8)),
    "true": binary(described(["x", "uint8", [True]]), bytes(8)),
    "fraction": binary(described(["x", "uint8", [1.5]]), bytes(8)),
    "too many dimensions": binary(described(["x", "uint8", [1] * 5]), bytes(8)),
    "too large": binary(described(["x", "uint8", [2**24, 2**24]]), bytes(8)),
    "huge but empty": binary(described(["x", "uint8", [2**23, 2**23, 2**23, 0]])),
    "ends behind the message": binary(described(["x", "float32", [3]]), bytes(8)),
    "twice": binary(described(["x", "uint8", [8]], ["x", "uint8", [8]]), bytes(16)),
    "the type": binary(described(["type", "uint8", [8]]), bytes(8)),
}


@pytest.mark.parametrize("data", WRONG_BYTES.values(), ids=WRONG_BYTES)
def test_which_bytes_are_no_message(data):
    with pytest.raises(MessageError):
        unpack(data)
