"""Where data sets with a name lie: in a folder that the user chose, and in the user's cache."""

import os
from pathlib import Path

from nnkit.files.caches import user_cache
from nnkit.files.paths import expand


def data_dir(name: str) -> Path | None:
    """Return ``$NNKIT_DATA_DIR/<name>``, None where there is no such variable."""
    root = os.environ.get("NNKIT_DATA_DIR")
    return expand(root) / name if root else None


def cache_dir(name: str) -> Path:
    """Return the data set's folder in the user's cache."""
    return user_cache("nnkit") / name
