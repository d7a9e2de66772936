"""Normalisation over the batch and over the features, each with a learned scale and offset."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nnkit.backends import Array
from nnkit.backends.contract import Norm, Running
from nnkit.dtypes import arithmetic
from nnkit.given.meanings import ANY
from nnkit.given.options import flag, integer, number
from nnkit.layers import synchronized
from nnkit.layers.base import Layer, Step
from nnkit.layers.fused_normalization import fused
from nnkit.layers.images import as_image
from nnkit.layers.shapes import HEIGHT, WIDTH
from nnkit.parameters import Parameter


class _Normalization(Layer):
    """What the layers below share: ``y = xhat * gamma + beta`` for rows of `num_features`."""

    gives = ANY
    num_features: int = integer(least=1)
    eps: float = number(above=0)

    def __init__(self, num_features: int, eps: float) -> None:
        self.num_features = num_features
        self.eps = eps
        self.gamma = Parameter((self.num_features,), "ones")
        self.beta = Parameter((self.num_features,), "zeros")

    def own_parameters(self) -> dict[str, Parameter]:
        """Return gamma as "weight" and beta as "bias"."""
        return {"weight": self.gamma, "bias": self.beta}

    @property
    def norm(self) -> Norm:
        """What the backend's operations take of this layer."""
        return Norm(self.gamma.value, self.beta.value, self.eps)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(num_features,) as it is."""
        if shape != (self.num_features,):
            hint = "; put Flatten() in front of it" if len(shape) > 1 else ""
            if len(shape) == 3 and isinstance(self, BatchNorm1d):
                hint = f"; for images there is BatchNorm2d({shape[2]})"
            raise ValueError(
                f"{self!r} takes rows of {self.num_features} numbers, not of shape {shape}{hint}"
            )
        return shape


class BatchNorm(_Normalization):
    """What `BatchNorm1d` and `BatchNorm2d` share: statistics of columns, of an array's last axis.

    In training mode, mean and (biased) variance are those of the batch, and running averages follow
    them: ``running = (1 - momentum) * running + momentum * batch's``, for which the variance is the
    unbiased one. In evaluation mode the averages are used instead. They are kept in checkpoints,
    and no optimizer or `frozen` changes that. Where ranks share a batch, `sync` says whether it
    counts as one, or what each has as a batch of its own.
    """

    options: ClassVar = ("num_features", "eps", "momentum", "sync")
    buffer_names: ClassVar = ("running_mean", "running_var")
    momentum: float = number(above=0, most=1)
    sync: bool = flag()
    single: ClassVar[str]
    """What a batch that has no variance is of."""

    folded_x: Array = None
    """The last input of the convolution in front, where evaluation folded this layer into it."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, sync: bool = True
    ) -> None:
        super().__init__(num_features, eps)
        self.momentum = momentum
        self.sync = sync
        self.running_mean: Array = np.zeros(self.num_features)
        self.running_var: Array = np.ones(self.num_features)

    @property
    def suits(self) -> str:
        """He: how large the numbers are does not matter, and mostly a ReLU comes behind."""
        return "he"

    def fused_with(self, behind: Layer) -> Step | None:
        """Be one operation with a ReLU."""
        return fused(self, behind)

    def forward(self, x: Array) -> Array:
        """Normalise by the batch's statistics in training, otherwise by the running ones."""
        return self.normalized("identity", x)

    def backward(self, dy: Array) -> Array:
        """Return dx, through the statistics too if they were the batch's; see the backend."""
        return self.gradients("identity", dy, None)

    def normalized(self, kind: str, x: Array) -> Array:
        """Do as `forward`, with the activation `kind` behind it: "identity" or "relu"."""
        y = self.new("y", x.shape)
        self.x, self._batch_statistics = self._rows(x), self.training
        if not self.training:
            self.mean, self.var = self.running_mean, self.running_var
            self.backend.batch_norm_inference(
                kind, self.x, self.norm, self.mean, self.var, self._rows(y)
            )
            return y
        shape, real = (self.num_features,), arithmetic(self.dtype)
        self.mean, self.var = self.new("mean", shape, real), self.new("var", shape, real)
        share = self.share if self.sync else None
        self._check_count(len(self.x) if share is None else synchronized.count(share, x))
        if share is not None:
            synchronized.normalized(self, share, kind, self._rows(y))
            return y
        running = Running(self.running_mean, self.running_var, self.momentum)
        self.backend.batch_norm_forward(
            kind, self.x, self.norm, running, self.mean, self.var, self._rows(y)
        )
        return y

    def gradients(self, kind: str, dy: Array, y: Array | None) -> Array:
        """Do as `backward` behind `normalized`, which gave y; "identity" needs none."""
        dx = self.new("dx", dy.shape)
        y = None if y is None else self._rows(y)
        if self._batch_statistics and self.sync and self.share is not None:
            count = synchronized.count(self.share, dy)
            synchronized.gradients(self, self.share, kind, self._rows(dy), y, count, self._rows(dx))
            return dx
        self.backend.batch_norm_backward(
            kind,
            self._rows(dy),
            y,
            self.x,
            self.norm,
            self.mean,
            self.var,
            self.gamma.grad,
            self.beta.grad,
            self._rows(dx),
            self._batch_statistics,
        )
        return dx

    def _check_count(self, count: int) -> None:
        """Raise ValueError for a batch that has no variance, of so many rows or pixels."""
        if count > 1:
            return
        found = f"one {self.single}" if count else f"no {self.single}s"
        remedy = "give it larger batches, or switch to evaluation mode"
        if self.share is not None and not self.sync:
            found = f"{found} on a rank"
            remedy = "give it larger batches, or take the whole one's statistics with sync=True"
        raise ValueError(
            f"{self!r} cannot train on a batch of {found}, which has no variance: {remedy}"
        )

    def _rows(self, array: Array) -> Array:
        return array.reshape(-1, self.num_features)


