"""Read IDX files, the format that MNIST is published in.

An IDX file is two zero bytes, one byte for the element type, one for the number of dimensions,
each dimension as a big-endian uint32, then the elements in row-major order, big-endian.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.files import ROLES, check_file, missing_idx_files, unreadable
from nnkit.data.labels import Named
from nnkit.data.streams import read_array
from nnkit.files.paths import expand, open_file

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 64
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, gzipped or not (its contents decide, not its name).

    Parameters
    ----------
    path : path-like
        A regular file.

    Returns
    -------
    ndarray
        In the file's shape; uint8, int8, int16, int32, float32 or float64 in native byte order.

    Raises
    ------
    DataError
        If the file is missing, empty, a folder, unreadable, no IDX file, damaged, truncated,
        longer than its header says, or too large for this machine's memory. Memory grows with
        what the file delivers, never with what its header claims.

    Notes
    -----
    An IDX file has no checksum: one that is not gzipped shows no damage but to its header.
    """
    path = expand(path)
    check_file(path)
    try:
        with open_file(path) as file:
            return read_idx_stream(file, str(path))
    except OSError as error:
        raise unreadable(path, error) from error


def read_idx_stream(file: IO[bytes], name: str) -> NDArray[Any]:
    """Read an IDX file from a stream that can seek, called `name` in messages; as `read_idx`."""
    try:
        with _unpacked(file) as stream:
            return read_array(stream, *_read_header(stream, name), name)
    except EOFError as error:
        raise DataError(f"{name}: truncated: the gzip data ends early; get it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: damaged gzip data ({error}); get it again") from error
    except MemoryError as error:
        raise DataError(f"{name}: does not fit into memory") from error


def read_idx_files(folder: Path, found: Mapping[str, Path]) -> dict[str, Named]:
    """Read the four files of a data set, of which `found` are in a folder, one for each role.

    Raises DataError where one is missing or cannot be read.
    """
    if len(found) < len(ROLES):
        raise missing_idx_files(folder, found)
    return {role: Named(str(path), read_idx(path)) for role, path in found.items()}


def idx_digest(array: NDArray[Any], algorithm: str) -> str:
    """Return the hash of the unpacked IDX file that `array` was read from.

    An array has exactly one IDX encoding, so that hashing the encoding hashes the file.

    Parameters
    ----------
    array : ndarray
        What `read_idx` returned.
    algorithm : str
        A name that `hashlib.new` takes, such as ``"sha256"``.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    import hashlib

    big_endian = array.dtype.newbyteorder(">")
    code = next(code for code, dtype in _DTYPES.items() if np.dtype(dtype) == big_endian)
    digest = hashlib.new(algorithm, bytes([0, 0, code, array.ndim]), usedforsecurity=False)
    digest.update(np.array(array.shape, dtype=">u4").tobytes())
    digest.update(array.astype(big_endian, copy=False).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@contextmanager
def _unpacked(file: IO[bytes]) -> Iterator[IO[bytes] | gzip.GzipFile]:
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    if packed:
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked
    else:
        yield file


def _read_header(
    stream: IO[bytes] | gzip.GzipFile, name: str
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or not magic.startswith(b"\0\0"):
        raise DataError(
            f"{name}: not an IDX file: it starts with the bytes {magic.hex(' ')}, but an IDX file "
            "starts with 00 00, or with 1f 8b when gzipped"
        )
    code, n_dimensions = magic[2:]
    if code not in _DTYPES:
        raise DataError(f"{name}: not an IDX file: unknown element type 0x{code:02X}")
    if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
        raise DataError(f"{name}: not a usable IDX file: it has {n_dimensions} dimensions")
    raw = stream.read(4 * n_dimensions)
    if len(raw) < 4 * n_dimensions:
        raise DataError(f"{name}: truncated: it ends inside its header")
    return np.dtype(_DTYPES[code]), tuple(np.frombuffer(raw, ">u4").tolist())
