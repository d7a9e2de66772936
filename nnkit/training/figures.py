"""Mean loss and accuracy from the log that steps write on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.losses import Loss


def figures(
    log: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], loss: Loss, answers_per_row: int
) -> dict[str, np.ndarray[Any, Any]]:
    """Mean loss and accuracy over the batches of a log (..., steps, 2); `rows` has their sizes."""
    if not len(rows):
        return {}
    result = {"loss": (log[..., 0] * rows).sum(axis=-1) / rows.sum()}
    if loss.counts_correct:
        right = log[..., 1].sum(axis=-1) / (rows.sum() * answers_per_row)
        result["accuracy"] = np.minimum(right, 1)  # which the rounding of weights may exceed
    return result
