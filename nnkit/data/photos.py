"""The user's own image files: a folder with a folder for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import file_names, is_folder
from nnkit.data.labels import in_order
from nnkit.data.splitting import NOTE, held_out
from nnkit.image_files import SUFFIXES, ImageError, check_pillow
from nnkit.images import common_size, read_images
from nnkit.memory import too_much
from nnkit.watching import person_watches

T = TypeVar("T")

USUAL_SIZE = (28, 28)
"""What images are scaled to unless they all have the same small size."""

SMALL = 64
"""Up to this height and width images keep a size that they all have."""

SHOWN = 3
"""How many files that cannot be read are named; all are counted."""

_PARTS = {
    "train": ("train", "training", "training_set"),
    "test": ("test", "testing", "test_set", "val", "valid", "validation"),
}
"""Names of folders above those of the classes, in any case, the preferred ones first."""


@dataclass(frozen=True)
class _Files:
    """Image files, and the class number of each."""

    paths: list[Path]
    labels: NDArray[np.int64]


def holds_images(folder: Path) -> bool:
    """Whether a folder is meant to hold images: it has folders or image files in it."""
    return bool(_folders(folder)) or any(map(_is_image, file_names(folder)))


def load_photos(folder: Path, size: tuple[int, int] | None, seed: int) -> Dataset:
    """Load a folder that has a folder of images for each class.

    Parameters
    ----------
    folder : pathlib.Path
    size : tuple[int, int] or None
        Height and width to scale images to; None: their own if it is small and the same for all,
        else `USUAL_SIZE`.
    seed : int
        Chooses the images held out for testing where there is no folder of them.

    Raises
    ------
    DataError
        If there are not two classes, a class has no images, images cannot be read, or there are
        too many for this machine's memory.
    """
    try:
        check_pillow()
    except ImageError as error:
        raise DataError(str(error)) from error
    parts, notes = _parts(folder)
    names = _classes(parts["train"])
    files = {part: _files(path, names, notes) for part, path in parts.items()}
    paths = [path for part in files.values() for path in part.paths]
    shape = size or common_size(paths, SMALL) or USUAL_SIZE
    x = _read(folder, paths, shape)
    t = np.concatenate([part.labels for part in files.values()])
    if "test" in parts:
        test = np.arange(len(t)) >= len(files["train"].labels)
    else:
        test = held_out(t, seed, str(folder))
        notes.insert(0, NOTE)
    return Dataset(
        name=folder.resolve().name,
        x_train=x[~test],
        t_train=t[~test],
        x_test=x[test],
        t_test=t[test],
        image_shape=shape,
        class_names=names,
        preparation="resize",
        note="; ".join(["made gray", *notes]),
    )


# ---------------------------------------------------------------------- finding


def _parts(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the folders that have those of the classes in them; also say what is not used."""
    with_folders = {name.casefold(): name for name in _folders(folder) if _folders(folder / name)}
    train, test = (
        next((with_folders[name] for name in names if name in with_folders), None)
        for names in _PARTS.values()
    )
    if train is None:
        return {"train": folder}, []
    unused = [name for name in _folders(folder) if name not in {train, test}]
    parts = {"train": folder / train} | ({} if test is None else {"test": folder / test})
    return parts, [f"{', '.join(unused)} not used"] if unused else []


def _classes(folder: Path) -> tuple[str, ...]:
    names = in_order(_folders(folder))
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


def _files(folder: Path, names: Sequence[str], notes: list[str]) -> _Files:
    """Find the images of each class in a folder, and note what else is there."""
    folders = _folders(folder)
    strange = [name for name in folders if name not in names]
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
        labels += [names.index(name)] * len(images)
        others += [entry for entry in found if not _is_image(entry)]
    if others:
        kinds = ", ".join(sorted({Path(name).suffix.lower() or "no suffix" for name in others}))
        notes.append(f"{len(others)} other files in {folder.name} left out ({kinds})")
    return _Files(paths, np.array(labels, np.int64))


def _folders(folder: Path) -> list[str]:
    names = [name for name in file_names(folder) if not _is_hidden(name)]
    return [name for name in names if is_folder(folder / name)]


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in SUFFIXES


# ---------------------------------------------------------------------- reading


def _read(folder: Path, paths: Sequence[Path], shape: tuple[int, int]) -> NDArray[np.uint8]:
    problem = too_much(len(paths) * shape[0] * shape[1])
    if problem:
        raise DataError(
            f"{folder}: {len(paths):,} images scaled to {shape[0]}x{shape[1]}: that {problem}"
        )
    x = np.empty((len(paths), shape[0] * shape[1]), np.uint8)
    errors = []
    for i, image in enumerate(_with_bar(read_images(paths, shape), len(paths))):
        if isinstance(image, Exception):
            errors.append(str(image))
        else:
            x[i] = image
    if errors:
        rest = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        raise DataError(
            f"{folder}: {len(errors):,} of {len(paths):,} images cannot be used; repair or remove "
            f"them: {'; '.join(errors[:SHOWN])}{rest}"
        )
    return x


def _with_bar(images: Iterator[T], total: int) -> Iterator[T]:
    """Draw how far reading is, where a person watches and it takes more than a second."""
    if not person_watches() or find_spec("tqdm") is None:
        return images
    from tqdm import tqdm

    bar = tqdm(images, "reading images", total, leave=False, dynamic_ncols=True, delay=1)
    return iter(bar)
