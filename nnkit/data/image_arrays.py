"""Check images that came as arrays, and bring them into the shape that data sets have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.labels import Named
from nnkit.layers.inputs import channels_first
from nnkit.showing.warning import DataWarning, warn


def check_images(named: Named) -> Named:
    """Return images as uint8 or float32; DataError for any that are none or not finite."""
    name, array = named
    if not 2 <= array.ndim <= 4:
        raise DataError(
            f"{name}: images have shape (N, H, W), (N, features) or (N, H, W, channels), "
            f"not {array.shape}"
        )
    if array.size == 0:
        raise DataError(f"{name}: there is nothing in images of shape {array.shape}")
    if array.dtype == np.uint8:
        return named
    if array.dtype.kind != "f":
        raise DataError(
            f"{name}: images are uint8 (0..255) or float, not {array.dtype}; {_remedy(array)}"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{name}: {np.count_nonzero(~finite)} of {len(finite)} images hold NaN or infinite "
            f"float32 values, the first is image {finite.argmin()}"
        )
    return Named(name, array)


def _remedy(array: NDArray[Any]) -> str:
    """Say how to convert images of another dtype, such that no pixel changes its brightness."""
    if array.dtype.kind not in "iub":
        return 'convert them with .astype("float32")'
    if array.min() >= 0 and array.max() <= 255:
        return 'convert them with .astype("uint8")'
    if array.dtype == np.uint16:
        return 'convert 16 bits a pixel to 8 with (x // 257).astype("uint8")'
    return f'they reach from {array.min()} to {array.max()}: divide them, x.astype("float32") / ...'


def warn_of_channels_first(images: Named) -> None:
    """Warn, with the remedy, of images that seem to be (N, channels, height, width)."""
    name, array = images
    if not channels_first(array.shape[1:]):
        return
    channels, height, width = array.shape[1:]
    is_series = channels == 1 and not height // 2 <= width <= 2 * height
    if not is_series:
        warn(
            f"{name}: images of shape {array.shape} are taken for {channels}x{height} pixels of "
            f"{width} channels, but seem to have their channels first: save "
            f"x.transpose(0, 2, 3, 1), of shape {(len(array), height, width, channels)}",
            DataWarning,
        )


def check_same_length(images: Named, labels: Named) -> None:
    """Raise `DataError` unless there is a label for each image."""
    if len(images.array) != len(labels.array):
        raise DataError(
            f"{images.name} has {len(images.array)} images, shape {images.array.shape}, but "
            f"{labels.name} has {len(labels.array)} labels, shape {labels.array.shape}"
        )


def check_same_kind(train: Named, test: Named) -> None:
    """Raise `DataError` unless images for training and testing have the same size and dtype."""
    if train.array.shape[1:] != test.array.shape[1:]:
        raise DataError(
            f"{train.name} has images of shape {train.array.shape[1:]}, but {test.name} has "
            f"{test.array.shape[1:]}: they must be the same"
        )
    if train.array.dtype != test.array.dtype:
        raise DataError(
            f"{train.name} is {train.array.dtype}, but {test.name} is {test.array.dtype}: bytes "
            "are divided by 255 and floats are not, so both must be the same"
        )


def arranged(array: NDArray[Any]) -> NDArray[Any]:
    """Make a row of each image with one channel, leave others in shape; C-contiguous."""
    several = len(image_shape(array.shape) or ()) == 3
    return np.ascontiguousarray(array if several else array.reshape(len(array), -1))


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return height, width and, where there are several, channels; None for (N, features)."""
    if len(shape) == 2:
        return None
    return shape[1:3] if shape[3:] == (1,) else shape[1:]
