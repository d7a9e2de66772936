"""Data sets by name or path."""

from os import PathLike, fspath
from pathlib import Path
from typing import Protocol

from nnkit.data import digits
from nnkit.data.custom import load_path
from nnkit.data.dataset import Dataset, DatasetInfo
from nnkit.data.errors import DataError
from nnkit.data.fashion_mnist import FASHION_MNIST
from nnkit.data.files import exists
from nnkit.data.mnist import MNIST


class _Known(Protocol):
    def info(self) -> DatasetInfo: ...

    def load(self) -> Dataset: ...


KNOWN: dict[str, _Known] = {"mnist": MNIST, "fashion-mnist": FASHION_MNIST, "digits": digits}


def load(name_or_path: str | PathLike[str]) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name_or_path : path-like
        ``"mnist"`` or ``"fashion-mnist"`` (looked for in ``$NNKIT_DATA_DIR/<name>/``, then in the
        user's cache folder, then downloaded), ``"digits"`` (shipped with nnkit), or the path of
        the user's own data: a folder with IDX files, or an .npz file with x_train, t_train,
        x_test and t_test. A name goes before a file of the same name: write ``./mnist`` for that.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If there is no such data set, or if it cannot be had or read.
    """
    text = fspath(name_or_path)
    if isinstance(name_or_path, str) and text in KNOWN:
        return KNOWN[text].load()
    if not text or not exists(Path(text)):
        raise _unknown(text)
    return load_path(Path(text))


def available() -> tuple[DatasetInfo, ...]:
    """Return what is known about each data set that has a name, without reading any."""
    return tuple(known.info() for known in KNOWN.values())


def _unknown(text: str) -> DataError:
    from difflib import get_close_matches

    close = get_close_matches(text.lower(), KNOWN, n=1)
    suggestion = f" (did you mean {close[0]}?)" if close else ""
    return DataError(
        f"{text!r} is no data set and no path{suggestion}; choose {', '.join(KNOWN)}, a folder "
        "with IDX files, or an .npz file"
    )
