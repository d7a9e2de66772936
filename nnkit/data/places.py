"""Where data sets with a name lie: in a folder that the user chose, and in the user's cache."""

import os
from pathlib import Path

from nnkit.data.errors import DataError
from nnkit.files.paths import expand
from nnkit.reasons import importing


def data_dir(name: str) -> Path | None:
    """Return ``$NNKIT_DATA_DIR/<name>``, None where there is no such variable."""
    root = os.environ.get("NNKIT_DATA_DIR")
    return expand(root) / name if root else None


def cache_dir(name: str) -> Path:
    """Return the data set's folder in the user's cache; DataError without pooch."""
    try:
        with importing(
            *("pooch", "pooch"),
            f"{name} is not in $NNKIT_DATA_DIR, and looking for it elsewhere needs pooch; "
            "run: pip install pooch",
        ):
            import pooch
    except ImportError as error:
        raise DataError(str(error)) from error
    return Path(pooch.os_cache("nnkit"), name)
