"""Examples that early stopping is judged by, drawn as scikit-learn draws them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split


class Examples(NamedTuple):
    """Rows, targets as a loss takes them, and weights, if there are any."""

    x: Any
    """An array, or a sparse matrix that is large."""
    t: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any] | None


def set_aside(
    estimator: Any, examples: Examples, random: np.random.RandomState
) -> tuple[Examples, Examples]:
    """Set `validation_fraction` of the examples aside; of two classes, the same part of each.

    Raises ValueError where fewer than two are set aside.
    """
    two_classes = is_classifier(estimator) and estimator.n_outputs_ == 1
    arrays = [array for array in examples if array is not None]
    parts = train_test_split(
        *arrays,
        random_state=random,
        test_size=estimator.validation_fraction,
        stratify=estimator.classes_[examples.t] if two_classes else None,
    )
    kept, aside = (Examples(*parts[i::2], *[None] * (3 - len(arrays))) for i in (0, 1))
    if aside.x.shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return kept, aside
