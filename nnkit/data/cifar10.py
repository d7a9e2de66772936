"""CIFAR-10: 60,000 photographs of 32x32 pixels in colour, ten kinds of animals and vehicles.

The binary version is five files to train with and one to test with. Each is records of 3,073 bytes:
the label, then 32 rows of 32 pixels of red, the same of green, and of blue.

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and
https://www.cs.toronto.edu/~kriz/cifar.html for the format.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnkit.data.damage import damage
from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import check_file, file_names
from nnkit.data.streams import read_array
from nnkit.data.tar import read_tar
from nnkit.files.paths import open_file

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

FOLDER = "cifar-10-batches-bin"
"""What the archive unpacks into."""

TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = "test_batch.bin"

_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32


def find_batches(folder: Path) -> dict[str, Path]:
    """Find files of the binary version by name, in a folder or in `FOLDER` inside."""
    for place in (folder, folder / FOLDER):
        names = {*file_names(place)}
        if found := {name: place / name for name in (*TRAIN, TEST) if name in names}:
            return found
    return {}


def read_folder(folder: Path) -> Dataset:
    """Read the unpacked files; each may have any number of records.

    Raises
    ------
    DataError
        If a file is missing, unreadable, or holds what is no record.
    """
    contents = {}
    for name, path in find_batches(folder).items():
        check_file(path)
        with damage(path, "cannot be read"), open_file(path) as file:
            contents[name] = read_array(file, np.dtype(np.uint8), (path.stat().st_size,), str(path))
    return _dataset(folder, contents)


def read_archive(path: Path) -> Dataset:
    """Read the archive as it is; DataError as of `read_folder`, and where it is damaged."""
    return _dataset(path, read_tar(path, {*TRAIN, TEST}))


def _dataset(path: Path, contents: Mapping[str, NDArray[np.uint8]]) -> Dataset:
    if missing := [name for name in (*TRAIN, TEST) if name not in contents]:
        raise DataError(f"{path}: lacks {', '.join(missing)} of CIFAR-10's binary version")
    batches = [_read_records(f"{path}: {name}", contents[name]) for name in (*TRAIN, TEST)]
    return Dataset(
        name=path.resolve().name,
        x_train=np.concatenate([images for images, _ in batches[:-1]]),
        t_train=np.concatenate([labels for _, labels in batches[:-1]]),
        x_test=batches[-1][0],
        t_test=batches[-1][1],
        image_shape=(32, 32, 3),
        class_names=CLASSES,
        preparation="resize",
    )


def _read_records(
    called: str, content: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 32, 32, 3) and labels (n,)."""
    if content.size == 0 or content.size % _RECORD:
        raise DataError(
            f"{called} has {content.size:,} bytes, which are not records of {_RECORD:,}, a label "
            "and 32x32 pixels in three colours; get it again"
        )
    records = content.reshape(-1, _RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASSES):
        first = int(np.argmax(labels >= len(CLASSES)))
        raise DataError(
            f"{called}: label {labels[first]} of image {first} is no class from 0 to "
            f"{len(CLASSES) - 1}; get it again"
        )
    images = records[:, 1:].reshape(-1, *_SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels
