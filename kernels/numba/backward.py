"""What the backward passes of convolutions share: ReLU, biases, and the sums of tasks."""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import MAX_TASKS
from nnkit.kernels.numba.runtime.team import barrier, my_chunk

TASK_ROWS = 512
"""Places worth a task, whose sums are as many numbers as the weights."""
LARGE_TASKS, SUMS = 8, 1 << 22
"""Tasks where the weights are many: the sums of more would have more numbers than that."""


def task_count(images: int, places: int, weights: int) -> int:
    """Give the number of tasks for images of so many places in all, at least 1."""
    most = min(MAX_TASKS, max(LARGE_TASKS, SUMS // max(1, weights)))
    return max(1, min(images, places // TASK_ROWS, most))


@inline
def _masked(dy: Any, y: Any, out: Any) -> None:
    for i in range(dy.size):
        out[i] = dy[i] if y[i] > 0 else dy.dtype.type(0)


@inline
def before(dy: Any, y: Any, at: int, scratch: Any) -> Any:
    """The gradient before ReLU, in the scratch if there is some; else there is no ReLU."""
    if scratch.size == 0:
        return dy
    _masked(dy, y[at : at + dy.size], scratch)
    return scratch[: dy.size]


@inline
def add_up(d: Any, total: Any) -> None:
    """Add rows to a tile of some, which stays in the cache."""
    for first in range(0, d.size, total.size):
        part = d[first : first + total.size]
        for i in range(part.size):
            total[i] += part[i]


@inline
def _add_all(sums: Any, at: int, first: int, last: int, out: Any) -> None:
    """Add up columns of the tasks' sums, one task after the other."""
    for j in range(first, last):
        out[j] = sums[0, at + j]
    for t in range(1, len(sums)):
        for j in range(first, last):
            out[j] += sums[t, at + j]


@inline
def add_tasks(sums: Any, dweight: Any, dbias: Any, team: Any) -> None:
    """Add up what the tasks of all members have summed: weights', then biases' gradients."""
    barrier(team)
    first, last = my_chunk(dweight.size, team)
    _add_all(sums, 0, first, last, dweight)
    if team[ME] == 0:
        _add_all(sums, dweight.size, 0, dbias.size, dbias)
