"""EMNIST: handwritten letters and digits, in files of MNIST's format but for three things.

Names begin with the data set's (``emnist-letters-train-images-idx3-ubyte.gz``), images lie on their
sides (transposed), and the labels of letters begin at 1.

Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten
letters", arXiv:1702.05373, 2017, and the mapping files published with it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

import numpy as np

from nnkit.data.assembling import assemble
from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import find_idx_files
from nnkit.data.idx import read_idx_files
from nnkit.data.labels import Named

_MERGED = digits + ascii_uppercase + "abdefghnqrt"
CLASSES = {
    "balanced": _MERGED,
    "byclass": digits + ascii_uppercase + ascii_lowercase,
    "bymerge": _MERGED,
    "digits": digits,
    "letters": ascii_uppercase,
    "mnist": digits,
}
"""The character of each class; "letters" and most of "bymerge" do not tell case apart."""

FIRST_LABEL = {"letters": 1}
"""The number of the first class, where it is not 0."""

_NAME = re.compile(rf"emnist-({'|'.join(CLASSES)})-(?:train|test)-(?:images|labels)")


def kinds(names: Iterable[str]) -> list[str]:
    """Return which of EMNIST's data sets, keys of `CLASSES`, have files of these names."""
    return sorted({match[1] for name in names if (match := _NAME.match(name))})


def read_folder(folder: Path, kind: str, seed: int = 0) -> Dataset:
    """Read the four files of one of the data sets in a folder; `upright` says what is raised."""
    arrays = read_idx_files(folder, find_idx_files(folder, f"emnist-{kind}-"))
    return upright(folder, kind, arrays, seed)


def upright(path: Path, kind: str, arrays: Mapping[str, Named], seed: int = 0) -> Dataset:
    """Make a data set of what the four files hold: images upright, classes from 0, with names.

    Parameters
    ----------
    path : pathlib.Path
        What to call it in messages, and where it lies.
    kind : str
        A key of `CLASSES`.
    arrays : mapping
        For each of `files.ROLES` an array as it is in the file.
    seed : int
        As in `assemble`.

    Raises
    ------
    DataError
        If the arrays do not fit together or have more classes than the data set.
    """
    first = np.float64(FIRST_LABEL.get(kind, 0))  # a float, so that 0 - 1 is no label
    turned = {}
    for role, (name, array) in arrays.items():
        turned[role] = Named(name, array)
        if role.startswith("t"):
            turned[role] = Named(name, array - first)
        elif array.ndim == 3:
            turned[role] = Named(name, array.transpose(0, 2, 1))
    dataset = assemble(path, turned, seed, f"emnist-{kind}, images turned upright")
    names = tuple(CLASSES[kind])
    if dataset.n_classes > len(names):
        raise DataError(
            f"{path}: its labels name {dataset.n_classes} classes, but emnist-{kind} has "
            f"{len(names)}; get it again"
        )
    return replace(dataset, class_names=names)
