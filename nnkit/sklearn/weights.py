"""The weights of a fitted perceptron, under scikit-learn's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.layers import Linear, Sequential
from nnkit.sklearn.building import linear_layers
from nnkit.sklearn.estimator import Estimator


class Weighted(Estimator):
    """Shows the parameters of `model_`; there are none before `fit`.

    On the CPU they are the arrays that the model computes with. What is assigned is copied there.
    """

    @property
    def coefs_(self) -> list[np.ndarray[Any, Any]]:
        """The weights of each layer, (n_in, n_out)."""
        return [self.model_.backend.to_numpy(layer.W.value) for layer in self._layers()]

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        for layer, value in zip(self._layers(), values, strict=True):
            layer.W.value = value

    @property
    def intercepts_(self) -> list[np.ndarray[Any, Any]]:
        """The biases of each layer, (n_out,)."""
        biases = [layer.b for layer in self._layers() if layer.b is not None]
        return [self.model_.backend.to_numpy(bias.value) for bias in biases]

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        for layer, value in zip(self._layers(), values, strict=True):
            assert layer.b is not None
            layer.b.value = value

    def _layers(self) -> list[Linear]:
        model: Sequential | None = vars(self).get("model_")
        if model is None:  # which hasattr(estimator, "coefs_") asks
            raise AttributeError(f"this {type(self).__name__} is not fitted yet: call fit first")
        return linear_layers(model)
