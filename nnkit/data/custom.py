"""The user's own images and labels: an .npz file, a folder with IDX files, or one of images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data import emnist
from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import ROLES, file_names, find_idx_files, is_folder, missing_idx_files
from nnkit.data.idx import read_idx
from nnkit.data.labels import Named, class_numbers
from nnkit.data.npz import Npz, open_npz
from nnkit.data.photos import holds_images, load_photos
from nnkit.data.splitting import NOTE, held_out

NAMES = {
    "x_train": ("x_train", "X_train", "train_images", "x", "X", "images", "data"),
    "t_train": ("t_train", "y_train", "train_labels", "t", "y", "labels", "target"),
    "x_test": ("x_test", "X_test", "test_images"),
    "t_test": ("t_test", "y_test", "test_labels"),
}
"""What arrays are called in .npz files: by nnkit, Keras, MedMNIST, scikit-learn."""


def load_path(path: Path, image_size: tuple[int, int] | None, seed: int) -> Dataset:
    """Load a folder of images or of IDX files, or an .npz file.

    What arrays may look like stands at `nnkit.data.load`.

    Raises
    ------
    DataError
        If something is missing, unreadable, or does not fit together.
    """
    if not is_folder(path):
        arrays, unused = _read_npz(path)
        return _dataset(path, arrays, seed, unused)
    kinds = emnist.kinds(file_names(path))
    if kinds:
        return _load_emnist(path, kinds, seed)
    found = find_idx_files(path)
    if not found and holds_images(path):
        return load_photos(path, image_size, seed)
    return _dataset(path, _read_idx_files(path, found), seed)


def _dataset(path: Path, arrays: Mapping[str, Named], seed: int, note: str = "") -> Dataset:
    """Check the arrays of the `ROLES`, or of the first two of them, and make a data set."""
    parts = [part for part in ("train", "test") if f"x_{part}" in arrays]
    images = {part: _check_images(arrays[f"x_{part}"]) for part in parts}
    t, class_names = class_numbers({part: arrays[f"t_{part}"] for part in parts})
    for part in parts:
        _check_same_length(images[part], arrays[f"t_{part}"])
    x = {part: _flatten(images[part].array) for part in parts}
    if parts == ["train"]:
        test = held_out(t["train"], seed, str(path))
        x = {"train": x["train"][~test], "test": x["train"][test]}
        t = {"train": t["train"][~test], "test": t["train"][test]}
        note = "; ".join(filter(None, [NOTE, note]))
    else:
        _check_same_kind(images["train"], images["test"])
    return Dataset(
        name=path.resolve().name,
        x_train=x["train"],
        t_train=t["train"],
        x_test=x["test"],
        t_test=t["test"],
        image_shape=_image_shape(images["train"].array.shape),
        class_names=class_names,
        note=note,
    )


# ---------------------------------------------------------------------- reading


def _read_idx_files(folder: Path, found: Mapping[str, Path]) -> dict[str, Named]:
    if len(found) < len(ROLES):
        raise missing_idx_files(folder, found)
    return {role: Named(str(path), read_idx(path)) for role, path in found.items()}


def _load_emnist(folder: Path, kinds: list[str], seed: int) -> Dataset:
    if len(kinds) > 1:
        raise DataError(
            f"{folder}: has emnist-{' and emnist-'.join(kinds)}; put the four files of one into a "
            "folder of its own"
        )
    kind = kinds[0]
    arrays = _read_idx_files(folder, find_idx_files(folder, f"emnist-{kind}-"))
    for role, (name, array) in arrays.items():
        if role.startswith("x") and array.ndim == 3:
            arrays[role] = Named(name, array.transpose(0, 2, 1))
        else:
            arrays[role] = Named(name, array.astype(np.int64) - emnist.FIRST_LABEL.get(kind, 0))
    dataset = _dataset(folder, arrays, seed, f"emnist-{kind}, images turned upright")
    names = tuple(emnist.CLASSES[kind])
    if dataset.n_classes > len(names):
        raise DataError(
            f"{folder}: its labels name {dataset.n_classes} classes, but emnist-{kind} has "
            f"{len(names)}; get it again"
        )
    return replace(dataset, class_names=names)


def _read_npz(path: Path) -> tuple[dict[str, Named], str]:
    """Return the arrays of the `ROLES`, and what to say about others."""
    with open_npz(path) as npz:
        names = {role: name for role in ROLES if (name := _find(path, npz, role))}
        missing = [role for role in ROLES if role not in names]
        if missing and missing != ["x_test", "t_test"]:
            held = ", ".join(npz.names) or "nothing"
            raise DataError(
                f"{path}: lacks {', '.join(missing)}, and holds {held:.300}; save it with "
                "np.savez(path, x_train=..., t_train=..., x_test=..., t_test=...), or without the "
                "last two"
            )
        if missing:
            npz.check_complete()
        arrays = {role: Named(f"{path}: {name}", npz.read(name)) for role, name in names.items()}
    unused = [name for name in npz.names if name not in names.values()]
    return arrays, f"{', '.join(unused):.300} not used" if unused else ""


def _find(path: Path, npz: Npz, role: str) -> str | None:
    found = [name for name in NAMES[role] if name in npz.names]
    if len(found) > 1:
        raise DataError(f"{path}: {' and '.join(found)} could each be {role}; keep one")
    return found[0] if found else None


# ---------------------------------------------------------------------- checking


def _check_images(named: Named) -> Named:
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
    return Named(name, array)


def _check_same_length(images: Named, labels: Named) -> None:
    if len(images.array) != len(labels.array):
        raise DataError(
            f"{images.name} has {len(images.array)} images, shape {images.array.shape}, but "
            f"{labels.name} has {len(labels.array)} labels, shape {labels.array.shape}"
        )


def _check_same_kind(train: Named, test: Named) -> None:
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
