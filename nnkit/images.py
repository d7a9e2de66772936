"""Image files to rows of pixels, prepared as a data set's own images were."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnkit.reasons import importing

if TYPE_CHECKING:
    from PIL.Image import Image

    from nnkit.data import Dataset

Preparation = Literal["mnist", "fit", "resize"]
"""How images become what a network was trained on.

"mnist": the digit, light on black, is fitted into the middle 20/28 of the image, and its centre of
mass put into the image's centre (LeCun et al. 1998). "fit": it fills the image, as in digits and
Fashion-MNIST. "resize": the whole image is scaled, and its brightness left alone.
"""

_PREPARATIONS: dict[str, Preparation] = {"mnist": "mnist", "fashion-mnist": "fit", "digits": "fit"}
FAINT = 0.25
"""What differs from the background by less than this part of the contrast is none of the digit."""

LEAST_CONTRAST = 10
"""An image whose brightness, 0 to 255, varies by less than this is empty."""


class ImageError(ValueError):
    """A file is no image that can be used; the message names it and says why."""


def preparation(dataset: Dataset) -> Preparation:
    """Return how images must be prepared for a network trained on `dataset`.

    The user's own 28x28 images are taken to be like MNIST's if they are dark at the border.
    """
    if dataset.name in _PREPARATIONS:
        return _PREPARATIONS[dataset.name]
    if dataset.image_shape != (28, 28) or dataset.x_train.dtype != np.uint8:
        return "resize"
    border = _border(dataset.x_train[:1000].reshape(-1, 28, 28))
    return "mnist" if border.mean() < 0.1 * 255 else "resize"


def read_image(
    path: str | PathLike[str], shape: tuple[int, int], how: Preparation = "resize"
) -> NDArray[np.uint8]:
    """Read an image file of any size and mode as one row of `shape[0] * shape[1]` bytes.

    Under "mnist" and "fit" an image that is dark on light is inverted. One that has `shape`
    already is otherwise taken as it is; of any other, the background's brightness is subtracted,
    the contrast stretched to 0..255, and the empty margin cut off.

    Raises OSError for a file that cannot be opened, ImageError for one that is no image, or that
    has nothing on it.
    """
    gray = _read_gray(Path(path))
    if how != "resize" and _dark_on_light(gray):
        gray = 255 - gray
    if gray.shape != shape:
        try:
            gray = _resize(gray, shape) if how == "resize" else _place(gray, shape, how)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None
    return np.rint(gray).clip(0, 255).astype(np.uint8).reshape(-1)


# ---------------------------------------------------------------------- files


def _read_gray(path: Path) -> NDArray[np.float64]:
    """Read a file as brightness from 0 to 255, (height, width)."""
    try:
        with importing("PIL", "Pillow", "reading images needs Pillow; run: pip install pillow"):
            from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImageError(str(error)) from error
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(file)
            image.load()
            return _brightness(ImageOps.exif_transpose(image))
        except UnidentifiedImageError as error:
            raise ImageError(f"{path}: is no image file that Pillow knows") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageError(f"{path}: has too many pixels to be read safely") from error
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from error
        # Pillow documents no list of what a damaged file can make its decoders raise.
        except Exception as error:
            raise ImageError(f"{path}: cannot be read as an image: {error}") from error


def _brightness(image: Image) -> NDArray[np.float64]:
    if image.mode.startswith(("I", "F")):
        return _scale_to_bytes(np.asarray(image, np.float64))
    if not image.has_transparency_data:
        return np.asarray(image.convert("L"), np.float64)
    gray, alpha = np.moveaxis(np.asarray(image.convert("LA"), np.float64), 2, 0)
    ink = np.average(gray, weights=alpha) if alpha.any() else 0.0
    background = 255 if ink < 128 else 0
    blended: NDArray[np.float64] = background + (gray - background) * alpha / 255
    return blended


def _scale_to_bytes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale pixels of 16-bit, 32-bit or float images, whose files do not say what is white."""
    if not np.isfinite(values).all():
        raise ImageError("holds NaN or infinity")
    if values.min() < 0:
        raise ImageError("holds negative pixels")
    top = values.max()
    white = next((w for w in (1, 255, 65535) if top <= w), top)
    return values * (255 / white)


