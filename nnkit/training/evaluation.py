"""Losses, accuracies and outputs of a model that is not being trained."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from nnkit.backends import Array
from nnkit.dtypes import as_arithmetic
from nnkit.layers import Sequential
from nnkit.layers.workspace import Workspace
from nnkit.losses import Loss
from nnkit.training.data import Batch, Data, as_input, examples
from nnkit.training.divergence import warn_of_nan
from nnkit.training.figures import figures
from nnkit.training.indices import check_log
from nnkit.training.metrics import Answers, Metrics
from nnkit.training.streaming import at_once

EVALUATION_BATCH = 1000
"""Rows per batch where no batch size was given: large enough to be fast, small enough for cache."""


def evaluate(
    model: Sequential,
    loss: Loss,
    data: Data,
    batch_size: int,
    workspace: Workspace,
    metrics: Metrics = MappingProxyType({}),
) -> dict[str, float]:
    """Mean "loss", "accuracy" where the loss has one, and metrics, over all examples."""
    backend = model.backend
    batch = Batch(model, data, at_once(data.x, min(batch_size, len(data))))
    steps = -(-len(data) // batch.size)
    log = backend.zeros((steps, 2), np.float64)
    counters = backend.zeros(3, np.int64)
    order = backend.asarray(data.rows)
    answers = Answers(metrics, loss, backend)
    if batch.feed is not None:
        batch.feed.begin(data.rows, data.x)
    with model.using(workspace), model.in_mode(training=False):
        for step in range(steps):
            if batch.feed is not None:
                batch.feed.require(step * batch.size)
            x, t = batch.gather(order, counters, min(batch.size, len(data) - step * batch.size))
            y = model.run_forward(x)
            batch.measure(loss, y, t, log, counters)
            answers.add(y)
            backend.advance(counters, 1, 0, 0)
        on_host = backend.to_numpy(log)
    check_log(on_host, 0, data, order, batch.size)
    rows = np.minimum(batch.size, len(data) - batch.size * np.arange(steps))
    by_name = figures(on_host, rows, loss, loss.answers_per_row(*data.outputs))
    found = {name: float(value) for name, value in by_name.items()}
    return found | answers.figures(data.targets()) if metrics else found


def outputs(
    model: Sequential, x: Any, batch_size: int, finish: Callable[[Array], Array]
) -> np.ndarray[Any, Any]:
    """What `finish` makes of the model's outputs for x, on the host."""
    array, _ = examples(model, x, model.inputs)
    batch_size = at_once(array, batch_size)
    with model.using(None), model.in_mode(training=False):
        batches = (array[start : start + batch_size] for start in range(0, len(array), batch_size))
        results = (finish(model.run_forward(as_input(model, batch))) for batch in batches)
        parts = [model.backend.to_numpy(y) for y in results]
    result: np.ndarray[Any, Any] = as_arithmetic(np.concatenate(parts))
    strange = np.isnan(result).any(axis=1)
    if strange.any():
        warn_of_nan(
            f"the model's outputs are NaN for {int(strange.sum()):,} of {len(result):,} examples, "
            "so that its answers for them mean nothing"
        )
    return result
