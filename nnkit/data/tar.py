"""Read files out of a gzipped tar archive, of which nothing is ever written to a disk."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from nnkit.data.damage import damage
from nnkit.data.errors import DataError
from nnkit.data.files import check_file
from nnkit.files.paths import open_file

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


def tar_files(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Go through the ordinary files of an archive, whatever folders they are in.

    Yields for each its name without folders, its size as the archive says it, and a stream that is
    good until the next one. Links and other things are passed over. The archive is read to its end,
    where gzip's checksum is compared: only then has all been right.

    Raises
    ------
    DataError
        If the archive cannot be read, is none, is damaged, or ends early.
    """
    check_file(path)
    problem = "is no gzipped tar archive or is damaged; get it again"
    with damage(path, problem), open_file(path) as file, _Unpacked(fileobj=file) as unpacked:
        with tarfile.open(fileobj=unpacked, mode="r:") as archive:
            for member in archive:
                if member.isreg() and (stream := archive.extractfile(member)):
                    yield PurePosixPath(member.name).name, member.size, stream
        if len(_rest(unpacked)) > _PADDING:
            raise DataError(f"{path}: {problem}: much follows the archive's end")


def _rest(unpacked: _Unpacked) -> bytes:
    """What follows, up to a little more than there may be."""
    rest = b""
    while len(rest) <= _PADDING and (part := unpacked.read(_PADDING)):
        rest += part
    return rest