# ---------------------------------------------------------------------- pixels


def _border(images: NDArray[Any]) -> NDArray[Any]:
    """Pixels at the four edges of (..., height, width), in one row."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1])
    return np.concatenate([edge.reshape(-1) for edge in edges])


def _dark_on_light(gray: NDArray[np.float64]) -> bool:
    """Whether the border is nearer to the image's brightest pixel than to its darkest."""
    return bool(_background(gray) * 2 > gray.min() + gray.max())


def _place(
    gray: NDArray[np.float64], shape: tuple[int, int], how: Preparation
) -> NDArray[np.float64]:
    """Cut out what is light on dark, and place it on a black image of `shape`."""
    height, width = shape
    box = (round(height * 20 / 28), round(width * 20 / 28)) if how == "mnist" else shape
    ink = _cut_out(_shrink(gray, 8 * max(shape)), how)
    scale = min(box[0] / ink.shape[0], box[1] / ink.shape[1])
    size = (max(1, round(ink.shape[0] * scale)), max(1, round(ink.shape[1] * scale)))
    ink = _resize(ink, size)
    ink *= 255 / ink.max()
    centre = _centre_of_mass(ink) if how == "mnist" else (size[0] / 2, size[1] / 2)
    top = min(max(0, round(height / 2 - centre[0])), height - size[0])
    left = min(max(0, round(width / 2 - centre[1])), width - size[1])
    placed = np.zeros(shape)
    placed[top : top + size[0], left : left + size[1]] = ink
    return placed


def _shrink(gray: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Scale a large image down, so that the noise of single pixels averages out."""
    factor = longest / max(gray.shape)
    if factor >= 1:
        return gray
    return _resize(
        gray, (max(1, round(gray.shape[0] * factor)), max(1, round(gray.shape[1] * factor)))
    )


def _cut_out(gray: NDArray[np.float64], how: Preparation) -> NDArray[np.float64]:
    """Make the background 0 and the brightest 255, and cut off the margin."""
    if np.ptp(gray) < LEAST_CONTRAST:
        raise ImageError("there is nothing on it: all of it is about equally bright")
    black, white = _paper_and_pen(gray) if how == "mnist" else (_background(gray), gray.max())
    ink: NDArray[np.float64] = ((gray - black) * (255 / (white - black))).clip(0, 255)
    rows, columns = np.nonzero(ink > FAINT * 255)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _background(gray: NDArray[np.float64]) -> float:
    return float(np.median(_border(gray)))


def _paper_and_pen(gray: NDArray[np.float64]) -> tuple[float, float]:
    """Brightness up to which all is paper, and of full strokes, as MNIST's were black and white."""
    light = gray > _threshold(gray)
    paper, pen = float(np.median(gray[~light])), float(np.median(gray[light]))
    return paper + FAINT * (pen - paper), pen


def _threshold(gray: NDArray[np.float64]) -> float:
    """Find the brightness that separates two kinds of pixels best (Otsu 1979)."""
    counts, edges = np.histogram(gray, bins=256)
    below = counts.cumsum()
    above = below[-1] - below
    total = (counts * edges[:-1]).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = total / below - (total[-1] - total) / above
        variance = np.nan_to_num(below * above * distance**2)
    return float(edges[variance.argmax() + 1])


def _centre_of_mass(ink: NDArray[np.float64]) -> tuple[float, float]:
    """Row and column, where the first pixel's are 0."""
    rows, columns = (np.arange(n) for n in ink.shape)
    return (
        float(np.average(rows, weights=ink.sum(axis=1))),
        float(np.average(columns, weights=ink.sum(axis=0))),
    )


def _resize(gray: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    from PIL import Image

    image = Image.fromarray(gray.astype(np.float32))
    resized = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float64).clip(0, 255)