class BatchNorm1d(BatchNorm):
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` of each feature of x (n, num_features).

    In training mode, mean and (biased) variance are those of the batch, which must have two rows
    at least, and running averages follow them: ``running = (1 - momentum) * running + momentum *
    batch's``, for which the variance is the unbiased one. In evaluation mode the averages are used
    instead. They are kept in checkpoints, and no optimizer or `frozen` changes that.

    Parameters
    ----------
    num_features
        Width of the rows, at least 1.
    eps
        Added to the variance, above 0.
    momentum
        Weight of a new batch in the averages, above 0 and at most 1.
    sync
        Where several ranks share a batch, True: mean and variance are those of the whole one, so
        that any number of ranks trains the same network, for two small sums over ranks a step.
        False: each rank normalises its rows by their own, two or more; the averages, which follow
        them, differ between ranks, and rank 0's are kept.

    Raises ValueError in training for a batch of one row: its variance is 0, and y would be beta
    whatever x is. For images there is `BatchNorm2d`.

    Notes
    -----
    Ioffe & Szegedy 2015, as PyTorch defines it. A `Linear` in front needs no bias. With a ReLU
    right behind it is one operation.
    """

    capturable = True
    least_rows = 2
    single = "row"


class BatchNorm2d(BatchNorm):
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` of each channel of images.

    x is (n, height, width, num_features), or (n, height, width) with one channel. Mean and variance
    of a channel are those of its pixels in all images of the batch, n * height * width of them;
    otherwise it is as `BatchNorm1d`.

    Parameters
    ----------
    num_features
        Channels of the images, at least 1.
    eps
        Added to the variance, above 0.
    momentum
        Weight of a new batch in the averages, above 0 and at most 1.
    sync
        As there: with False each rank needs two pixels or more.

    Raises ValueError for images of other channels, and in training for a batch of one pixel.

    Notes
    -----
    Ioffe & Szegedy 2015, as PyTorch defines it. A `Conv2d` in front needs no bias. With a ReLU
    right behind it is one operation.
    """

    capturable = True
    single = "pixel"

    @property
    def pattern(self) -> tuple[int, ...] | None:
        """(height, width, num_features), unless an axis of one channel may be left out."""
        return (HEIGHT, WIDTH, self.num_features) if self.num_features > 1 else None

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, num_features) as it is."""
        as_image(self, shape, self.num_features)
        return shape


class LayerNorm(_Normalization):
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` in each row of x (n, num_features).

    Mean and (biased) variance are those of the row: nothing depends on the batch, and training and
    evaluation are alike.

    Parameters
    ----------
    num_features
        Width of the rows, at least 1.
    eps
        Added to the variance, above 0.

    Notes
    -----
    Ba, Kiros & Hinton 2016, as PyTorch defines it.
    """

    options: ClassVar = ("num_features", "eps")
    capturable = True

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps)

    def forward(self, x: Array) -> Array:
        """Normalise each row."""
        self.x, y = x, self.new("y", x.shape)
        shape, real = (len(x),), arithmetic(self.dtype)
        self.mean, self.inv_std = self.new("mean", shape, real), self.new("inv_std", shape, real)
        self.backend.layer_norm_forward(x, self.norm, self.mean, self.inv_std, y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx, through mean and variance too; see the backend."""
        dx = self.new("dx", dy.shape)
        self.backend.layer_norm_backward(
            dy,
            self.x,
            self.norm,
            self.mean,
            self.inv_std,
            self.gamma.grad,
            self.beta.grad,
            dx,
        )
        return dx
