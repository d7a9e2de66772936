"""EMNIST's six data sets, which were published in one archive of 562 MB."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from nnkit.data import emnist
from nnkit.data.archived import ArchivedDataset
from nnkit.data.archives import Archive
from nnkit.data.damage import damage
from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import file_names
from nnkit.data.idx import read_idx_stream
from nnkit.data.labels import Named
from nnkit.files.paths import open_file

ARCHIVE = Archive(
    folder="emnist",
    name="gzip.zip",
    # TensorFlow Datasets lists this one; torchvision has MD5 58c8d27c78d21e728a6bc7b3cc06412e.
    sha256="fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    n_bytes=561_753_746,
    mirrors=(
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
    ),
)

_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "t_train": "train-labels-idx1-ubyte.gz",
    "x_test": "test-images-idx3-ubyte.gz",
    "t_test": "test-labels-idx1-ubyte.gz",
}


@dataclass(frozen=True)
class Emnist(ArchivedDataset):
    """One of them, in the archive or as four unpacked files, which have no published digests."""

    kind: str

    def find_unpacked(self, folder: Path) -> Path | None:
        """Return the folder that any of the files is in."""
        places = (folder, folder / "gzip")
        return next((at for at in places if self.kind in emnist.kinds(file_names(at))), None)

    def read_unpacked(self, folder: Path) -> Dataset:
        """Read the files, which must have as many images as were published."""
        return self._checked(folder, emnist.read_folder(folder, self.kind))

    def read_archive(self, path: Path) -> Dataset:
        """Read the four files out of the archive."""
        arrays = {}
        with damage(path, "cannot be read"), open_file(path) as file, ZipFile(file) as archive:
            members = {PurePosixPath(info.filename).name: info for info in archive.infolist()}
            for role, end in _FILES.items():
                name = f"emnist-{self.kind}-{end}"
                if name not in members:
                    raise DataError(f"{path}: lacks {name}; get it again")
                with archive.open(members[name]) as stream:
                    called = f"{path}: {name}"
                    arrays[role] = Named(called, read_idx_stream(stream, called))
        return self._checked(path, emnist.upright(path, self.kind, arrays))

    def _checked(self, path: Path, dataset: Dataset) -> Dataset:
        found, published = (len(dataset.x_train), len(dataset.x_test)), (self.n_train, self.n_test)
        if found != published or dataset.image_shape != self.image_shape:
            raise DataError(
                f"{path}: not the published {self.name}: it has {found[0]:,} + {found[1]:,} "
                f"images, not {published[0]:,} + {published[1]:,} of 28x28; get it again"
            )
        return dataset


def _published(kind: str, description: str, n_train: int, n_test: int) -> Emnist:
    return Emnist(
        name=f"emnist-{kind}",
        description=description,
        licence="NOASSERTION",
        source="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        n_train=n_train,
        n_test=n_test,
        image_shape=(28, 28),
        preparation="mnist",
        archive=ARCHIVE,
        kind=kind,
    )


EMNIST = {
    dataset.name: dataset
    for dataset in (
        _published("letters", "handwritten letters, both cases together", 124_800, 20_800),
        _published("digits", "handwritten digits, four times as many as mnist", 240_000, 40_000),
        _published("balanced", "digits and letters, as many of each", 112_800, 18_800),
        _published("byclass", "digits and letters, as often as written", 697_932, 116_323),
        _published("bymerge", "byclass, with letters alike in both cases merged", 697_932, 116_323),
        _published("mnist", "mnist's digits, prepared like the others", 60_000, 10_000),
    )
}
"""The data sets by name."""
