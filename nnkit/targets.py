"""Targets as they come, from a list, a table or a file, and as losses take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends import Array, Backend, get_backend
from nnkit.dtypes import is_number
from nnkit.given.arrays import on_device


def as_numbers(backend: Backend, target: Any) -> Array:
    """Return targets as an array of numbers, of this backend or still on the host.

    Raises TypeError, with the remedy, for what is no numbers: names of classes, for instance.
    """
    if backend.owns(target):
        t = target
    else:
        t = (backend if on_device(target) else get_backend("numpy")).asarray(target)
    if t.dtype == object:  # as columns of tables are
        t = np.asarray(t.tolist())
    if is_number(t.dtype):
        return t
    text = next((each for each in t.ravel().tolist() if isinstance(each, str | bytes)), None)
    if text is not None:
        raise TypeError(
            f"targets must be numbers, not text such as {text!r}: number the classes with "
            "names, t = np.unique(t, return_inverse=True), or turn figures into t.astype(float)"
        )
    raise TypeError(
        f"targets must be numbers, but their dtype is {t.dtype}: leave out the rows without one, "
        "and turn the others into t.astype(float)"
    )


def on_host(backend: Backend, target: Any) -> np.ndarray[Any, Any]:
    """Return targets as numbers in a NumPy array; errors as for `as_numbers`."""
    return backend.to_numpy(as_numbers(backend, target))


def labels(t: Array, n: int, classes: int) -> Array:
    """Check n class numbers of any dtype, in a row or a column; return them as integers (n,).

    Raises ValueError for other shapes, for numbers that are not whole, and for those of no class.
    """
    if t.shape == (n, 1) and classes > 1:
        t = t.reshape(n)
    if t.shape != (n,):
        raise ValueError(
            f"targets of shape {t.shape} for predictions of shape {(n, classes)}: "
            f"integer labels ({n},) or one-hot rows {(n, classes)} expected"
        )
    if not n:
        return t.astype(np.int32)
    if t.dtype.kind not in "iub":
        part = (t % 1 != 0) | (abs(t) == np.inf)
        if bool(part.any()):
            row = int(part.argmax())
            remedy = "for targets that are no classes train with MeanSquaredError()"
            raise ValueError(
                f"labels must be whole numbers, but label {row} is {float(t[row])}: "
                + (remedy if abs(t[row]) < np.inf else "leave such rows out")
            )
    least, most = int(t.min()), int(t.max())
    if least < 0 or most >= classes:
        hint = ""
        if classes == 1:
            hint = ": for yes or no in one output train with SigmoidCrossEntropy()"
        elif least == 1 and most == classes:
            hint = ": give t - 1"
        raise ValueError(
            f"labels must be 0 to {classes - 1} for {classes} outputs, "
            f"but they reach from {least} to {most}{hint}"
        )
    return t.astype(np.int32)


def as_classes(t: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Return the classes (n,) of labels (n,) or (n, 1), or of one-hot rows; None of all else."""
    if t.ndim == 2 and t.shape[1] > 1 and is_one_hot(t):
        classes: np.ndarray[Any, Any] = t.argmax(axis=1)
        return classes
    return t.reshape(-1) if t.ndim <= 2 and t.size == len(t) else None


def checked_weights(
    backend: Backend, sample_weight: Any, n: int, name: str = "sample_weight"
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the weights of n examples, (n,) or (n, 1), as float64 (n,) on the host.

    Raises ValueError for other shapes, for what is negative, NaN or infinite, and where all are 0.
    """
    weights = np.asarray(on_host(backend, sample_weight), np.float64)
    if weights.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{name} must have shape ({n},), one for each example, not {weights.shape}"
        )
    weights = weights.reshape(n)
    for i in np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))[:1]:
        raise ValueError(f"{name} must be finite numbers of at least 0, but {i} is {weights[i]}")
    if not weights.any():
        raise ValueError(f"{name} is 0 for every example, so that nothing counts")
    return weights


def is_one_hot(t: np.ndarray[Any, Any]) -> bool:
    """Whether each row of numbers (n, classes) is a single 1 among zeros."""
    return bool(((t == 0) | (t == 1)).all() and ((t == 1).sum(axis=1) == 1).all())


def places_in_class(
    kinds: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Number the rows of each class from 0 on, when all are taken in the order `rows`.

    `kinds` (n,) are class numbers; the result (n,) has the place of each row among its own.
    """
    counts = np.bincount(kinds)
    places = np.empty(len(kinds), np.int64)
    by_kind = rows[np.argsort(kinds[rows], kind="stable")]
    places[by_kind] = np.arange(len(kinds)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places
