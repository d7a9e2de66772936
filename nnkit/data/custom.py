"""The user's own images and labels: a folder with IDX files, or an .npz file."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import (
    ROLES,
    check_file,
    find_idx_files,
    is_folder,
    missing_idx_files,
    unreadable,
)
from nnkit.data.idx import MAX_BYTES, read_idx

MAX_CLASSES = 100_000
"""Labels from here on are taken for a mistake: there would be an output for each."""


class _Named(NamedTuple):
    """An array and how to call it in a message."""

    name: str
    array: NDArray[Any]


def load_path(path: Path) -> Dataset:
    """Load a folder with IDX files, or an .npz file with x_train, t_train, x_test and t_test.

    Images have shape (N, H, W), (N, features) or (N, H, W, channels) and are flattened. They are
    uint8 (0..255), or float of any size, which is converted to float32 and used as it is. Labels
    are class numbers of any integer type, from 0 on.

    Raises
    ------
    DataError
        If something is missing, unreadable, or does not fit together.
    """
    arrays = _read_folder(path) if is_folder(path) else _read_npz(path)
    images = {role: _check_images(arrays[role]) for role in ("x_train", "x_test")}
    labels = {role: _check_labels(arrays[role]) for role in ("t_train", "t_test")}
    _check_same_length(images["x_train"], labels["t_train"])
    _check_same_length(images["x_test"], labels["t_test"])
    _check_same_kind(images["x_train"], images["x_test"])
    n_classes = 1 + max(int(label.array.max()) for label in labels.values())
    return Dataset(
        name=path.resolve().name,
        x_train=_flatten(images["x_train"].array),
        t_train=labels["t_train"].array,
        x_test=_flatten(images["x_test"].array),
        t_test=labels["t_test"].array,
        image_shape=_image_shape(images["x_train"].array.shape),
        class_names=tuple(map(str, range(n_classes))),
    )


def _read_folder(folder: Path) -> dict[str, _Named]:
    found = find_idx_files(folder)
    if len(found) < len(ROLES):
        raise missing_idx_files(folder, found)
    return {role: _Named(str(path), read_idx(path)) for role, path in found.items()}


# zipfile and NumPy have no list of what a damaged file can make them raise, so that the two
# functions below catch every Exception.


def _read_npz(path: Path) -> dict[str, _Named]:
    import zipfile

    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:
        raise DataError(
            f"{path}: neither a folder with IDX files nor an .npz file ({error})"
        ) from error
    missing = [role for role in ROLES if f"{role}.npy" not in sizes]
    if missing:
        held = ", ".join(name.removesuffix(".npy") for name in sizes) or "nothing"
        raise DataError(
            f"{path}: lacks {', '.join(missing)}; it must hold {', '.join(ROLES)}, and holds {held}"
        )
    for role in ROLES:
        if sizes[f"{role}.npy"] > MAX_BYTES:
            raise DataError(f"{path}: {role} has more than the {MAX_BYTES:,} bytes nnkit reads")
    return {role: _Named(f"{path}: {role}", _read_member(path, role)) for role in ROLES}


def _read_member(path: Path, role: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[role])
    except Exception as error:
        raise DataError(f"{path}: {role} cannot be read: {error}") from error


def _check_images(named: _Named) -> _Named:
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
            f"{name}: images are uint8 (0..255) or float, not {array.dtype}; convert them with "
            '.astype("uint8") or .astype("float32")'
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{name}: {np.count_nonzero(~finite)} of {len(finite)} images hold NaN or infinite "
            f"float32 values, the first is image {finite.argmin()}"
        )
    return _Named(name, array)


def _check_labels(named: _Named) -> _Named:
    name, array = named
    if array.dtype.kind not in "iu":
        raise DataError(
            f'{name}: labels are integers, not {array.dtype}; convert them with .astype("int64")'
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) == 0:
        raise DataError(
            f"{name}: labels have shape (N,), one class number per image, not {array.shape}; "
            "turn one-hot rows into class numbers with .argmax(axis=1)"
        )
    wrong = (array < 0) | (array >= MAX_CLASSES)
    if wrong.any():
        index = int(wrong.argmax())
        raise DataError(
            f"{name}: label {array[index]} of image {index} is no class number from 0 to "
            f"{MAX_CLASSES - 1}"
        )
    return _Named(name, np.ascontiguousarray(array, dtype=np.int64))


def _check_same_length(images: _Named, labels: _Named) -> None:
    if len(images.array) != len(labels.array):
        raise DataError(
            f"{images.name} has {len(images.array)} images, shape {images.array.shape}, but "
            f"{labels.name} has {len(labels.array)} labels, shape {labels.array.shape}"
        )


def _check_same_kind(train: _Named, test: _Named) -> None:
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


def _flatten(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array.reshape(len(array), -1))


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int] | None:
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 1):
        return shape[1], shape[2]
    return None
