"""What a model makes of a table's rows."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from nnkit.backends import Array
from nnkit.dtypes import as_reals
from nnkit.layers import Sequential
from nnkit.sklearn.estimator import dense
from nnkit.training.evaluation import EVALUATION_BATCH


def outputs(
    model: Sequential, x: Any, finish: Callable[[Array], Array] = lambda y: y
) -> np.ndarray[Any, Any]:
    """What `finish` makes of the outputs for checked rows x (n, features), on the host.

    A sparse matrix is made dense by batches.
    """
    backend = model.backend
    parts = []
    quiet = np.errstate(over="ignore", invalid="ignore")  # of weights that have diverged
    with quiet, model.using(None), model.in_mode(training=False):
        for start in range(0, x.shape[0], EVALUATION_BATCH):
            rows = np.ascontiguousarray(dense(x[start : start + EVALUATION_BATCH], inf))
            rows = as_reals(rows, model.dtype, model.inputs.factor(rows))
            y = finish(model.run_forward(backend.asarray(rows)))
            parts.append(backend.to_numpy(y))
    return np.concatenate(parts)
