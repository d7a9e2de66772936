"""The user's own images and labels: an .npz file, a folder with IDX files, or one of images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnkit.data import emnist
from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import ROLES, file_names, find_idx_files, is_folder, missing_idx_files
from nnkit.data.idx import read_idx
from nnkit.data.image_arrays import (
    check_images,
    check_same_kind,
    check_same_length,
    flatten,
    image_shape,
)
from nnkit.data.image_folders import holds_images
from nnkit.data.labels import Named, class_numbers
from nnkit.data.npz import Npz, open_npz
from nnkit.data.photos import load_photos
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
    images = {part: check_images(arrays[f"x_{part}"]) for part in parts}
    t, class_names = class_numbers({part: arrays[f"t_{part}"] for part in parts})
    for part in parts:
        check_same_length(images[part], arrays[f"t_{part}"])
    x = {part: flatten(images[part].array) for part in parts}
    if parts == ["train"]:
        test = held_out(t["train"], seed, str(path))
        x = {"train": x["train"][~test], "test": x["train"][test]}
        t = {"train": t["train"][~test], "test": t["train"][test]}
        note = "; ".join(filter(None, [NOTE, note]))
    else:
        check_same_kind(images["train"], images["test"])
    return Dataset(
        name=path.resolve().name,
        x_train=x["train"],
        t_train=t["train"],
        x_test=x["test"],
        t_test=t["test"],
        image_shape=image_shape(images["train"].array.shape),
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
    first = np.float64(emnist.FIRST_LABEL.get(kind, 0))  # a float, so that 0 - 1 is no label
    for role, (name, array) in arrays.items():
        if role.startswith("t"):
            arrays[role] = Named(name, array - first)
        elif array.ndim == 3:
            arrays[role] = Named(name, array.transpose(0, 2, 1))
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
