"""Data sets: MNIST and its kind, the digits shipped with nnkit, the user's own files and tables."""

from typing import TYPE_CHECKING, Any

from nnkit.data.catalogue import available, load
from nnkit.data.dataset import Dataset, DatasetInfo
from nnkit.data.errors import DataError
from nnkit.data.idx import read_idx
from nnkit.data.problems import problem
from nnkit.data.table import Table, from_table
from nnkit.data.table_encoder import TableEncoder
from nnkit.given.missing import missing

__all__ = [
    "DataError",
    "Dataset",
    "DatasetInfo",
    "Table",
    "TableEncoder",
    "available",
    "from_table",
    "load",
    "problem",
    "read_idx",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
