"""The model of a perceptron, with the initial values that scikit-learn draws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from nnkit import activations
from nnkit.given.options import integer
from nnkit.layers import Dropout, Layer, Linear, Sequential

NAMES = {"logistic": "sigmoid"}
"""What scikit-learn calls otherwise."""


def hidden_sizes(estimator: Any) -> list[int]:
    """The widths of the hidden layers; raises ValueError or TypeError for what are none."""
    given = estimator.hidden_layer_sizes
    sizes = [*given] if hasattr(given, "__iter__") else [given]
    name = f"{type(estimator).__name__}: hidden_layer_sizes"
    return [integer(least=1).checked(name, size) for size in sizes]


def hidden_activation(estimator: Any) -> Layer:
    """What stands behind a hidden layer; raises ValueError for an unknown name."""
    name = estimator.activation
    return activations.get(NAMES.get(name, name))


def perceptron(
    estimator: Any, units: list[int], dtype: str, random: np.random.RandomState
) -> Sequential:
    """Make a perceptron of so many units a layer, inputs and outputs too.

    Weights and biases are uniform up to ``sqrt(6 / (n_in + n_out))``, or ``sqrt(2 / ...)`` before
    the logistic function (Glorot & Bengio 2010), and drawn layer by layer.
    """
    factor = 2.0 if estimator.activation == "logistic" else 6.0
    layers: list[Layer] = []
    biases = []
    for before, behind in pairwise(units):
        bound = np.sqrt(factor / (before + behind))
        weights = random.uniform(-bound, bound, (before, behind))
        biases.append(random.uniform(-bound, bound, behind))
        layers += _hidden(estimator) if layers else []
        layers.append(Linear(before, behind, init=weights))
    seed = int(random.randint(2**31)) if estimator.dropout else 0
    model = Sequential(*layers, seed=seed, dtype=dtype, backend=estimator.backend)
    for layer, bias in zip(linear_layers(model), biases, strict=True):
        assert layer.b is not None
        layer.b.value = bias
    return model


def _hidden(estimator: Any) -> Iterator[Layer]:
    """What stands between two linear layers."""
    yield hidden_activation(estimator)
    if estimator.dropout:
        yield Dropout(estimator.dropout)


def linear_layers(model: Sequential) -> list[Linear]:
    """The layers of weights, in order."""
    return [layer for layer in model if isinstance(layer, Linear)]


def units(model: Sequential) -> list[int]:
    """The widths of inputs, hidden layers and outputs."""
    layers = linear_layers(model)
    return [layers[0].in_features, *(layer.out_features for layer in layers)]
