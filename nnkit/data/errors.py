"""The one exception of the data layer."""


class DataError(ValueError):
    """A data set cannot be found, read or downloaded, or its contents do not fit together.

    The message is one line; it names the file or data set and says what to do.
    """
