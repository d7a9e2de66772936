"""Data sets by name or path."""

import os
from collections.abc import Sequence
from os import PathLike
from typing import Protocol

from nnkit.data import digits
from nnkit.data.cifar10_published import CIFAR10
from nnkit.data.custom import load_path
from nnkit.data.dataset import Dataset, DatasetInfo, size_text
from nnkit.data.emnist_published import EMNIST
from nnkit.data.errors import DataError
from nnkit.data.fashion_mnist import FASHION_MNIST
from nnkit.data.files import exists, is_folder
from nnkit.data.mnist import MNIST
from nnkit.data.table_files import is_table, load_table
from nnkit.files.paths import expand


class _Known(Protocol):
    def info(self) -> DatasetInfo: ...

    def load(self) -> Dataset: ...


KNOWN: dict[str, _Known] = {
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "digits": digits,
    "cifar10": CIFAR10,
    **EMNIST,
}


def load(
    name_or_path: str | PathLike[str],
    *,
    image_size: int | tuple[int, int] | None = None,
    color: bool = False,
    target: str | None = None,
    drop: Sequence[str] = (),
    impute: bool = False,
    regression: bool | None = None,
    seed: int = 0,
) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name_or_path : path-like
        ``"digits"`` (shipped with nnkit); ``"mnist"``, ``"fashion-mnist"``, ``"cifar10"``,
        ``"emnist-letters"``, ``"emnist-digits"`` or others of EMNIST (looked for in
        ``$NNKIT_DATA_DIR/<name>/``, then in the user's cache folder, then downloaded); or the path
        of the user's own data. A name goes before a file of the same name: write ``./mnist`` for
        that; ``~`` is the home folder. Own data may be

        - a folder with a folder of images for each class, such as ``cats/*.png`` and
          ``dogs/*.jpg``, which names the classes. Above them may be ``train/`` and ``test/``
          (or ``val/``). Images are made gray, unless `color` is true, and scaled to one size.
        - a folder with the four IDX files of MNIST or EMNIST, or with the six of CIFAR-10's binary
          version, named as they are; or that version's ``.tar.gz``.
        - an .npz file with ``x_train``, ``t_train``, ``x_test`` and ``t_test``; other common
          names will do, such as ``y_train`` or ``train_images``, and so will ``x`` and ``t``.
        - a table, in a .csv or .parquet file, of which `target` names a column.

        Images in arrays have shape (N, H, W), (N, features) or (N, H, W, channels); but for those
        with several channels they are flattened. They are uint8 (0..255), or float of any size,
        which is converted to float32 and used as it is. Labels are whole numbers from 0 on, one-hot
        rows, or text, which names the classes; shape (N,), (N, 1) or (N, classes).

        Where there are no images to test with, one in five of each class is held out, at random.
    image_size : int or tuple[int, int], optional
        Height and width that image files are scaled to, or one number for both. By default the
        images' own, if they all have the same of at most 64x64; else 28x28.
    color : bool, optional
        Whether image files keep their colours: red, green and blue in (N, H, W, 3).
    target, drop, impute, regression
        Of a table, as for `from_table`: the column that is to be told from the others, columns to
        leave out, and so on.
    seed : int, optional
        Chooses the images that are held out.

    Returns
    -------
    Dataset
        A `Table`, if it is one.

    Raises
    ------
    DataError
        If there is no such data set, if it cannot be had or read, takes more than half of the
        free memory; or if it is no folder of image files and has another size than `image_size`,
        or no colours where `color` is true.
    """
    size = _size(image_size)
    text = os.fsdecode(name_or_path)
    if isinstance(name_or_path, str) and text in KNOWN:
        dataset = KNOWN[text].load()
    else:
        path = expand(text)
        if not text or not exists(path):
            raise _unknown(text)
        if is_table(path) and not is_folder(path):
            return load_table(path, target, drop, impute, regression, seed)
        dataset = load_path(path, size, color, seed)
    if target is not None or drop or impute or regression is not None:
        raise DataError(
            f"{text}: is no table, CSV or Parquet, for which alone there are target, drop, impute "
            "and regression"
        )
    _check_shape(text, dataset.image_shape, size, color)
    return dataset


def _check_shape(
    text: str, shape: tuple[int, ...] | None, size: tuple[int, int] | None, color: bool
) -> None:
    """Raise DataError where images are not as they were asked for."""
    if size is not None and shape is not None and shape[:2] != size:
        raise DataError(
            f"{text}: its images have size {size_text(shape[:2])}, not {size_text(size)}, and only "
            "image files are scaled to another"
        )
    if color and (shape is None or shape[2:] != (3,)):
        raise DataError(
            f"{text}: its images have no colours, and only those of image files can be kept; leave "
            "color (--color) out"
        )


def _size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    sides = (image_size, image_size) if isinstance(image_size, int) else image_size
    match sides:
        case None:
            return None
        case (int(height), int(width)) if height >= 1 and width >= 1:
            return height, width
    raise ValueError(
        "image_size is a height and a width in pixels, or one number for both, from 1 on; not "
        f"{image_size!r}"
    )


def available() -> tuple[DatasetInfo, ...]:
    """Return what is known about each data set that has a name, without reading any."""
    return tuple(known.info() for known in KNOWN.values())


def _unknown(text: str) -> DataError:
    from difflib import get_close_matches

    close = get_close_matches(text.lower(), KNOWN, n=1)
    suggestion = f" (did you mean {close[0]}?)" if close else ""
    return DataError(
        f"{text!r} is no data set and no path{suggestion}; choose {', '.join(KNOWN)}, a folder "
        "with a folder of images for each class or with IDX files, an .npz file, or a table (.csv "
        "or .parquet)"
    )
