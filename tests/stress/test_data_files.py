"""Damaged data files: refused by a DataError, or the same arrays as before, bit for bit.

What has a checksum, .npz and .gz, must never give other arrays. A plain file has none: what it
gives must be what its bytes say. Files that are forged, with checksums that are right, must be
refused or be data sets whose arrays fit together.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.data import DataError, Dataset, load, read_idx
from nnkit.data.labels import MAX_CLASSES
from nnkit.reasons import printable
from tests.stress.bytes import damaged
from tests.stress.share import first_seed, share_of
from tests.stress.survey import survey

ATTEMPTS = share_of(10_000, 80)
RNG = np.random.default_rng
NAMES = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
ROLES = ["x_train", "t_train", "x_test", "t_test"]


def arrays(dtype: str = "u1") -> list[np.ndarray]:
    rng = RNG(0)
    images, labels = rng.integers(0, 256, (18, 5, 4)).astype(dtype), np.arange(18) % 3
    return [images[:12], labels[:12], images[12:], labels[12:]]


def idx(array: np.ndarray) -> bytes:
    code = {"u1": 8, "i4": 0xC, "f4": 0xD}[array.dtype.str[1:]]
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + shape + array.astype(array.dtype.str[1:]).tobytes()


@cache
def npz_files() -> list[bytes]:
    """Packed and not; nnkit's names and Keras', none to test with; floats, labels as text."""
    files = []
    for save in (np.savez, np.savez_compressed):
        for names, dtype in ((ROLES, "u1"), (["x_train", "y_train", "x_test", "y_test"], "f8")):
            files.append(saved(save, dict(zip(names, arrays(dtype), strict=True))))
        x, t, *_ = arrays("f4")
        files.append(saved(save, {"x": np.asfortranarray(x), "y": np.array(["a", "b", "c"])[t]}))
    return files


def saved(save, members: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    save(file, **members)
    return file.getvalue()


def same(got: Dataset, want: Dataset) -> bool:
    return got.class_names == want.class_names and all(
        getattr(got, role).dtype == getattr(want, role).dtype
        and getattr(got, role).shape == getattr(want, role).shape
        and getattr(got, role).tobytes() == getattr(want, role).tobytes()
        for role in ROLES
    )


def assert_fits_together(data: Dataset) -> None:
    for part in ("train", "test"):
        x, t = getattr(data, f"x_{part}"), getattr(data, f"t_{part}")
        assert x.dtype in (np.uint8, np.float32)
        assert x.shape == (len(t), *data.x_train.shape[1:])
        assert np.isfinite(x).all()
        if not data.n_classes:
            assert t.dtype == np.float32
            assert np.isfinite(t).all()
            continue
        assert t.dtype == np.int64
        assert 0 <= t.min() <= t.max() < data.n_classes <= MAX_CLASSES


# ---------------------------------------------------------------------- attempts


def npz(rng: np.random.Generator, folder: Path) -> str:
    path = folder / "data.npz"
    file = npz_files()[rng.integers(len(npz_files()))]
    path.write_bytes(file)
    want = load(path)
    start = file.index(b"PK\x01\x02") if rng.random() < 0.3 else 0  # the list of members alone
    path.write_bytes(file[:start] + damaged(file[start:], rng))
    try:
        got = load(path)
    except DataError as error:
        return told(error, path)
    assert same(got, want), got
    return "same"


def forged_npz(rng: np.random.Generator, folder: Path) -> str:
    """Members exchanged, left out, doubled or renamed, with other headers: all checksums right."""
    path = folder / "data.npz"
    members = dict(zip([f"{role}.npy" for role in ROLES], map(npy, arrays()), strict=True))
    kind = zipfile.ZIP_DEFLATED if rng.random() < 0.5 else zipfile.ZIP_STORED
    name, other = rng.choice(list(members), 2, replace=False)
    match rng.integers(6):
        case 0:
            members[name], members[other] = members[other], members[name]
        case 1:
            members[rng.choice(["x_train", "x", "x.npy", "y.npy", "\x1b[2J.npy"])] = members[other]
        case 2:
            del members[name]
        case _:
            members[name] = other_header(members[name], rng)
    with zipfile.ZipFile(path, "w", kind) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return outcome(path)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


EXTREMES = [0, 1, -1, 2, 3, 12, 20, 2**31, 2**32, 2**62, 2**63, 2**64, 10**30, True, None, 1.5, ()]
DTYPES = [
    *("|u1", "|i1", "<u2", ">f4", "<f8", "<f2", "|b1", "<c16", "|O", "<U0", "|S7"),
    *("<U99999999", "|V3", "<M8[s]", "x", "|u9"),
]
BROKEN = ["{", "[" * 3000, "-" * 3000 + "1", "{'descr': '|u1'}", "\0" * 100, "é" * 100, "9" * 9000]


def other_header(content: bytes, rng: np.random.Generator) -> bytes:
    length = int.from_bytes(content[8:10], "little")
    body = content[10 + length :]
    if rng.random() < 0.1:
        text = str(rng.choice(BROKEN))
    else:
        shape = tuple(EXTREMES[i] for i in rng.integers(len(EXTREMES), size=rng.integers(5)))
        if rng.random() < 0.5:
            shape = [(12,), (12, 20), (12, 5, 4), (240,), (3, 4, 20), (6, 20)][rng.integers(6)]
        descr = str(rng.choice(DTYPES)) if rng.random() < 0.7 else "|u1"
        text = repr({"descr": descr, "fortran_order": bool(rng.integers(2)), "shape": shape})
    version = [b"\1\0", b"\2\0", b"\3\0", b"\x09\x09"][rng.integers(4) if rng.random() < 0.3 else 0]
    header = text.encode("latin1", "replace") + b"\n"
    claimed = len(header) if rng.random() < 0.9 else int(rng.choice([0, 1, 2**16 - 1, 2**32 - 1]))
    size = 2 if version == b"\1\0" else 4
    return (
        b"\x93NUMPY"
        + version
        + (claimed % 2 ** (8 * size)).to_bytes(size, "little")
        + header
        + body
    )


def packed_idx(rng: np.random.Generator, folder: Path) -> str:
    want = folder_of_idx(folder, ".gz")
    path = folder / f"{NAMES[rng.integers(4)]}-ubyte.gz"
    path.write_bytes(damaged(path.read_bytes(), rng))
    try:
        got = load(folder)
    except DataError as error:
        return told(error, folder)
    assert same(got, want), got
    return "same"


def plain_idx(rng: np.random.Generator, folder: Path) -> str:
    folder_of_idx(folder, "")
    path = folder / f"{NAMES[rng.integers(4)]}-ubyte"
    content = damaged(path.read_bytes(), rng)
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except DataError as error:
        return told(error, path)
    body = content[4 + 4 * array.ndim :]
    assert array.astype(array.dtype.newbyteorder(">")).tobytes() == body
    return outcome(folder)


def folder_of_idx(folder: Path, suffix: str) -> Dataset:
    pack = gzip.compress if suffix else bytes
    for name, array in zip(NAMES, arrays(), strict=True):
        (folder / f"{name}-ubyte{suffix}").write_bytes(pack(idx(array.astype("u1"))))
    return load(folder)


BATCHES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


@cache
def cifar10() -> dict[str, bytes]:
    """A record or two a file."""
    rng = RNG(0)
    return {
        name: b"".join(bytes([label]) + rng.bytes(3072) for label in range(1 + i % 2))
        for i, name in enumerate(BATCHES)
    }


@cache
def packed_cifar10() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        for name, content in cifar10().items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def packed_batches(rng: np.random.Generator, folder: Path) -> str:
    path = folder / "cifar.tar.gz"
    path.write_bytes(packed_cifar10())
    want = load(path)
    path.write_bytes(damaged(packed_cifar10(), rng))
    try:
        got = load(path)
    except DataError as error:
        return told(error, path)
    assert same(got, want), got
    return "same"


def forged_batches(rng: np.random.Generator, folder: Path) -> str:
    """A header in the archive is damaged, and gzip's checksum right."""
    content = bytearray(gzip.decompress(packed_cifar10()))
    starts = [at for at in range(0, len(content), 512) if content[at + 257 : at + 262] == b"ustar"]
    at = starts[rng.integers(len(starts))]
    header = bytearray(damaged(bytes(content[at : at + 512]), rng)[:512].ljust(512, b"\0"))
    if rng.random() < 0.7:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    content[at : at + 512] = header
    path = folder / "cifar.tgz"
    path.write_bytes(gzip.compress(bytes(content), 1))
    return outcome(path)


