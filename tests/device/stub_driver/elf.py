"""The symbols of an ELF library for 64-bit little-endian machines, read from its file.

The functions of the CUDA runtime in CuPy's wheel are not exported, so that the dynamic loader does
not know them; but the wheel is not stripped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SYMBOLS, DYNAMIC_SYMBOLS = 2, 11
"""Types of sections."""
HEADER, SECTION, SYMBOL = struct.Struct("<40xQ10xHHH"), struct.Struct("<IIQQQQIIQQ"), "<IBBHQQ"


class Symbol(NamedTuple):
    """A name, the address of what it stands for, and its size; `defined` in this file or not."""

    name: str
    address: int
    size: int
    defined: bool


def symbols(path: Path, kind: int = SYMBOLS) -> list[Symbol]:
    """Return all symbols of a kind; none where the file has no such table.

    Raises ValueError for a file of another format.
    """
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path.name} is no ELF file for 64-bit little-endian machines")
    start, size, count, _ = HEADER.unpack_from(data)
    sections = [SECTION.unpack_from(data, start + i * size) for i in range(count)]
    return [
        symbol
        for _, type_, _, _, offset, length, link, *_ in sections
        if type_ == kind
        for symbol in _table(data, offset, length, sections[link][4])
    ]


def _table(data: bytes, offset: int, length: int, names: int) -> Iterator[Symbol]:
    for name, _, _, section, address, size in struct.iter_unpack(
        SYMBOL, data[offset : offset + length]
    ):
        text = data[names + name : data.index(b"\0", names + name)].decode()
        yield Symbol(text, address, size, section != 0)
