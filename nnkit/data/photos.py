"""The user's own image files: a folder with a folder for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nnkit.data.dataset import Dataset, size_text
from nnkit.data.errors import DataError
from nnkit.data.image_folders import find_classes, find_files, find_parts
from nnkit.data.splitting import NOTE, held_out
from nnkit.files.memory import too_much
from nnkit.image_files import ImageError, check_pillow
from nnkit.images import common_size, read_images
from nnkit.showing.watching import person_watches

T = TypeVar("T")

USUAL_SIZE = (28, 28)
"""What images are scaled to unless they all have the same small size."""

SMALL = 64
"""Up to this height and width images keep a size that they all have."""

SHOWN = 3
"""How many files that cannot be read are named; all are counted."""


def load_photos(folder: Path, size: tuple[int, int] | None, color: bool, seed: int) -> Dataset:
    """Load a folder that has a folder of images for each class.

    Parameters
    ----------
    folder : pathlib.Path
    size : tuple[int, int] or None
        Height and width to scale images to; None: their own if it is small and the same for all,
        else `USUAL_SIZE`.
    color : bool
        Whether images keep their colours, (N, height, width, 3), or are made gray, in rows.
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
    parts, notes = find_parts(folder)
    names = find_classes(parts["train"])
    files = {part: find_files(path, names, notes) for part, path in parts.items()}
    paths = [path for part in files.values() for path in part.paths]
    height, width = size or common_size(paths, SMALL) or USUAL_SIZE
    shape = (height, width, 3) if color else (height, width)
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
        note="; ".join([*([] if color else ["made gray"]), *notes]),
    )


def _read(folder: Path, paths: Sequence[Path], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    problem = too_much(len(paths) * prod(shape))
    if problem:
        raise DataError(
            f"{folder}: {len(paths):,} images scaled to {size_text(shape)}: that {problem}"
        )
    x = np.empty((len(paths), *(shape if len(shape) == 3 else (prod(shape),))), np.uint8)
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
