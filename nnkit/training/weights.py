"""How much each example counts: weights of examples, and of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from nnkit.backends import Backend
from nnkit.losses import Loss, check_takes_weights
from nnkit.targets import as_classes, checked_weights, on_host

Weights = np.ndarray[Any, np.dtype[np.float64]]
ClassWeight = Mapping[Any, float] | Literal["balanced"]
"""Weights by label; "balanced": n / (classes * examples of the class), as in scikit-learn."""


def of_examples(
    backend: Backend,
    loss: Loss,
    t: Any,
    sample_weight: Any,
    class_weight: Any = None,
    outputs: int = 1,
) -> Weights | None:
    """Return each example's weight times that of its class, float64 (n,); None where all are 1.

    A class of the model's `outputs` may have a weight and no example. Raises ValueError for what
    does not fit the targets t, TypeError for what is no weights, and for a loss of one's own that
    takes none.
    """
    given = None if sample_weight is None else checked_weights(backend, sample_weight, len(t))
    if given is None and class_weight is None:
        return None
    check_takes_weights(loss)
    if class_weight is None:
        return given
    weights = np.ones(len(t)) if given is None else given
    labels, numbers = np.unique(_classes(on_host(backend, t)), return_inverse=True)
    numbers = numbers.reshape(-1)
    if isinstance(class_weight, str) and class_weight == "balanced":
        return weights * _balanced(np.bincount(numbers, weights).astype(np.float64))[numbers]
    return weights * _by_label(backend, class_weight, labels, outputs)[numbers]


def _classes(targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each example's class, as a label."""
    classes = as_classes(targets)
    if classes is None or not np.array_equal(classes, np.round(classes)):
        raise ValueError(
            f"class_weight is for labels and one-hot rows, but the targets, of shape "
            f"{targets.shape}, are neither: give each example's weight as sample_weight"
        )
    return classes


def _balanced(totals: Weights) -> Weights:
    """Weights of classes that make all count the same; 0 for one whose examples do not count."""
    there = totals > 0
    weights = np.zeros(len(totals))
    weights[there] = totals.sum() / (there.sum() * totals[there])
    return weights


def _by_label(
    backend: Backend, class_weight: Any, labels: np.ndarray[Any, Any], outputs: int
) -> Weights:
    """Weights of the classes that there are."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f'class_weight must be "balanced" or weights by label, such as {{0: 1, 1: 5}}, not '
            f"{class_weight!r}"
        )
    known = sorted({*labels.tolist(), *range(max(outputs, 2))})
    for label in class_weight:
        if label not in known:
            raise ValueError(
                f"class_weight has a weight for {label!r}, but the labels are "
                f"{', '.join(f'{each:g}' for each in known[:10])}"
            )
    of_label = [class_weight.get(label, 1.0) for label in known]
    checked = checked_weights(backend, of_label, len(known), "class_weight")
    return checked[np.searchsorted(known, labels)]
