"""Data sets: MNIST and its kind, the digits shipped with nnkit, and the user's own files."""

from nnkit.data.catalogue import available, load
from nnkit.data.dataset import Dataset, DatasetInfo
from nnkit.data.errors import DataError
from nnkit.data.idx import read_idx

__all__ = ["DataError", "Dataset", "DatasetInfo", "available", "load", "read_idx"]
