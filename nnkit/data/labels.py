"""Labels as people have them, made class numbers and names."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.targets import is_one_hot

MAX_CLASSES = 100_000
"""Labels from here on are taken for a mistake: there would be an output for each."""


class Named(NamedTuple):
    """An array and how to call it in a message."""

    name: str
    array: NDArray[Any]


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort class names: by value where all are whole numbers, else as text."""
    names = sorted(set(names))
    if all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        names.sort(key=int)
    return tuple(names)


def class_numbers(
    labels: Mapping[str, Named],
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Make class numbers from 0 on of the labels of a data set's parts.

    Parameters
    ----------
    labels : mapping
        For each part its labels: whole numbers of any type, shape (N,) or (N, 1); one-hot rows,
        (N, classes); or text, which names the classes.

    Returns
    -------
    numbers : dict
        For each part class numbers, int64 of shape (N,).
    names : tuple[str, ...]
        One for each class.

    Raises
    ------
    DataError
        If labels are none of these, or one part's are text and another's are not.
    """
    flat = {part: _one_a_row(named) for part, named in labels.items()}
    texts = {
        part: _as_text(named) for part, named in flat.items() if named.array.dtype.kind in "US"
    }
    if not texts:
        numbers = {part: _checked(named) for part, named in flat.items()}
        widths = [named.array.shape[1] for named in labels.values() if _is_one_hot(named.array)]
        classes = max([*widths, *(1 + int(array.max()) for array in numbers.values())])
        return numbers, tuple(map(str, range(classes)))
    for part, named in flat.items():
        if part not in texts:
            raise DataError(
                f"{named.name} has numbers, but {flat[next(iter(texts))].name} has text: convert "
                "both alike, with .astype(str)"
            )
    names = in_order(name for array in texts.values() for name in np.unique(array).tolist())
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{flat[next(iter(texts))].name}: {len(names):,} different labels are too many to be "
            f"classes: at most {MAX_CLASSES:,}"
        )
    return {part: _numbered(array, names) for part, array in texts.items()}, names


def _numbered(array: NDArray[np.str_], names: tuple[str, ...]) -> NDArray[np.int64]:
    different, inverse = np.unique(array, return_inverse=True)
    number = {name: i for i, name in enumerate(names)}
    numbers = np.array([number[name] for name in different.tolist()], np.int64)
    return numbers[inverse.reshape(-1)]


def _one_a_row(named: Named) -> Named:
    name, array = named
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    elif _is_one_hot(array):
        array = array.argmax(axis=1)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(
            f"{name}: labels have shape (N,), one class an image, or are one-hot: rows with a "
            f"single 1 among zeros; not {array.shape}"
        )
    return Named(name, array)


def _is_one_hot(array: NDArray[Any]) -> bool:
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        return False
    if not 2 <= array.shape[1] <= MAX_CLASSES:
        return False
    return is_one_hot(array)


def _as_text(named: Named) -> NDArray[np.str_]:
    name, array = named
    if array.dtype.kind == "U":
        return array
    try:
        decoded: NDArray[np.str_] = np.char.decode(array, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is no text in UTF-8; convert it with .astype(str)") from error
    return decoded


def _checked(named: Named) -> NDArray[np.int64]:
    name, array = named
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{name}: labels are whole numbers or text, not {array.dtype}; convert them with "
            '.astype("int64")'
        )
    wrong = ~((array >= 0) & (array < MAX_CLASSES))
    if array.dtype.kind == "f":
        wrong |= array != np.trunc(array)
    if wrong.any():
        index = int(wrong.argmax())
        raise DataError(
            f"{name}: label {array[index]} of image {index} is no class number from 0 to "
            f"{MAX_CLASSES - 1}"
        )
    return np.ascontiguousarray(array, dtype=np.int64)
