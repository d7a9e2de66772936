"""Published archives: checked, and downloaded into the user's cache. They stay packed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from nnkit.data.damage import damage
from nnkit.data.download import Mirrors
from nnkit.data.errors import DataError
from nnkit.data.files import check_file, exists


@dataclass(frozen=True)
class Archive:
    """A published archive.

    Attributes
    ----------
    folder : str
        The folder it lies in, in ``$NNKIT_DATA_DIR`` and in the user's cache.
    name, sha256 : str
        Of the file.
    n_bytes : int
        Its size.
    mirrors : tuple[str, ...]
        Base addresses, each with its trailing slash.
    """

    folder: str
    name: str
    sha256: str
    n_bytes: int
    mirrors: tuple[str, ...]

    def check(self, path: Path) -> None:
        """Raise DataError unless a file is this archive."""
        check_digest(path, self.name, self.sha256)

    def fetch(self, folder: Path, wanted: str) -> Path:
        """Return the archive in a folder, downloaded where it is missing or damaged there.

        Raises DataError where that cannot be done; it says that `wanted` cannot be had.
        """
        path, reasons = folder / self.name, []
        try:
            if exists(path):
                self.check(path)
                return path
        except DataError as error:
            reasons.append(str(error))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            Mirrors(self.mirrors, self.name).fetch(self.name, folder, self.check)
        except DataError as error:
            raise DataError(
                f"{wanted} is not on this machine and cannot be downloaded: "
                f"{'; '.join([*reasons, str(error)])}. To place it by hand, put {self.name} into "
                f"{folder} or into $NNKIT_DATA_DIR/{self.folder}"
            ) from error
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be written: {error.strerror}; put {self.name} into "
                f"$NNKIT_DATA_DIR/{self.folder} instead"
            ) from error
        return path


def check_digest(path: Path, name: str, sha256: str) -> None:
    """Raise DataError unless the file at `path` is the one that was published as `name`."""
    check_file(path)
    with damage(path, "cannot be read"), path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != sha256:
        raise DataError(
            f"{path}: not the published {name}: its SHA-256 is {actual}, not {sha256}; get it again"
        )
