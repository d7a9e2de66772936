"""Which images are held out for testing, where a data set does not say."""

import numpy as np
from numpy.typing import NDArray

from nnkit.backends.numpy.philox import uniform
from nnkit.data.errors import DataError
from nnkit.targets import places_in_class

HELD_OUT = 5
"""One image in so many of each class is held out."""

NOTE = f"1 in {HELD_OUT} of each class held out for testing"


def held_out(labels: NDArray[np.int64], seed: int, name: str) -> NDArray[np.bool_]:
    """Choose images for testing at random: a fifth of each class, at least one of two.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
    seed : int
        The same seed chooses the same images, on every machine.
    name : str
        What to call the data set in a message.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    DataError
        If no class has two images.
    """
    order = np.argsort(uniform(len(labels), seed % 2**64, 0), kind="stable")
    counts = np.bincount(labels)
    shares = np.where(counts > 1, np.maximum(1, counts // HELD_OUT), 0)
    if not shares.any():
        raise DataError(
            f"{name}: no class has two images, so that none can be held out for testing; give "
            "images of its own to test with"
        )
    chosen: NDArray[np.bool_] = places_in_class(labels, order) < shares[labels]
    return chosen
