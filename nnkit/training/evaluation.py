"""Losses, accuracies and outputs of a model that is not being trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from nnkit.training.ranks import Ranks
from nnkit.training.sameness import check_same, of_inputs
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
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """Mean "loss", "accuracy" where the loss has one, and metrics, over all examples.

    Each of the `ranks` evaluates a share of them, and all have the figures of all.
    """
    backend, whole, ranks = model.backend, data, ranks or Ranks()
    data = whole.part(whole.rows[ranks.share(len(whole))])
    batch = Batch(model, data, at_once(data.x, max(1, min(batch_size, len(data)))))
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
    logs, sizes = zip(*ranks.gather((on_host, rows)), strict=True)
    log, counts = np.concatenate(logs), np.concatenate(sizes)
    by_name = figures(log, counts, loss, loss.answers_per_row(*data.outputs))
    found = {name: float(value) for name, value in by_name.items()}
    return found | answers.figures(whole.targets, ranks) if metrics else found


def outputs(
    model: Sequential,
    x: Any,
    batch_size: int,
    finish: Callable[[Array], Array],
    ranks: Ranks | None = None,
) -> np.ndarray[Any, Any]:
    """What `finish` makes of the model's outputs for x, on the host.

    Each of the `ranks` computes a share of them, and all have them all.
    """
    ranks = ranks or Ranks()
    array, _ = examples(model, x, model.inputs)
    check_same(ranks, lambda: of_inputs(model.backend, array))
    batch_size, mine = at_once(array, batch_size), ranks.share(len(array))
    starts = range(mine.start, mine.stop, batch_size)
    batches = (array[start : min(start + batch_size, mine.stop)] for start in starts)
    parts = _computed(model, batches, finish)
    parts = [part for of_rank in ranks.gather(parts) for part in of_rank]
    result: np.ndarray[Any, Any] = as_arithmetic(np.concatenate(parts))
    strange = np.isnan(result).any(axis=1)
    if strange.any():
        warn_of_nan(
            f"the model's outputs are NaN for {int(strange.sum()):,} of {len(result):,} examples, "
            "so that its answers for them mean nothing"
        )
    return result


def outputs_of(
    model: Sequential, data: Data, finish: Callable[[Array], Array]
) -> np.ndarray[Any, Any]:
    """What `finish` makes of the model's outputs for the rows of checked data, on the host.

    This process alone computes them, in evaluation mode, whatever others there are.
    """
    size = at_once(data.x, EVALUATION_BATCH)
    blocks = (data.rows[start : start + size] for start in range(0, len(data), size))
    return np.concatenate(_computed(model, map(data.examples, blocks), finish))


def _computed(
    model: Sequential, batches: Iterable[Array], finish: Callable[[Array], Array]
) -> list[np.ndarray[Any, Any]]:
    """What `finish` makes of the outputs for each batch of checked examples, on the host."""
    with model.using(None), model.in_mode(training=False):
        results = (finish(model.run_forward(as_input(model, batch))) for batch in batches)
        return [model.backend.to_numpy(y) for y in results]
