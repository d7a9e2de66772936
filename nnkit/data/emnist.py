"""EMNIST: handwritten letters and digits, in files of MNIST's format but for three things.

Names begin with the data set's (``emnist-letters-train-images-idx3-ubyte.gz``), images lie on their
sides (transposed), and the labels of letters begin at 1.

Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten
letters", arXiv:1702.05373, 2017, and the mapping files published with it.
"""

import re
from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase, digits

_MERGED = digits + ascii_uppercase + "abdefghnqrt"
CLASSES = {
    "balanced": _MERGED,
    "byclass": digits + ascii_uppercase + ascii_lowercase,
    "bymerge": _MERGED,
    "digits": digits,
    "letters": ascii_uppercase,
    "mnist": digits,
}
"""The character of each class; "letters" and most of "bymerge" do not tell case apart."""

FIRST_LABEL = {"letters": 1}
"""The number of the first class, where it is not 0."""

_NAME = re.compile(rf"emnist-({'|'.join(CLASSES)})-(?:train|test)-(?:images|labels)")


def kinds(names: Iterable[str]) -> list[str]:
    """Return which of EMNIST's data sets, keys of `CLASSES`, have files of these names."""
    return sorted({match[1] for name in names if (match := _NAME.match(name))})
