"""Softmax and its logarithm as layers.

To train a classifier, use SoftmaxCrossEntropy on the logits instead.
"""

from __future__ import annotations

from nnkit.backends import Array
from nnkit.given.meanings import DISTRIBUTIONS, LOG_PROBABILITIES
from nnkit.layers.base import Layer


class Softmax(Layer):
    """``y = exp(x - max) / sum(exp(x - max))`` in each row of x (n, classes).

    Backward, for any dy: ``dx = y * (dy - sum(dy * y))``.
    """

    gives = DISTRIBUTIONS
    capturable = True

    def forward(self, x: Array) -> Array:
        """y = softmax(x)."""
        self.y = self.backend.softmax(x, self.new("y", x.shape))
        return self.y

    def backward(self, dy: Array) -> Array:
        """dx = y * (dy - sum(dy * y))."""
        return self.backend.softmax_backward(dy, self.y, self.new("dx", dy.shape))


class LogSoftmax(Layer):
    """``y = x - max - log(sum(exp(x - max)))`` in each row of x (n, classes).

    Backward, for any dy: ``dx = dy - exp(y) * sum(dy)``.
    """

    gives = LOG_PROBABILITIES
    capturable = True

    def forward(self, x: Array) -> Array:
        """y = log softmax(x)."""
        self.y = self.backend.log_softmax(x, self.new("y", x.shape))
        return self.y

    def backward(self, dy: Array) -> Array:
        """dx = dy - exp(y) * sum(dy)."""
        return self.backend.log_softmax_backward(dy, self.y, self.new("dx", dy.shape))
