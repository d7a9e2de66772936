"""The user's own images and labels: files with arrays, or a folder of image files."""

from pathlib import Path

from nnkit.data import cifar10, emnist
from nnkit.data.assembling import assemble
from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.files import ROLES, file_names, find_idx_files, is_folder
from nnkit.data.idx import read_idx_files
from nnkit.data.image_folders import holds_images
from nnkit.data.labels import Named
from nnkit.data.npz import Npz, open_npz
from nnkit.data.photos import load_photos

NAMES = {
    "x_train": ("x_train", "X_train", "train_images", "x", "X", "images", "data"),
    "t_train": ("t_train", "y_train", "train_labels", "t", "y", "labels", "target"),
    "x_test": ("x_test", "X_test", "test_images"),
    "t_test": ("t_test", "y_test", "test_labels"),
}
"""What arrays are called in .npz files: by nnkit, Keras, MedMNIST, scikit-learn."""


def load_path(path: Path, image_size: tuple[int, int] | None, color: bool, seed: int) -> Dataset:
    """Load a folder of images, IDX files or CIFAR-10's, the archive of the latter, or an .npz file.

    What arrays may look like stands at `nnkit.data.load`, and what the other arguments are.

    Raises
    ------
    DataError
        If something is missing, unreadable, or does not fit together.
    """
    if not is_folder(path):
        if path.name.endswith((".tar.gz", ".tgz")):
            return cifar10.read_archive(path)
        arrays, unused = _read_npz(path)
        return assemble(path, arrays, seed, unused)
    if cifar10.find_batches(path):
        return cifar10.read_folder(path)
    if kinds := emnist.kinds(file_names(path)):
        return _load_emnist(path, kinds, seed)
    found = find_idx_files(path)
    if not found and holds_images(path):
        return load_photos(path, image_size, color, seed)
    return assemble(path, read_idx_files(path, found), seed)


# ---------------------------------------------------------------------- reading


def _load_emnist(folder: Path, kinds: list[str], seed: int) -> Dataset:
    if len(kinds) > 1:
        raise DataError(
            f"{folder}: has emnist-{' and emnist-'.join(kinds)}; put the four files of one into a "
            "folder of its own"
        )
    return emnist.read_folder(folder, kinds[0], seed)


def _read_npz(path: Path) -> tuple[dict[str, Named], str]:
    """Return the arrays of the `ROLES`, and what to say about others."""
    with open_npz(path) as npz:
        names = {role: name for role in ROLES if (name := _find(path, npz, role))}
        missing = [role for role in ROLES if role not in names]
        if missing and missing != ["x_test", "t_test"]:
            held = ", ".join(npz.names) or "nothing"
            raise DataError(
                f"{path}: lacks {', '.join(missing)}, and holds {held:.300}; save it with "
                "np.savez(path, x_train=..., t_train=..., x_test=..., t_test=...), or without the "
                "last two"
            )
        if missing:
            npz.check_complete()
        arrays = {role: Named(f"{path}: {name}", npz.read(name)) for role, name in names.items()}
    unused = [name for name in npz.names if name not in names.values()]
    return arrays, f"{', '.join(unused):.300} not used" if unused else ""


def _find(path: Path, npz: Npz, role: str) -> str | None:
    found = [name for name in NAMES[role] if name in npz.names]
    if len(found) > 1:
        raise DataError(f"{path}: {' and '.join(found)} could each be {role}; keep one")
    return found[0] if found else None
