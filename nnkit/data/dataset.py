"""What a data set is, and what is known about one before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnkit.reasons import printable

if TYPE_CHECKING:
    from nnkit.images import Preparation

DIGIT_NAMES = tuple("0123456789")


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Images and labels, split into a training and a test set.

    Attributes
    ----------
    name : str
        ``"mnist"``, or the name of the user's file or folder.
    x_train, x_test : ndarray, shape (N, features)
        Images, flattened row by row, C-contiguous. uint8 holds bytes 0..255, which
        `Trainer.fit` scales to 0..1 (those of fewer than 16 pixels with ``scale=1/255`` only);
        float32 holds the user's own scale, used as it is.
    t_train, t_test : ndarray of int64, shape (N,)
        Labels: class numbers from 0 to ``n_classes - 1``.
    image_shape : tuple[int, int] or None
        Height and width in pixels; None where a row is no single-channel image.
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
    image_shape: tuple[int, int] | None
    class_names: tuple[str, ...]
    preparation: Preparation | None = None
    note: str = ""

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}: {len(self.x_train)} training and {len(self.x_test)} test rows "
            f"of {self.x_train.shape[1]} {self.x_train.dtype}, {self.n_classes} classes"
            + (f"; {printable(self.note)})" if self.note else ")")
        )


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that `nnkit.data.load` knows by name.

    Attributes
    ----------
    name, description, licence : str
        ``licence`` is an SPDX identifier.
    source : str
        The address of the data set's home page.
    n_train, n_test : int
        Number of training and of test images.
    image_shape : tuple[int, int]
        Height and width in pixels.
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
    image_shape: tuple[int, int]
    download_bytes: int
    location: Path | None
