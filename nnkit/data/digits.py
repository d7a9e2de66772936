"""Digits: 1,797 real handwritten digits of 8x8 pixels, shipped with nnkit.

They are the test set of "Optical Recognition of Handwritten Digits" in the UCI Machine Learning
Repository, the images that scikit-learn carries. Source and licence: ``digits.LICENSE.txt``.

UCI gives these images no split of their own. Here every fifth image of each class is for testing,
in the order in which they are stored: 1,442 for training, 355 for testing. Neighbouring images
come from one writer, so that accuracy is for writers the network has seen; on unknown writers it
is lower.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.dataset import DIGIT_NAMES, Dataset, DatasetInfo

_FILE = "digits.npz"


def load() -> Dataset:
    """Return the digits; their values 0..16 are rescaled to bytes, round(value * 255 / 16)."""
    from importlib.resources import files

    with files("nnkit.data").joinpath(_FILE).open("rb") as file, np.load(file) as archive:
        images, labels = archive["images"], archive["labels"]
    x = np.rint(images.reshape(len(images), -1) * (255 / 16)).astype(np.uint8)
    t = labels.astype(np.int64)
    test = _every_fifth_of_each_class(t)
    return Dataset(
        name="digits",
        x_train=x[~test],
        t_train=t[~test],
        x_test=x[test],
        t_test=t[test],
        image_shape=(8, 8),
        class_names=DIGIT_NAMES,
        preparation="fit",
    )


def info() -> DatasetInfo:
    """Return what is known without reading the file."""
    from importlib.resources import files

    return DatasetInfo(
        name="digits",
        description="small handwritten digits, shipped with nnkit",
        licence="CC-BY-4.0",
        source="https://doi.org/10.24432/C50P49",
        n_train=1442,
        n_test=355,
        image_shape=(8, 8),
        download_bytes=0,
        location=Path(str(files("nnkit.data").joinpath(_FILE))),
    )


def _every_fifth_of_each_class(labels: NDArray[np.int64]) -> NDArray[Any]:
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[4::5]] = True
    return chosen
