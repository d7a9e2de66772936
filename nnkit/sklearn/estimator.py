"""What all estimators share: tables as they come, and a model that is made of them."""

from __future__ import annotations

from math import prod
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from nnkit.layers import Sequential

LARGEST = 2**28
"""Bytes up to which a sparse matrix is made dense as a whole; a larger one by batches."""

REMEDIES = {
    "could not convert": "encode columns of text, with sklearn.preprocessing.OneHotEncoder in a "
    "sklearn.compose.ColumnTransformer for instance",
    "contains infinity": "leave such rows out, or limit the column, with numpy.clip for instance",
}
"""What is to be done about what scikit-learn finds, by some of its words."""


class Estimator(BaseEstimator):
    """An estimator whose `model_` is a `Sequential` once it is fitted."""

    model_: Sequential
    n_features_in_: int

    def _checked(self, X: Any, y: Any, first: bool, **options: Any) -> tuple[Any, Any]:
        """Rows to fit (n, features), float32 or float64, and targets as they are.

        Raises ValueError, as scikit-learn words it, for NaN, infinity and text, and for another
        number of features, or other names, than in the fit before, unless this is the `first`.
        """
        X, y = self._validated(X, y, first, multi_output=True, **options)
        y = y.toarray() if hasattr(y, "toarray") else y
        return dense(X), column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _rows(self, X: Any) -> Any:
        """Rows to predict for, checked like those that were fitted."""
        return dense(self._validated(X, "no_validation", False))

    def _validated(self, X: Any, y: Any, first: bool, **options: Any) -> Any:
        """Have scikit-learn check tables, and say what to do where it does not."""
        options |= {"accept_sparse": "csr", "dtype": (np.float64, np.float32)}
        try:
            return validate_data(self, X, y, reset=first, **options)
        except ValueError as error:
            for words, remedy in REMEDIES.items():
                if words in str(error):
                    raise ValueError(f"{error}: {remedy}") from error
            raise

    def _weights(self, weights: Any, n: int) -> np.ndarray[Any, Any] | None:
        """Weights of the examples, (n,), if there are any; a number stands for all."""
        if weights is None:
            return None
        if isinstance(weights, Real):
            weights = np.full(n, weights, np.float64)
        name = "sample_weight"
        weights = check_array(weights, ensure_2d=False, dtype=np.float64, input_name=name)
        if weights.shape != (n,):
            raise ValueError(
                f"sample_weight must have shape ({n},), a weight for each row of X, not "
                f"{weights.shape}"
            )
        checked: np.ndarray[Any, Any] = weights
        if (checked < 0).any() or not checked.any():
            raise ValueError(
                "sample_weight must hold no negative number, and not be zero for all rows: rows of "
                "weight zero are left out"
            )
        return checked

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def dense(table: Any, most: float | None = None) -> Any:
    """A sparse matrix as an array, if that has at most so many bytes (None: `LARGEST`)."""
    limit = LARGEST if most is None else most
    if hasattr(table, "toarray") and prod(table.shape) * table.dtype.itemsize <= limit:
        return table.toarray()
    return table
