"""How much each example counts: weights of examples, and of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any, Literal

import numpy as np

from nnkit.backends import Backend
from nnkit.losses import Loss
from nnkit.targets import as_classes, checked_weights, on_host

Weights = np.ndarray[Any, np.dtype[np.float64]]
ClassWeight = Mapping[Any, float] | Literal["balanced"]
"""Weights by label; "balanced": n / (classes * examples of the class), as in scikit-learn."""


def of_examples(
    backend: Backend, loss: Loss, t: Any, sample_weight: Any, class_weight: Any = None
) -> Weights | None:
    """Return each example's weight times that of its class, float64 (n,); None where all are 1.

    Raises ValueError for what does not fit the targets t, TypeError for what is no weights, and for
    a loss of one's own that takes none.
    """
    given = None if sample_weight is None else checked_weights(backend, sample_weight, len(t))
    if given is None and class_weight is None:
        return None
    if not _takes_weights(loss):
        raise TypeError(
            f"{type(loss).__name__}.measure takes no weights: give it one more argument, "
            "weights=None, for what to multiply each example's gradient and loss by, (n,)"
        )
    if class_weight is None:
        return given
    weights = np.ones(len(t)) if given is None else given
    return weights * _by_class(backend, class_weight, _classes(on_host(backend, t)), weights)


def _takes_weights(loss: Loss) -> bool:
    parameters = signature(loss.measure).parameters.values()
    return any(p.name == "weights" or p.kind == Parameter.VAR_POSITIONAL for p in parameters)


def _classes(targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each example's class, as a label."""
    classes = as_classes(targets)
    if classes is None or not np.array_equal(classes, np.round(classes)):
        raise ValueError(
            f"class_weight is for labels and one-hot rows, but the targets, of shape "
            f"{targets.shape}, are neither: give each example's weight as sample_weight"
        )
    return classes


def _by_class(
    backend: Backend, class_weight: Any, classes: np.ndarray[Any, Any], weights: Weights
) -> Weights:
    """Each example's weight by its class."""
    labels, numbers = np.unique(classes, return_inverse=True)
    if isinstance(class_weight, str) and class_weight == "balanced":
        totals = np.bincount(numbers.reshape(-1), weights)
        of_class: Weights = weights.sum() / (len(labels) * totals)
        return of_class[numbers]
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f'class_weight must be "balanced" or weights by label, such as {{0: 1, 1: 5}}, not '
            f"{class_weight!r}"
        )
    for label in class_weight:
        if label not in labels:
            raise ValueError(
                f"class_weight has a weight for {label!r}, but the labels are "
                f"{', '.join(f'{each:g}' for each in labels[:10])}"
            )
    of_label = [class_weight.get(label, 1.0) for label in labels.tolist()]
    return checked_weights(backend, of_label, len(labels), "class_weight")[numbers]
