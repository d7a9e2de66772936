"""Models from files: the classes that a configuration names, put together again."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from nnkit import checkpoint, layers
from nnkit.backends import Backend, get_backend
from nnkit.configured import Configured, from_config
from nnkit.files.plain import difference, plain
from nnkit.layers import Activation, Layer, Sequential
from nnkit.parameters import at_most

LAYER_CLASSES: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (getattr(layers, name) for name in layers.__all__)
    if isinstance(cls, type) and issubclass(cls, Layer) and cls not in {Layer, Activation}
}
"""The layers that a file may name, but for the user's own."""

SPARE = 2**16
"""Numbers that layers may have beyond what the file's tensors hold, before they are compared."""


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
    """Make the model of a file that was read; errors as for `load`.

    No memory is taken for parameters that the file has no tensors for.
    """
    classes = LAYER_CLASSES | {cls.__name__: cls for cls in custom_layers}
    target = get_backend(backend)
    arrays = tensors.get("model", {})
    with (
        checkpoint.damaged(path, "its model cannot be built"),
        at_most(SPARE + 2 * sum(array.size for array in arrays.values())),
    ):
        settings = dict(config["model"])
        settings.pop("class", None)
        settings["layers"] = from_config(
            settings["layers"], classes, hint="; pass your own in custom_layers"
        )
        model = Sequential.from_config(settings, target)
        check_made(model, config["model"], "its model")
    with checkpoint.another_network(path):
        wanted = {name: p.value.dtype for name, p in model.named_parameters()}
        wanted |= {name: array.dtype for name, array in model.named_buffers()}
        if "counters" in arrays:
            checkpoint.check_counters(path, "model", arrays["counters"])
        checkpoint.check_tensors(path, "model", arrays, wanted)
        model.restore(arrays)
    return model


def check_made(made: Configured, config: Any, place: str) -> None:
    """Raise ValueError where something is not what the configuration it was made of says."""
    if found := difference(config, plain(made.config(), place), place):
        raise ValueError(found)
