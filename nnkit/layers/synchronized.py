"""Batch normalisation by the statistics of a whole batch, of which each rank has a share.

Every rank puts what it knows of its examples into a row of its own, so that the sum over ranks has
all rows. They are merged in the order of ranks, with the same bits everywhere. Backward, two sums
are added up. A rank without examples takes part.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from nnkit.backends import Array
from nnkit.backends.contract import Running
from nnkit.dtypes import arithmetic

if TYPE_CHECKING:
    from nnkit.layers.normalization import BatchNorm
    from nnkit.layers.workspace import Share


def count(share: Share, x: Array) -> int:
    """Rows, or pixels, of the whole batch, of which x is this rank's share."""
    return share.whole * int(prod(x.shape[1:-1]))


def normalized(layer: BatchNorm, share: Share, kind: str, y: Array) -> None:
    """Compute the whole batch's mean and variance, have the averages follow, and normalise."""
    backend, ranks = layer.backend, share.communicator
    shape = ranks.size, 2 * layer.num_features + 1
    moments = layer.new("moments", shape, arithmetic(layer.dtype))
    backend.batch_norm_moments(layer.x, ranks.rank, moments)
    ranks.all_reduce(backend, moments)
    running = Running(layer.running_mean, layer.running_var, layer.momentum)
    backend.batch_norm_merge(moments, running, layer.mean, layer.var)
    backend.batch_norm_inference(kind, layer.x, layer.norm, layer.mean, layer.var, y)


def gradients(
    layer: BatchNorm, share: Share, kind: str, dy: Array, y: Array | None, rows: int, dx: Array
) -> None:
    """Compute gamma's and beta's gradients by this rank's rows, and dx through all rows."""
    backend = layer.backend
    sums = layer.new("sums", (2, layer.num_features), arithmetic(layer.dtype))
    given = kind, dy, y, layer.x, layer.norm, layer.mean, layer.var
    backend.batch_norm_sums(*given, layer.gamma.grad, layer.beta.grad, sums)
    share.communicator.all_reduce(backend, sums)
    backend.batch_norm_input_gradient(*given, sums, rows, dx)
