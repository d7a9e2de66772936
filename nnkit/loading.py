"""Models from files: the classes that a configuration names, put together again."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from nnkit import checkpoint, layers
from nnkit.backends import Backend
from nnkit.configured import from_config
from nnkit.layers import Layer, Sequential

LAYER_CLASSES: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (getattr(layers, name) for name in layers.__all__)
    if isinstance(cls, type) and issubclass(cls, Layer)
}
"""The layers that a file may name, but for the user's own."""


def load(
    path: str | PathLike[str],
    backend: str | Backend | None = None,
    custom_layers: Sequence[type[Layer]] = (),
) -> Sequential:
    """Read a model from a file that `Sequential.save` or `Trainer.save` wrote, onto any backend.

    `custom_layers` are the classes of layers that are not nnkit's. Raises CheckpointError for a
    file that is none or is damaged, OSError for one that cannot be read.
    """
    tensors, config = checkpoint.read(path)
    return build_model(path, tensors, config, backend, custom_layers)


def build_model(
    path: str | PathLike[str],
    tensors: checkpoint.Tensors,
    config: dict[str, Any],
    backend: str | Backend | None,
    custom_layers: Sequence[type[Layer]],
) -> Sequential:
    """Make the model of a file that was read; errors as for `load`."""
    classes = LAYER_CLASSES | {cls.__name__: cls for cls in custom_layers}
    with checkpoint.damaged(path, "its model cannot be built"):
        settings = dict(config["model"])
        settings["layers"] = from_config(
            settings["layers"], classes, hint="; pass your own in custom_layers"
        )
        model = Sequential.from_config(settings, backend)
    with checkpoint.another_network(path):
        model.restore(tensors.get("model", {}))
    return model
