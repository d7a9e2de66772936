"""Class numbers and their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]


def class_numbers(name: str, labels: Any, n: int) -> Labels:
    """Return n class numbers, (n,) or (n, 1), as (n,); raises ValueError where they are none."""
    array = np.asarray(labels)
    if array.shape not in {(n,), (n, 1)} or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be {n} integers, class numbers, not {array.dtype} of shape {array.shape}"
        )
    if n and array.min() < 0:
        raise ValueError(f"{name} must not be negative, but one is {array.min()}")
    return array.reshape(n)


def named(class_names: Sequence[str], *labels: Labels) -> list[str]:
    """Name every class as Matplotlib is to write it, with its number where there is no name."""
    classes = max((int(array.max()) + 1 for array in labels if len(array)), default=0)
    return [*map(literal, class_names), *map(str, range(len(class_names), classes))]


def literal(text: str) -> str:
    """Return a user's text for Matplotlib, to which what is between dollars is a formula."""
    return text.replace("$", r"\$")
