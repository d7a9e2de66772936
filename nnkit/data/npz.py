"""Read .npz files: archives of named arrays, as `numpy.savez` writes them.

``numpy.load`` takes a member ``x`` for ``x.npy``, and stops where an array's header says that it
ends, short of the checksum. Here a member counts under its full name and is read to its end.
"""

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nnkit.data.damage import damage
from nnkit.data.errors import DataError
from nnkit.data.files import check_file
from nnkit.data.streams import Order, read_array
from nnkit.files.paths import open_file

_MAX_HEADER = 10_000
_KINDS = "biufUS"
_LOCAL_HEADER = 30
_LEAST_MEMBER = 100
"""No .npy member of an archive has fewer bytes, all told, and no header has so much to add."""


@contextmanager
def open_npz(path: Path) -> Iterator["Npz"]:
    """Open an .npz file.

    Raises
    ------
    DataError
        If it cannot be read, is no zip file, or a damaged one.
    """
    check_file(path)
    with damage(path, "neither a folder of images or IDX files, nor an .npz file"):
        file = open_file(path)
    with file:
        with damage(path, "neither a folder of images or IDX files, nor an .npz file"):
            npz = Npz(path, ZipFile(file))
        yield npz


class Npz:
    """An .npz file that is open.

    Attributes
    ----------
    names : list[str]
        The arrays in it, in the file's order.
    """

    def __init__(self, path: Path, archive: ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._members = _unique(path, archive.infolist())
        self.names = [name.removesuffix(".npy") for name in self._members if name.endswith(".npy")]

    def read(self, name: str) -> NDArray[Any]:
        """Read one of the `names`.

        Raises
        ------
        DataError
            If it is damaged, no array of numbers or text, or too large for this machine.
        """
        called = f"{self._path}: {name}"
        with damage(called, "cannot be read"), self._open(self._members[f"{name}.npy"]) as member:
            return read_array(member, *_read_header(member, called))

    def check_complete(self) -> None:
        """Raise `DataError` where the list of members may lack one that is in the file.

        To be called where something depends on what is *not* there: one damaged byte can rename
        a member in the list, or have one entry's comment swallow the next.
        """
        ends = [0]
        for name, member in self._members.items():
            with damage(f"{self._path}: {name:.100}", "cannot be read"):
                self._open(member).close()  # compares its name with the one before its data
            before = _LOCAL_HEADER + len(member.orig_filename.encode())
            ends.append(member.header_offset + before + member.compress_size)
        starts = [member.header_offset for member in self._members.values()]
        for start, end in zip(
            sorted([*starts, self._archive.start_dir]), sorted(ends), strict=True
        ):
            if start - end >= _LEAST_MEMBER:
                raise DataError(f"{self._path}: is damaged: there is more in it than it lists")

    def _open(self, member: ZipInfo) -> IO[bytes]:
        if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            raise ValueError("it is compressed in a way that NumPy does not write")
        return self._archive.open(member)


def _unique(path: Path, members: Iterable[ZipInfo]) -> dict[str, ZipInfo]:
    found: dict[str, ZipInfo] = {}
    for member in members:
        if member.filename in found:
            raise DataError(f"{path}: has {member.filename:.100} twice; save it anew with np.savez")
        found[member.filename] = member
    return found


def _read_header(
    member: IO[bytes], called: str
) -> tuple[np.dtype[Any], tuple[int, ...], str, Order]:
    """Read what is in front of an array, and return what `read_array` is to be told."""
    version = npy.read_magic(member)
    length = member.read(2 if version == (1, 0) else 4)
    if version not in {(1, 0), (2, 0)} or int.from_bytes(length, "little") > _MAX_HEADER:
        raise ValueError("its header is none that NumPy writes for numbers or text")
    header = io.BytesIO(length + member.read(int.from_bytes(length, "little")))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header that is not quite Python
        shape, is_fortran, dtype = read(header)
    if dtype.hasobject:
        raise DataError(
            f"{called}: holds Python objects, which nnkit does not read, as that can run code; "
            'convert it with .astype("int64"), .astype(str) or np.stack before saving'
        )
    if dtype.kind not in _KINDS:
        raise DataError(f"{called}: holds {dtype!s:.100}, which is neither numbers nor text")
    if min(shape, default=0) < 0 or len(shape) > 64:
        raise ValueError(f"its header says shape {shape}")
    return dtype, shape, called, "F" if is_fortran else "C"
