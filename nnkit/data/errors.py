"""The one exception of the data layer."""

from nnkit.reasons import printable


class DataError(ValueError):
    """A data set cannot be found, read or downloaded, or its contents do not fit together.

    The message is one line; it names the file or data set and says what to do. Characters that a
    terminal would obey, as a file's name may have them, are written out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
