"""Read image files that may be damaged, enormous, or something else altogether."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.files.paths import open_file
from nnkit.reasons import importing, printable

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
"""What is read, by Pillow's names. It knows more, some of which start other programs."""

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp"),
)
"""How names of such files end, in lower case."""

MAX_PIXELS = 50_000_000
"""Images with more pixels are refused unread: telephones take fewer, and a small file can have
billions."""

_ORIENTATION = 0x0112
_TURNS: dict[int, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""How an image is turned upright, by the number that cameras note (Exif 2.3, tag 274)."""


class ImageError(ValueError):
    """A file is no image that can be used; the message names it and says why, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep Pillow quiet about metadata; not to be entered by several threads at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_pillow() -> None:
    """Raise `ImageError` with the remedy where Pillow is not installed."""
    try:
        with importing("PIL", "Pillow", "reading images needs Pillow; run: pip install pillow"):
            import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImageError(str(error)) from error


def read_size(path: Path) -> tuple[int, int]:
    """Height and width that a file's header promises; raises as `read_pixels` does."""
    with _open_image(path) as image:
        return image.height, image.width


def read_pixels(path: Path, detail: int, color: bool = False) -> NDArray[np.float64]:
    """Read an image as brightness from 0 to 255, (height, width), or that of three colours.

    The first of several in a file is read. It is turned as the camera noted it; what is
    transparent becomes white under dark ink and black under light.

    Parameters
    ----------
    path : pathlib.Path
    detail : int
        Sides that have at least twice as many pixels are reduced to less than that, so that a
        large photograph takes little memory.
    color : bool
        Whether to return red, green and blue, (height, width, 3); of a gray image all are the same.

    Raises
    ------
    OSError
        If the file cannot be opened or is no ordinary file.
    ImageError
        If it is no image of the `FORMATS`, is damaged, or has more than `MAX_PIXELS`.
    """
    with _open_image(path) as image:
        mode = "RGB" if color else "L"
        image.draft(mode, (detail, detail))
        image.load()
        # Pillow's own turning also writes the metadata anew, which fails where they are odd.
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
        pixels = _brightness(image, detail, mode)
        return pixels if turn is None else np.ascontiguousarray(turn(pixels))


@contextmanager
def _open_image(path: Path) -> Iterator[Image]:
    from PIL import Image, UnidentifiedImageError

    with open_file(path) as file:
        try:
            image = Image.open(file, formats=FORMATS)
            _check_pixels(image)
            if image.format == "PNG":
                image.verify()  # its checksums, which decoding leaves out
                file.seek(0)
                image = Image.open(file, formats=["PNG"])
            yield image
        except UnidentifiedImageError as error:
            raise ImageError(
                f"{path}: is no image that nnkit reads ({', '.join(FORMATS)}); convert it to PNG"
            ) from error
        except Image.DecompressionBombError as error:
            raise ImageError(f"{path}: has too many pixels to be read safely") from error
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from error
        # Pillow documents no list of what a damaged file can make its decoders raise.
        except Exception as error:
            raise ImageError(f"{path}: cannot be read as an image: {error!s:.200}") from error


def _check_pixels(image: Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(
            f"has {image.width}x{image.height} pixels, and nnkit reads {MAX_PIXELS:,} at most; "
            "scale it down"
        )


def _brightness(image: Image, detail: int, mode: str) -> NDArray[np.float64]:
    """Return what an image holds in `mode`, "L" for (height, width) or "RGB" for three of it."""
    if image.mode.startswith(("I", "F")):
        gray = _scale_to_bytes(image, detail)
        return gray if mode == "L" else np.repeat(gray[..., None], 3, axis=2)
    if not image.has_transparency_data:
        image = image if image.mode in {"RGB", "CMYK"} else image.convert(mode)
        return np.asarray(_reduce(image, detail).convert(mode), np.float64)
    image = image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
    reduced = _reduce(image, detail)
    gray, alpha = np.moveaxis(np.asarray(reduced.convert("LA"), np.float64), 2, 0)
    ink = np.average(gray, weights=alpha) if alpha.any() else 0.0
    background = 255 if ink < 128 else 0
    if mode == "L":
        return _blended(gray, alpha, background)
    colors = np.asarray(reduced.convert("RGBA"), np.float64)[..., :3]
    return _blended(colors, alpha[..., None], background)


def _blended(
    pixels: NDArray[np.float64], alpha: NDArray[np.float64], background: int
) -> NDArray[np.float64]:
    blended: NDArray[np.float64] = background + (pixels - background) * alpha / 255
    return blended


def _scale_to_bytes(image: Image, detail: int) -> NDArray[np.float64]:
    """Scale pixels of 16 bits to 0..255, and those of 32 bits by their range.

    What is white in an image of 32-bit integers or floats, its file does not say.
    """
    if image.mode.startswith("I;16"):
        return np.asarray(_reduce(image.convert("I"), detail), np.float64) / 257
    extrema: Any = image.getextrema()
    low, high = extrema
    values: NDArray[np.float64] = np.array(_reduce(image, detail), np.float64)
    if not np.isfinite([low, high]).all() or not np.isfinite(values).all():
        raise ImageError("holds NaN or infinity")
    if low < 0:
        raise ImageError("holds negative pixels")
    white = next((w for w in (1, 255, 65535) if high <= w), high)
    values *= 255 / white
    return values


def _reduce(image: Image, detail: int) -> Image:
    """Average whole blocks of pixels, where there are at least twice as many as are of use."""
    factors = max(1, image.width // detail), max(1, image.height // detail)
    return image if factors == (1, 1) else image.reduce(factors)
