"""Weights in files that PyTorch or Keras wrote, or is to read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import numpy as np

from nnkit import checkpoint
from nnkit.files import atomic
from nnkit.files.paths import expand
from nnkit.layers import keras_weights, torch_weights
from nnkit.layers.base import Layer
from nnkit.layers.own_arrays import Array

LAYOUTS = ("nnkit", "torch", "keras")


def check(layout: Any, names: Any, source: Any = "") -> None:
    """Raise ValueError for a layout that there is not, TypeError for what goes with another."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be {', '.join(LAYOUTS)}, not {layout!r}")
    if names is not None and layout != "torch":
        raise TypeError(f"names are for layout 'torch': in {layout!r} the order of arrays is known")
    if layout == "nnkit" and isinstance(source, Mapping | list | tuple):
        raise TypeError(
            "load_weights takes a file, unless layout is 'torch' or 'keras'; model.restore(state) "
            "takes what model.state() gave"
        )


def load(model: Layer, source: Any, layout: str, names: Iterable[str] | None) -> dict[str, Array]:
    """Read weights in a layout, from a file or from the arrays themselves."""
    if layout == "keras":
        if isinstance(source, str | PathLike):
            raise TypeError(
                "layout 'keras' takes the list that Keras's model.get_weights() returns; a file of "
                "np.savez(path, *model.get_weights()) is read by [*np.load(path).values()]"
            )
        return keras_weights.state(model, [*source])
    if isinstance(source, Mapping):
        return torch_weights.state(model, source, names)
    path = expand(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with checkpoint.damaged(path, "it cannot be used"):
        try:
            state, _ = checkpoint.read_tensors(path)
        except checkpoint.CheckpointError as error:
            raise checkpoint.CheckpointError(
                f"{error}; in PyTorch, safetensors.torch.save_file(net.state_dict(), path) writes "
                "one"
            ) from None
    with checkpoint.another_network(path):
        return torch_weights.state(model, state, names)


def save(model: Layer, path: str | PathLike[str], layout: str, names: Iterable[str] | None) -> None:
    """Write weights in a layout: a safetensors file for PyTorch, an .npz for Keras."""
    if layout == "torch":
        from safetensors.numpy import save

        state = torch_weights.state_dict(model, names)
        made = save(
            {name: np.asarray(array, order="C") for name, array in state.items()}, {"format": "pt"}
        )
    else:
        buffer = io.BytesIO()
        np.savez(buffer, *keras_weights.weights(model))
        made = buffer.getvalue()
    atomic.replace(path, made)
