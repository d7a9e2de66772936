"""Data sets that are published in an archive: found on this machine, or downloaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnkit.data.archives import Archive
from nnkit.data.dataset import Dataset, DatasetInfo
from nnkit.data.errors import DataError
from nnkit.data.files import exists
from nnkit.data.places import cache_dir, data_dir

if TYPE_CHECKING:
    from nnkit.images import Preparation


@dataclass(frozen=True)
class ArchivedDataset(ABC):
    """A data set in an `Archive`, perhaps beside others.

    It is looked for in ``$NNKIT_DATA_DIR/<name>/``, in the folder of the archive's name there, and
    in the user's cache, as the archive or unpacked. Else the archive is downloaded into the cache.
    """

    name: str
    description: str
    licence: str
    source: str
    n_train: int
    n_test: int
    image_shape: tuple[int, ...]
    preparation: Preparation
    archive: Archive

    @abstractmethod
    def find_unpacked(self, folder: Path) -> Path | None:
        """Return the folder with this data set's files, `folder` or one inside; None without."""

    @abstractmethod
    def read_unpacked(self, folder: Path) -> Dataset:
        """Read and check what `find_unpacked` found."""

    @abstractmethod
    def read_archive(self, path: Path) -> Dataset:
        """Read an archive that has been checked."""

    def info(self) -> DatasetInfo:
        """Return what is known without reading the files; no digest is compared."""
        try:
            location = self._in_data_dir() or self._in(cache_dir(self.archive.folder))
        except DataError:
            location = None
        return DatasetInfo(
            self.name,
            self.description,
            self.licence,
            self.source,
            self.n_train,
            self.n_test,
            self.image_shape,
            self.archive.n_bytes,
            location,
        )

    def load(self) -> Dataset:
        """Read the data set, downloading it first where it is not on this machine.

        Raises
        ------
        DataError
            If what is under ``$NNKIT_DATA_DIR`` is not what was published, or if the data set is
            not on this machine and no mirror has it.
        """
        found = self._in_data_dir()
        if found is None:
            found = self._in_cache()
        elif found.name == self.archive.name:
            self.archive.check(found)
        packed = found.name == self.archive.name
        dataset = self.read_archive(found) if packed else self.read_unpacked(found)
        return replace(dataset, name=self.name, preparation=self.preparation, note="")

    def _in_data_dir(self) -> Path | None:
        folders = [data_dir(name) for name in dict.fromkeys((self.name, self.archive.folder))]
        return next((found for folder in folders if folder and (found := self._in(folder))), None)

    def _in_cache(self) -> Path:
        folder = cache_dir(self.archive.folder)
        found = self._in(folder)
        if found is not None and found.name != self.archive.name:
            return found
        return self.archive.fetch(folder, self.name)

    def _in(self, folder: Path) -> Path | None:
        """Return the archive in a folder, or the folder with the unpacked files."""
        path = folder / self.archive.name
        return path if exists(path) else self.find_unpacked(folder)
