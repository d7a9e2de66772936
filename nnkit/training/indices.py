"""What is indexed in a step, and was not there: rows beyond the data, labels that are no classes.

All of it is checked before a run. If it is wrong within a step all the same (a loss of one's own
checks nothing, a callback writes to what is not its own), no kernel follows it: what is not there
is NaN, the step's loss is NaN, and the run ends here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends import Array
from nnkit.backends.contract import STEP
from nnkit.training.data import Data


def check_step(counters: np.ndarray[Any, Any], step: int) -> None:
    """Raise IndexError if the counters name another step than the one to be made next."""
    if counters[STEP] != step:
        raise IndexError(
            f"optimizer.counters say that step {counters[STEP]} is next, but it is step {step}: "
            "something has changed them in the middle of the run"
        )


def check_log(
    log: np.ndarray[Any, Any], first: int, data: Data, order: Array, batch_size: int
) -> None:
    """Raise IndexError if one of the steps from `first` on had a row or a label that is not there.

    `log` has the loss and the right answers of these steps; `order` the rows of all.
    """
    unlabelled = np.isnan(log[:, 1])
    strange = unlabelled if unlabelled.any() else np.isnan(log[:, 0])
    if not strange.any():
        return
    step, to_numpy = first + int(strange.argmax()), data.backend.to_numpy
    rows = to_numpy(order[step * batch_size : (step + 1) * batch_size])
    for row in rows[(rows < 0) | (rows >= len(data.x))][:1]:
        raise IndexError(
            f"step {step} is of example {row}, of {len(data.x)}: something has changed the order "
            "of the examples in the middle of the run"
        )
    if unlabelled.any():
        labels, classes = to_numpy(data.t)[rows], data.outputs[0]
        for i in np.flatnonzero((labels < 0) | (labels >= classes))[:1]:
            raise IndexError(
                f"example {rows[i]}, in step {step}, has the label {labels[i]}, but labels are 0 "
                f"to {classes - 1} for {classes} outputs: check them before the run, as the "
                "losses of nnkit do in `prepare`"
            )
        raise IndexError(f"step {step} had a label that is no class, and that was changed since")
