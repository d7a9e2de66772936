"""CIFAR-10 as it was published: where it is, and by which digests it is known."""

from pathlib import Path

from nnkit.data import cifar10
from nnkit.data.archived import ArchivedDataset
from nnkit.data.archives import Archive, check_digest
from nnkit.data.dataset import Dataset

DIGESTS = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
"""SHA-256 of the unpacked files, as torchvision for Ruby lists them."""


class Cifar10(ArchivedDataset):
    """The binary version, packed or unpacked."""

    digests = DIGESTS

    def find_unpacked(self, folder: Path) -> Path | None:
        """Return the folder that any of the files is in."""
        found = cifar10.find_batches(folder)
        return next((path.parent for path in found.values()), None)

    def read_unpacked(self, folder: Path) -> Dataset:
        """Read the files, each of which must be the published one."""
        for name, path in cifar10.find_batches(folder).items():
            check_digest(path, name, self.digests[name])
        return cifar10.read_folder(folder)

    def read_archive(self, path: Path) -> Dataset:
        """Read the archive."""
        return cifar10.read_archive(path)


CIFAR10 = Cifar10(
    name="cifar10",
    description="photographs of animals and vehicles, in colour",
    licence="NOASSERTION",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    n_train=50_000,
    n_test=10_000,
    image_shape=(32, 32, 3),
    preparation="resize",
    archive=Archive(
        folder="cifar10",
        name="cifar-10-binary.tar.gz",
        # TensorFlow Datasets lists this one; the authors give MD5 c32a1d4ab5d03f1284b67883e8d87530.
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        n_bytes=170_052_171,
        mirrors=(
            "https://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ),
    ),
)
"""The data set; ``CIFAR10.load()`` is what ``nnkit.data.load("cifar10")`` calls."""
