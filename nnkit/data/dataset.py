"""What a data set is, and what is known about one before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.reasons import printable

if TYPE_CHECKING:
    from nnkit.images import Preparation

DIGIT_NAMES = tuple("0123456789")


def size_text(shape: tuple[int, ...]) -> str:
    """Write a size as "28x28"."""
    return "x".join(map(str, shape))


def in_words(shape: tuple[int, ...]) -> str:
    """Write the `image_shape` of a data set as "28x28", "32x32 in colour" or the like."""
    channels = (*shape, 1)[2]
    more = {1: "", 3: " in colour"}.get(channels, f" with {channels} channels")
    return size_text(shape[:2]) + more


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Images and labels, split into a training and a test set.

    Attributes
    ----------
    name : str
        ``"mnist"``, or the name of the user's file or folder.
    x_train, x_test : ndarray, shape (N, features) or (N, height, width, channels)
        Images, C-contiguous: those with one channel flattened row by row, those with several, such
        as colours, in their shape. `as_rows` and `as_images` give the other one. uint8 holds bytes
        0..255, which `Trainer.fit` scales to 0..1 (rows of fewer than 16 pixels with
        ``scale=1/255`` only); float32 holds the user's own scale, used as it is.
    t_train, t_test : ndarray of int64, shape (N,)
        Labels: class numbers from 0 to ``n_classes - 1``.
    image_shape : tuple[int, ...] or None
        Height and width in pixels, and behind them the channels where there are several; None
        where a row is no image.
    class_names : tuple[str, ...]
        One name per class.
    preparation : {"mnist", "fit", "resize"} or None
        How image files must be prepared to be like these (see `nnkit.images.read_image`); None
        where that is not known.
    note : str
        What was decided on the way, such as which images were held out for testing; may be empty.
    """

    name: str
    x_train: NDArray[np.uint8] | NDArray[np.float32]
    t_train: NDArray[np.int64]
    x_test: NDArray[np.uint8] | NDArray[np.float32]
    t_test: NDArray[np.int64]
    image_shape: tuple[int, ...] | None
    class_names: tuple[str, ...]
    preparation: Preparation | None = None
    note: str = ""

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def n_outputs(self) -> int:
        """Numbers that a network gives for an example."""
        return self.n_classes

    @property
    def noun(self) -> str:
        """What an example is called."""
        return "images"

    @property
    def told(self) -> str:
        """What is to be told of an example, in words."""
        return f"{self.n_classes} classes"

    def as_rows(self) -> Dataset:
        """Return the same data with images as rows, (N, features), as `nnkit.Linear` takes them."""
        return self.shaped(prod(self.x_train.shape[1:]))

    def as_images(self) -> Dataset:
        """Return the same data with images in shape (N, height, width, channels).

        Gray ones have one channel. Raises DataError where rows are no images.
        """
        if self.image_shape is None:
            raise DataError(
                f"{self.name}: its rows of {self.x_train.shape[1]} numbers have no known height "
                "and width; reshape them, x_train.reshape(-1, height, width, channels)"
            )
        height, width, channels = (*self.image_shape, 1)[:3]
        return self.shaped(height, width, channels)

    def shaped(self, *shape: int) -> Dataset:
        """Return the same data, not copied, with images of another shape of as many numbers."""
        x_train, x_test = (x.reshape(len(x), *shape) for x in (self.x_train, self.x_test))
        return replace(self, x_train=x_train, x_test=x_test)

    def __repr__(self) -> str:
        shape = self.x_train.shape[1:]
        kind = f"rows of {shape[0]}" if len(shape) == 1 else f"images of {size_text(shape)}"
        return (
            f"Dataset({self.name!r}: {len(self.x_train)} training and {len(self.x_test)} test "
            f"{kind} {self.x_train.dtype}, {self.n_classes} classes"
            + (f"; {printable(self.note)})" if self.note else ")")
        )


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that `nnkit.data.load` knows by name.

    Attributes
    ----------
    name, description, licence : str
        ``licence`` is an SPDX identifier, ``"NOASSERTION"`` where the authors state none.
    source : str
        The address of the data set's home page.
    n_train, n_test : int
        Number of training and of test images.
    image_shape : tuple[int, ...]
        Height and width in pixels, and behind them the channels where there are several.
    download_bytes : int
        Size of the download in bytes; 0 where the data set comes with nnkit.
    location : pathlib.Path or None
        The folder or file it would be read from, None where it would have to be downloaded.
    """

    name: str
    description: str
    licence: str
    source: str
    n_train: int
    n_test: int
    image_shape: tuple[int, ...]
    download_bytes: int
    location: Path | None
