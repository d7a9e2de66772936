"""Batch normalisation and a ReLU behind it, carried out as one fused operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.backends import Array
from nnkit.layers.activations import Activation
from nnkit.layers.base import Layer, Step
from nnkit.layers.fused import Fused

if TYPE_CHECKING:
    from nnkit.layers.normalization import BatchNorm


def fused(norm: BatchNorm, behind: Layer) -> Step | None:
    """One step for batch normalisation and the layer behind it, if there is one."""
    if isinstance(behind, Activation) and behind.kind == "relu":
        return BatchNormReLU(norm, behind)
    return None


class BatchNormReLU(Fused):
    """``y = max(norm(x), 0)`` in one pass, in training and in evaluation."""

    def __init__(self, norm: BatchNorm, relu: Activation) -> None:
        super().__init__(norm)
        self.norm, self.relu = norm, relu

    def forward(self, x: Array) -> Array:
        """The activation keeps y, as it does by itself."""
        self.relu.saved = self.norm.normalized("relu", x)
        return self.relu.saved

    def backward(self, dy: Array) -> Array:
        """Dx, through the statistics too; of dy counts what is where y > 0."""
        return self.norm.gradients("relu", dy, self.relu.saved)
