"""Whatever goes wrong in an archive, told as the one exception of the data layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnkit.data.errors import DataError
from nnkit.data.files import unreadable


@contextmanager
def damage(called: Path | str, problem: str) -> Iterator[None]:
    """Raise a `DataError` for whatever goes wrong: zipfile, tarfile and NumPy have no list of it.

    `called` and `problem` begin the message, in front of what the library says.
    """
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{called}: does not fit into memory") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # gzip's of damage has no number
            raise unreadable(called, error) from error
        raise DataError(f"{called}: {problem}: {error!s:.200}") from error
