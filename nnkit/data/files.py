"""Look at the files a user named, turning what the operating system says into a `DataError`."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from nnkit.data.errors import DataError

ROLES = ("x_train", "t_train", "x_test", "t_test")
"""The four arrays of a data set, in the order in which they are read."""

_PREFIXES = {
    "x_train": ("train-images",),
    "t_train": ("train-labels",),
    "x_test": ("t10k-images", "test-images"),
    "t_test": ("t10k-labels", "test-labels"),
}


def unreadable(path: Path | str, error: Exception) -> DataError:
    """Return the `DataError` for a file or folder that the operating system refuses to read."""
    return DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")


def is_folder(path: Path) -> bool:
    """Say whether `path` is a folder."""
    status = _stat(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def exists(path: Path) -> bool:
    """Say whether there is anything at `path`."""
    return _stat(path) is not None


def check_file(path: Path) -> None:
    """Raise `DataError` unless `path` is a file with something in it.

    A pipe or a device is refused too: opening one could block for ever, or never end.
    """
    status = _stat(path)
    if status is None:
        raise DataError(f"{path}: no such file")
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: is a folder where a file was expected")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is not an ordinary file")
    if status.st_size == 0:
        raise DataError(f"{path}: is empty")


def file_names(folder: Path) -> list[str]:
    """Return the sorted names of what is in `folder`, none where there is no such folder."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def find_idx_files(folder: Path, start: str = "") -> dict[str, Path]:
    """Find the IDX files of a data set by how their names begin, gzipped or not.

    Each may lie in a folder of its own name, as some unpackers leave it. `start` is what stands in
    front of the usual names.

    Returns a path for each of the `ROLES` that is there. Where a file lies beside its own ``.gz``
    the unpacked one is taken, and a file goes before a folder; any other choice between two files
    raises `DataError`.
    """
    names = file_names(folder)
    found = {}
    for role, usual in _PREFIXES.items():
        prefixes = tuple(start + prefix for prefix in usual)
        matches = [folder / name for name in names if name.startswith(prefixes)]
        folders = [path for path in matches if is_folder(path)]
        matches = [path for path in matches if path not in folders] or [
            inner / name
            for inner in folders
            for name in file_names(inner)
            if name.startswith(prefixes)
        ]
        unpacked = {f"{path}.gz" for path in matches}
        matches = [path for path in matches if str(path) not in unpacked]
        if len(matches) > 1:
            candidates = " and ".join(str(path.relative_to(folder)) for path in matches)
            raise DataError(f"{folder}: {candidates} could each be {role}; keep one")
        if matches:
            found[role] = matches[0]
    return found


def missing_idx_files(folder: Path, found: Mapping[str, Path]) -> DataError:
    """Return the `DataError` for a folder in which some of the `ROLES` were not found."""
    wanted = [f"{' or '.join(_PREFIXES[role])}*" for role in ROLES if role not in found]
    return DataError(f"{folder}: lacks {', '.join(wanted)} (IDX files, gzipped or not)")


def _stat(path: Path) -> os.stat_result | None:
    """Return what the file system knows of `path`, None where there is nothing."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
