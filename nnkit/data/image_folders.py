"""Find image files: in a folder for each class, with or without train and test above them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.files import file_names, is_folder
from nnkit.data.labels import in_order
from nnkit.image_files import SUFFIXES

_PARTS = {
    "train": ("train", "training", "training_set"),
    "test": ("test", "testing", "test_set", "val", "valid", "validation"),
}
"""Names of folders above those of the classes, in any case, the preferred ones first."""


@dataclass(frozen=True)
class Files:
    """Image files, and the class number of each."""

    paths: list[Path]
    labels: NDArray[np.int64]


def holds_images(folder: Path) -> bool:
    """Whether a folder is meant to hold images: it has folders or image files in it."""
    return bool(_folders(folder)) or any(map(_is_image, file_names(folder)))


def find_parts(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the folders that have those of the classes in them; also say what is not used."""
    folders = {name.casefold(): name for name in _folders(folder)}
    train, test = (
        next((folders[x] for x in names if x in folders and _folders(folder / folders[x])), None)
        for names in _PARTS.values()
    )
    if train is None:
        return {"train": folder}, []
    unused = [name for name in folders.values() if name not in {train, test}]
    parts = {"train": folder / train} | ({} if test is None else {"test": folder / test})
    return parts, [f"{', '.join(unused)} not used"] if unused else []


def find_classes(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the classes; DataError for fewer than two."""
    names = in_order(map(_class_of, _folders(folder)))
    if len(names) >= 2:
        return names
    if names:
        problem = f"has the folder {names[0]} alone; if the classes are in that, name that one"
    else:
        problem = "has no folders; sort the images into one for each class"
    raise DataError(
        f"{folder}: {problem}. Own images lie in a folder for each class, two at least, such as "
        "cats and dogs"
    )


def find_files(folder: Path, names: Sequence[str], notes: list[str]) -> Files:
    """Find the images of each class in a folder, and note what else is there."""
    folders = _folders(folder)
    strange = [name for name in map(_class_of, folders) if name not in names]
    if strange:
        raise DataError(f"{folder}: has the class {strange[0]}, of which there is none to train on")
    paths: list[Path] = []
    labels: list[int] = []
    others = [name for name in file_names(folder) if name not in folders and not _is_hidden(name)]
    for name in folders:
        if inner := _folders(folder / name):
            raise DataError(
                f"{folder / name}: has a folder in it, {inner[0]}; images lie in the folder of "
                "their class itself"
            )
        found = [entry for entry in file_names(folder / name) if not _is_hidden(entry)]
        images = [entry for entry in found if _is_image(entry)]
        if not images:
            kinds = ", ".join(SUFFIXES)
            raise DataError(f"{folder / name}: has no images ({kinds}); put some in or remove it")
        paths += [folder / name / image for image in images]
        labels += [names.index(_class_of(name))] * len(images)
        others += [entry for entry in found if not _is_image(entry)]
    if others:
        kinds = ", ".join(sorted({Path(name).suffix.lower() or "no suffix" for name in others}))
        notes.append(f"{len(others)} other files in {folder.name} left out ({kinds})")
    return Files(paths, np.array(labels, np.int64))


def _folders(folder: Path) -> list[str]:
    names = [name for name in file_names(folder) if not _is_hidden(name)]
    return [name for name in names if is_folder(folder / name)]


def _class_of(folder: str) -> str:
    """Return the name of a class: some systems, as macOS did, take letters with marks apart."""
    return unicodedata.normalize("NFC", folder)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in SUFFIXES
