"""Image files to pixels, prepared as a data set's own images were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnkit.files.paths import expand
from nnkit.image_files import ImageError, check_pillow, read_pixels, read_size, without_warnings
from nnkit.kernels.cores import usable_cores
from nnkit.lighting import levelled, threshold

if TYPE_CHECKING:
    from nnkit.data import Dataset

Preparation = Literal["mnist", "fit", "resize"]
"""How images become what a network was trained on.

"mnist": the digit, light on black, is fitted into the middle 20/28 of the image, and its centre of
mass put into the image's centre (LeCun et al. 1998). "fit": it fills the image, as in digits and
Fashion-MNIST. "resize": the whole image is scaled, and its brightness left alone.
"""

FAINT = 0.25
"""What differs from the background by less than this part of the contrast is none of the digit."""

LEAST_CONTRAST = 10
"""An image whose brightness, 0 to 255, varies by less than this is empty."""


def preparation(dataset: Dataset) -> Preparation:
    """Return how images must be prepared for a network trained on `dataset`.

    Where that is not known, 28x28 images are taken to be like MNIST's if they are dark at the
    border.
    """
    if dataset.preparation is not None:
        return dataset.preparation
    if dataset.image_shape != (28, 28) or dataset.x_train.dtype != np.uint8:
        return "resize"
    border = _border(dataset.x_train[:1000].reshape(-1, 28, 28))
    return "mnist" if border.mean() < 0.1 * 255 else "resize"


def read_image(
    path: str | PathLike[str], shape: tuple[int, ...], how: Preparation = "resize"
) -> NDArray[np.uint8]:
    """Read an image file of any size and mode as bytes of the size that `shape` gives.

    For (height, width) that is one row of them, gray. For (height, width, 3) it is an array of this
    shape, red, green and blue, to which the image is scaled, whatever `how` says.

    Under "mnist" and "fit" an image that is dark on light is inverted. One that has `shape`
    already is otherwise taken as it is; of any other, the background's brightness is subtracted,
    the contrast stretched to 0..255, and the empty margin cut off.

    Raises
    ------
    OSError
        If the file cannot be opened, or is a pipe, a device or anything but an ordinary file.
    ImageError
        If it is no PNG, JPEG, GIF, BMP, PPM, TIFF or WebP, is damaged, has more than
        `MAX_PIXELS`, or has nothing on it.
    """
    check_pillow()
    with without_warnings():
        return _read(expand(path), shape, how)


def read_images(
    paths: Sequence[Path], shape: tuple[int, ...], how: Preparation = "resize"
) -> Iterator[NDArray[np.uint8] | Exception]:
    """Read many at a time, in order; instead of one that cannot be read comes what it raised."""

    def read(path: Path) -> NDArray[np.uint8] | Exception:
        try:
            return _read(path, shape, how)
        except (OSError, ImageError) as error:
            return error

    check_pillow()
    with without_warnings(), ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(read, paths)


def common_size(paths: Iterable[Path], largest: int) -> tuple[int, int] | None:
    """Return the height and width of all images, None if they differ or exceed `largest`.

    Reads headers only, and no further than to the first that differs.
    """
    check_pillow()
    common = None
    with without_warnings():
        for path in paths:
            try:
                size = read_size(path)
            except (OSError, ImageError):  # told when it is read
                continue
            if max(size) > largest or size != (common or size):
                return None
            common = size
    return common


def _read(path: Path, shape: tuple[int, ...], how: Preparation) -> NDArray[np.uint8]:
    height, width, *colors = shape
    detail = max(512, 4 * max(height, width))
    if colors:
        layers = np.moveaxis(read_pixels(path, detail, color=True), 2, 0)
        return _as_bytes(np.dstack([_resized(layer, (height, width)) for layer in layers]))
    gray = read_pixels(path, detail)
    try:
        return prepared(gray, (height, width), how).reshape(-1)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None


def prepared(
    gray: NDArray[np.float64], shape: tuple[int, int], how: Preparation
) -> NDArray[np.uint8]:
    """Make brightness (rows, columns), 0 to 255, an image as `read_image` says.

    Raises ImageError where there is nothing on it.
    """
    if how != "resize" and _dark_on_light(gray):
        gray = 255 - gray
    if how == "resize" or gray.shape == shape:
        return _as_bytes(_resized(gray, shape))
    return _as_bytes(_place(gray, shape, how))


def _as_bytes(pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


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
    ink = _resized(ink, size)
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
    return _resized(
        gray, (max(1, round(gray.shape[0] * factor)), max(1, round(gray.shape[1] * factor)))
    )


def _cut_out(gray: NDArray[np.float64], how: Preparation) -> NDArray[np.float64]:
    """Make the background 0 and the brightest 255, and cut off the margin."""
    if np.ptp(gray) < LEAST_CONTRAST:
        raise ImageError("there is nothing on it: all of it is about equally bright")
    if how == "mnist":
        gray = levelled(gray)
        black, white = _paper_and_pen(gray)
    else:
        black, white = _background(gray), gray.max()
    ink: NDArray[np.float64] = ((gray - black) * (255 / (white - black))).clip(0, 255)
    rows, columns = np.nonzero(ink > FAINT * 255)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _background(gray: NDArray[np.float64]) -> float:
    return float(np.median(_border(gray)))


def _paper_and_pen(gray: NDArray[np.float64]) -> tuple[float, float]:
    """Brightness up to which all is paper, and of full strokes, as MNIST's were black and white."""
    light = gray > threshold(gray)
    paper, pen = float(np.median(gray[~light])), float(np.median(gray[light]))
    return paper + FAINT * (pen - paper), pen


def _centre_of_mass(ink: NDArray[np.float64]) -> tuple[float, float]:
    """Row and column, where the first pixel's are 0."""
    rows, columns = (np.arange(n) for n in ink.shape)
    return (
        float(np.average(rows, weights=ink.sum(axis=1))),
        float(np.average(columns, weights=ink.sum(axis=0))),
    )


def _resized(gray: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return an image scaled to `shape`; one that has it stays as it is."""
    if gray.shape == shape:
        return gray
    from PIL import Image

    image = Image.fromarray(gray.astype(np.float32))
    resized = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float64).clip(0, 255)
