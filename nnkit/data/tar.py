"""Read files out of a gzipped tar archive, of which nothing is ever written to a disk."""

import gzip
import tarfile
from collections.abc import Container
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from nnkit.data.damage import damage
from nnkit.data.errors import DataError
from nnkit.data.files import check_file
from nnkit.data.streams import read_array
from nnkit.files.paths import open_file

_BYTES = np.dtype(np.uint8)

_MOST_AT_ONCE = 2**21
"""A read of more is that of a forged header, as files are read in smaller parts."""

_PADDING = 2**20
"""How much may follow the archive's end: zeros that fill its last block, of 10 KiB as a rule."""


class _Unpacked(gzip.GzipFile):
    """What is unpacked, in parts of limited size."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MOST_AT_ONCE:
            raise tarfile.ReadError("a header in it claims to be larger than any is")
        return super().read(size)


def read_tar(path: Path, wanted: Container[str]) -> dict[str, NDArray[np.uint8]]:
    """Read the ordinary files of some names, whatever folders of the archive they are in.

    Links and other things are passed over. The archive is read to its end, where gzip's checksum is
    compared.

    Returns
    -------
    dict
        For each of the `wanted` names that is there, its bytes.

    Raises
    ------
    DataError
        If the archive cannot be read, is none, is damaged, ends early, has a name twice, or a file
        in it is too large for this machine's memory.
    """
    check_file(path)
    found: dict[str, NDArray[np.uint8]] = {}
    problem = "is no gzipped tar archive or is damaged; get it again"
    with damage(path, problem), open_file(path) as file, _Unpacked(fileobj=file) as unpacked:
        with tarfile.open(fileobj=unpacked, mode="r:") as archive:
            for member in archive:
                if member.size < 0:
                    raise tarfile.ReadError("a file in it claims to have less than no bytes")
                name = PurePosixPath(member.name).name
                usual = name in wanted and member.isreg()
                stream = archive.extractfile(member) if usual else None
                if stream is None:
                    continue
                if name in found:
                    raise DataError(f"{path}: has {name} twice; get it again")
                found[name] = read_array(stream, _BYTES, (member.size,), f"{path}: {name}")
        if len(_rest(unpacked)) > _PADDING:
            raise DataError(f"{path}: {problem}: much follows the archive's end")
    return found


def _rest(unpacked: _Unpacked) -> bytes:
    """What follows, up to a little more than there may be."""
    rest = b""
    while len(rest) <= _PADDING and (part := unpacked.read(_PADDING)):
        rest += part
    return rest
