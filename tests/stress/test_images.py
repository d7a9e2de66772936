"""Damaged image files: refused by an ImageError, or pixels of the right size, gray or in colour.

A PNG has checksums and must never give other pixels. Other formats show damage only where their
structure breaks.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nnkit.images import ImageError, read_image
from nnkit.reasons import printable
from tests.stress.bytes import damaged
from tests.stress.share import first_seed, share_of
from tests.stress.survey import survey

Image = pytest.importorskip("PIL.Image")

ATTEMPTS = share_of(10_000, 80)
RNG = np.random.default_rng
SHAPE = (9, 7)

FILES = [
    *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *(("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")),
    *(
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"exif": b"Exif\0\0MM\0*\0\0\0\x08"}),
    ),
    *(("GIF", "P", {}), ("GIF", "P", {"save_all": True}), ("BMP", "RGB", {}), ("BMP", "P", {})),
    *(("PPM", mode, {}) for mode in ("1", "L", "RGB")),
    *(("TIFF", mode, {}) for mode in ("RGB", "F", "I;16", "CMYK")),
    *(("TIFF", "RGB", {"compression": how}) for how in ("tiff_lzw", "jpeg", "packbits", "group4")),
    *(("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True})),
    *(("PNG", "RGB", {"save_all": True}), ("WEBP", "RGB", {"save_all": True})),
]
"""Formats, modes and how to save them."""

OTHERS = [
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n%%EOF\n",
    b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n",
    b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    b"\xd7\xcd\xc6\x9a" + bytes(60),  # WMF
    b"\x01\x00\x00\x00" + bytes(36) + b" EMF" + bytes(60),
    b"SIMPLE  =                    T" + b" " * 50,  # FITS
    b"CDF\x01" + bytes(40),
    b"\x89HDF\r\n\x1a\n" + bytes(40),
    b"\0\0\1\0\1\0\1\1\0\0\1\0\x20\0\x30\0\0\0\x16\0\0\0" + bytes(48),  # icon
    b"\0\0\0\x20ftypavif" + bytes(40),
    b"GRIB" + bytes(40),
    b"Kodak" * 30,
    b"<html><body>404</body></html>",
]


@cache
def originals() -> list[bytes]:
    rng = RNG(0)
    gray = Image.fromarray(rng.integers(0, 256, (12, 17), np.uint8))
    files = []
    for form, mode, options in FILES:
        image = Image.fromarray(np.array(gray, np.uint16) * 257) if mode == "I;16" else gray
        image = gray.convert("1") if options.get("compression") == "group4" else image
        image = image.convert(mode) if image.mode not in ("I;16", "1") else image
        more = {}
        if "save_all" in options:
            more["append_images"] = [image.transpose(Image.Transpose.ROTATE_180)]
        file = io.BytesIO()
        image.save(file, form, **options, **more)
        files.append(file.getvalue())
    return files


# ---------------------------------------------------------------------- attempts


def any_format(rng: np.random.Generator, folder: Path) -> str:
    return read(folder, damaged(originals()[rng.integers(len(FILES))], rng))


def png(rng: np.random.Generator, folder: Path) -> str:
    file = originals()[rng.choice([i for i, (form, *_) in enumerate(FILES) if form == "PNG"])]
    path = folder / "image.png"
    path.write_bytes(file)
    shape = (*SHAPE, 3) if rng.random() < 0.5 else SHAPE
    want = read_image(path, shape)
    what = read(folder, damaged(file, rng))
    if what == "refused":
        return what
    np.testing.assert_array_equal(read_image(path, shape), want)
    return "same"


def forged_png(rng: np.random.Generator, folder: Path) -> str:
    """Chunks exchanged, doubled, left out, or with other contents; all checksums right."""
    file = originals()[rng.choice([i for i, (form, *_) in enumerate(FILES) if form == "PNG"])]
    found = chunks(file)
    for _ in range(rng.integers(1, 4)):
        if not found:
            break
        i, j = rng.integers(len(found), size=2)
        match rng.integers(5):
            case 0:
                found[i], found[j] = found[j], found[i]
            case 1:
                found.insert(j, found[i])
            case 2:
                del found[i]
            case 3:
                found[i] = (found[i][0], damaged(found[i][1], rng))
            case _:
                size = [1, 17, 7000, 7100, 2**16, 2**31 - 1, 2**32 - 1, 0]
                width, height = (size[k] for k in rng.integers(len(size), size=2))
                found[0] = (found[0][0], struct.pack(">II", width, height) + found[0][1][8:])
    return read(folder, file[:8] + b"".join(chunk(*each) for each in found))


def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(file):
        size = int.from_bytes(file[at : at + 4], "big")
        found.append((file[at + 4 : at + 8], file[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def something_else(rng: np.random.Generator, folder: Path) -> str:
    """Another format under an image's name, its beginning that of an image in every third."""
    content = OTHERS[rng.integers(len(OTHERS))]
    if rng.random() < 0.5:
        content = damaged(content, rng)
    if rng.random() < 0.3:
        content = originals()[rng.integers(len(FILES))][: rng.integers(40)] + content
    return read(folder, content)


def read(folder: Path, content: bytes) -> str:
    path = folder / "image.png"
    path.write_bytes(content)
    how = ("resize", "fit", "mnist")[len(content) % 3]
    shape = (*SHAPE, 3) if len(content) % 2 else SHAPE
    try:
        pixels = read_image(path, shape, how)
    except ImageError as error:
        assert str(error).startswith(f"{path}: ")
        assert printable(str(error)) == str(error)
        assert len(str(error)) < 500
        return "refused"
    assert pixels.shape == (shape if len(shape) == 3 else (63,))
    assert pixels.dtype == np.uint8
    return "read"


# ---------------------------------------------------------------------- the test

KINDS = {any_format: 0.5, png: 0.2, forged_png: 0.2, something_else: 0.1}
OUTCOMES = {
    *("any_format: refused", "any_format: read", "png: refused", "png: same"),
    *("forged_png: refused", "forged_png: read", "something_else: refused"),
}


def attempt(seed: int, folder: Path) -> str:
    rng = RNG(seed)
    kind = rng.choice([*KINDS], p=[*KINDS.values()])
    return f"{kind.__name__}: {kind(rng, folder)}"


def test_damaged_images():
    found = survey(f"{__name__}:attempt", first_seed(), ATTEMPTS)
    found.check(*(OUTCOMES if ATTEMPTS >= 1000 else ["any_format: refused"]))
