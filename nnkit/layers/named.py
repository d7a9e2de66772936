"""Layers by name: what stands for one where layers are given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nnkit.given import names
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers import activations as elementwise
from nnkit.layers.activations import GELU, Activation
from nnkit.layers.base import Layer
from nnkit.layers.flatten import Flatten
from nnkit.layers.prelu import PReLU
from nnkit.layers.softmax import LogSoftmax, Softmax

_DECLARED = {
    cls.kind: cls
    for cls in map(vars(elementwise).__getitem__, elementwise.__all__)
    if cls is not Activation
}
ELEMENTWISE: dict[str, type[Activation]] = {
    kind: _DECLARED[kind] for kind in ACTIVATIONS if kind in _DECLARED
}
"""nnkit's own classes, in the table's order: one that a user declares has no name."""
CLASSES: dict[str, type[Layer]] = {
    **ELEMENTWISE,
    "prelu": PReLU,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
}
"""All activations."""
VARIANTS: dict[str, Callable[[], Layer]] = {"gelu_tanh": partial(GELU, approximate=True)}
_ALIASES = {"linear": "identity", "swish": "silu"}
BY_NAME: dict[str, Callable[[], Layer]] = {
    **CLASSES,
    **VARIANTS,
    **{alias: CLASSES[name] for alias, name in _ALIASES.items()},
}
"""What makes the activation of each name."""


def as_layer(owner: str, given: Any) -> Layer:
    """Return a layer, or make that of a name such as "relu" or "flatten".

    Raises ValueError for an unknown name, TypeError for what is no layer; `owner` takes it.
    """
    if isinstance(given, Layer):
        return given
    if isinstance(given, str):
        return names.find(given, {**BY_NAME, "flatten": Flatten}, "layer")()
    if isinstance(given, list | tuple) and all(isinstance(each, Layer | str) for each in given):
        raise TypeError(f"{owner} takes layers one by one, not a list: write {owner}(*layers)")
    raise names.refuse(f"{owner} takes layers", given, Layer)