def batches(rng: np.random.Generator, folder: Path) -> str:
    name = BATCHES[rng.integers(6)]
    for each, content in cifar10().items():
        (folder / each).write_bytes(damaged(content, rng) if each == name else content)
    return outcome(folder)


@cache
def tables() -> dict[str, bytes]:
    """A CSV and a Parquet file of numbers, texts and flags, to tell a class or an amount."""
    polars = pytest.importorskip("polars")
    rng = RNG(0)
    columns = {"a": rng.normal(size=30), "b": [True, False, None] * 10, "c": ["x", "y"] * 15}
    table = polars.DataFrame({**columns, "t": rng.integers(0, 3, 30)})
    packed = io.BytesIO()
    table.write_parquet(packed)
    return {"table.csv": table.write_csv().encode(), "table.parquet": packed.getvalue()}


def table(rng: np.random.Generator, folder: Path) -> str:
    """Damaged text; of Parquet a part, for what is damaged within may end polars' process."""
    name, content = [*tables().items()][rng.integers(2)]
    whole = name.endswith("csv")
    content = damaged(content, rng) if whole else content[: rng.integers(1, len(content) + 1)]
    (folder / name).write_bytes(content)
    regression = bool(rng.integers(2))
    return outcome(folder / name, target="t", impute=True, regression=regression)


def outcome(path: Path, **options: Any) -> str:
    try:
        data = load(path, **options)
    except DataError as error:
        return told(error, path)
    assert_fits_together(data)
    return "fits together"


def told(error: DataError, path: Path) -> str:
    assert str(error).startswith(str(path))
    assert printable(str(error)) == str(error)
    assert len(str(error)) < 1000
    return "refused"


# ---------------------------------------------------------------------- the test

KINDS = {
    **{npz: 0.25, forged_npz: 0.2, packed_idx: 0.15, plain_idx: 0.1, table: 0.1},
    **{packed_batches: 0.08, forged_batches: 0.08, batches: 0.04},
}
OUTCOMES = {
    *("npz: refused", "npz: same", "forged_npz: refused", "forged_npz: fits together"),
    *("packed_idx: refused", "packed_idx: same", "plain_idx: refused", "plain_idx: fits together"),
    *("packed_batches: refused", "forged_batches: refused", "forged_batches: fits together"),
    *("batches: refused", "batches: fits together", "table: refused", "table: fits together"),
}


def attempt(seed: int, folder: Path) -> str:
    rng = RNG(seed)
    kind = rng.choice([*KINDS], p=[*KINDS.values()])
    return f"{kind.__name__}: {kind(rng, folder)}"


def test_damaged_data():
    found = survey(f"{__name__}:attempt", first_seed(), ATTEMPTS)
    found.check(*(OUTCOMES if ATTEMPTS >= 1000 else ["npz: refused"]))
