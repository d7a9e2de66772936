"""Data sets that are published as four IDX files: find them on this machine or download them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.dataset import Dataset, DatasetInfo
from nnkit.data.download import Mirrors
from nnkit.data.errors import DataError
from nnkit.data.files import ROLES, find_idx_files, missing_idx_files
from nnkit.data.idx import idx_digest, read_idx
from nnkit.data.places import cache_dir, data_dir

if TYPE_CHECKING:
    from nnkit.images import Preparation


@dataclass(frozen=True)
class RemoteFile:
    """A published IDX file.

    Attributes
    ----------
    name : str
        Its name, without ``.gz``.
    digest : str
        The hash of its unpacked bytes: ``"sha256:..."`` or ``"md5:..."``.
    archive_sha256 : str or None
        The SHA-256 of the published ``.gz``, checked after a download too; None where only the
        unpacked bytes are to be compared.
    """

    name: str
    digest: str
    archive_sha256: str | None = None


@dataclass(frozen=True)
class RemoteDataset:
    """A data set of four published IDX files, one for each of `files.ROLES`.

    It is looked for in ``$NNKIT_DATA_DIR/<name>/``, then in the user's cache folder, and is else
    downloaded into the latter. What is read is always compared with the published hashes.
    """

    name: str
    description: str
    licence: str
    source: str
    n_train: int
    n_test: int
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]
    preparation: Preparation
    download_bytes: int
    mirrors: tuple[str, ...]
    files: Mapping[str, RemoteFile]

    def info(self) -> DatasetInfo:
        """Return what is known without reading the files; their hashes are not checked."""
        return DatasetInfo(
            self.name,
            self.description,
            self.licence,
            self.source,
            self.n_train,
            self.n_test,
            self.image_shape,
            self.download_bytes,
            self._location(),
        )

    def load(self) -> Dataset:
        """Read the data set, downloading it first where it is not on this machine.

        Raises
        ------
        DataError
            If a file under ``$NNKIT_DATA_DIR`` is not the published one, or if the data set is
            not on this machine and no mirror has it.
        """
        arrays = self._from_data_dir() or self._from_cache()
        x_train, t_train, x_test, t_test = (arrays[role] for role in ROLES)
        return Dataset(
            name=self.name,
            x_train=x_train.reshape(len(x_train), -1),
            t_train=t_train.astype(np.int64),
            x_test=x_test.reshape(len(x_test), -1),
            t_test=t_test.astype(np.int64),
            image_shape=self.image_shape,
            class_names=self.class_names,
            preparation=self.preparation,
        )

    def _location(self) -> Path | None:
        for find in (data_dir, cache_dir):
            try:
                folder = find(self.name)
                if folder is not None and len(find_idx_files(folder)) == len(ROLES):
                    return folder
            except DataError:
                return None
        return None

    def _from_data_dir(self) -> dict[str, NDArray[Any]] | None:
        folder = data_dir(self.name)
        if folder is None:
            return None
        found = find_idx_files(folder)
        if not found:
            return None
        if len(found) < len(ROLES):
            raise missing_idx_files(folder, found)
        return {role: _read_published(found[role], self.files[role]) for role in ROLES}

    def _from_cache(self) -> dict[str, NDArray[Any]]:
        folder = cache_dir(self.name)
        found = find_idx_files(folder)
        arrays, damaged = {}, []
        for role, path in found.items():
            try:
                arrays[role] = _read_published(path, self.files[role])
            except DataError as error:
                damaged.append(error)
        missing = [role for role in ROLES if role not in arrays]
        if missing:
            try:
                arrays |= self._download(missing, found, folder)
            except DataError as error:
                raise self._unavailable(folder, [*damaged, error]) from error
            except OSError as error:
                raise DataError(
                    f"{folder}: cannot be written: {error.strerror}; put {self.name} into "
                    f"$NNKIT_DATA_DIR/{self.name} instead"
                ) from error
        return arrays

    def _download(
        self, roles: Iterable[str], stale: Mapping[str, Path], folder: Path
    ) -> dict[str, NDArray[Any]]:
        folder.mkdir(parents=True, exist_ok=True)
        files = {role: self.files[role] for role in roles}
        mirrors = Mirrors(self.mirrors, f"{next(iter(files.values())).name}.gz")
        arrays = {}
        for role, file in files.items():
            name = f"{file.name}.gz"
            arrays[role] = mirrors.fetch(name, folder, partial(_read_downloaded, file=file))
            if role in stale and stale[role].name != name:
                stale[role].unlink(missing_ok=True)
        return arrays

    def _unavailable(self, folder: Path, reasons: Iterable[DataError]) -> DataError:
        *names, last = (f"{self.files[role].name}.gz" for role in ROLES)
        return DataError(
            f"{self.name} is not on this machine and cannot be downloaded: "
            f"{'; '.join(map(str, reasons))}. To place it by hand, put {', '.join(names)} and "
            f"{last} into {folder} or into $NNKIT_DATA_DIR/{self.name}"
        )


def _read_published(path: Path, file: RemoteFile) -> NDArray[Any]:
    array = read_idx(path)
    algorithm, _, expected = file.digest.partition(":")
    actual = idx_digest(array, algorithm)
    if actual != expected:
        raise DataError(
            f"{path}: not the published {file.name}: the {algorithm.upper()} of its contents is "
            f"{actual}, not {expected}; get it again"
        )
    return array


def _read_downloaded(path: Path, file: RemoteFile) -> NDArray[Any]:
    if file.archive_sha256 is not None:
        import hashlib

        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
        if actual != file.archive_sha256:
            raise DataError(f"{path}: its SHA-256 is {actual}, not {file.archive_sha256}")
    return _read_published(path, file)
