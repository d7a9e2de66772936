"""Layers carried out one after the other, neighbours fused where they can be."""

from __future__ import annotations

from itertools import pairwise

from nnkit.backends import Array
from nnkit.dtypes import as_arithmetic
from nnkit.layers.base import Layer, Step


class Chain:
    """The steps of a forward and of a backward pass through some layers.

    Parameters
    ----------
    owner
        The layer that the others are in.
    layers
        The layers with their paths. Those that are chains themselves are opened.
    fuse
        Whether to carry out neighbours as one operation where there is one.
    """

    def __init__(self, owner: Layer, layers: list[tuple[str, Layer]], fuse: bool) -> None:
        self.owner = owner
        links = [link for path, layer in layers for link in layer.opened(path)]
        for (_, layer), (_, behind) in pairwise(links):
            layer.suit(behind)
        self.steps: list[Step] = []
        self._places: list[str] = []
        self._first_trained = 0
        last: Step | None = None
        trained = False
        for path, layer in links:
            fused = last.fused_with(layer) if last is not None and _is_own(layer) else None
            if fused is not None:
                self.steps[-1] = fused
                self._places[-1] += f" + {path}: {layer!r}"
            else:
                self.steps.append(layer)
                self._places.append(f"{path}: {layer!r}")
            last = self.steps[-1] if fuse and _is_own(layer) else None
            if not trained:
                self._first_trained = len(self.steps) - 1
                trained = bool(layer.parameters())

    def forward(self, x: Array) -> Array:
        """y of the last layer."""
        current = self.owner._pass
        debug = current is not None and current.debug
        for step, place in zip(self.steps, self._places, strict=True):
            try:
                x = step.forward(x)
            except Exception as error:
                _add_place(error, place)
                raise
            if debug and not bool(self.owner.xp.isfinite(as_arithmetic(x)).all()):
                raise FloatingPointError(f"NaN or infinity first comes out of layer {place}")
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array:
        """dx of the first layer.

        If no `input_gradient` is wanted the pass ends, without one, at the first layer that has
        parameters: those before it have nothing to compute.
        """
        end = 0 if input_gradient else self._first_trained
        first = self.steps[end]
        first.input_gradient = input_gradient
        try:
            for step, place in reversed([*zip(self.steps, self._places, strict=True)][end:]):
                try:
                    dy = step.backward(dy)
                except Exception as error:
                    _add_place(error, f"{place}, backward")
                    raise
        finally:
            first.input_gradient = True
        return dy if input_gradient else None


def _is_own(layer: Layer) -> bool:
    """Whether both passes are nnkit's: one that somebody has overridden is carried out itself."""
    passes = type(layer).forward, type(layer).backward
    modules = (getattr(each, "__module__", None) or "" for each in passes)
    return all(module.partition(".")[0] == "nnkit" for module in modules)


def _add_place(error: Exception, place: str) -> None:
    """Note the layer that an error comes from; to one inside it, add where it is."""
    notes = getattr(error, "__notes__", [])
    for i, note in enumerate(notes):
        if note.startswith("layer "):
            notes[i] = f"layer {place.partition(':')[0]}.{note.removeprefix('layer ')}"
            return
    error.add_note(f"layer {place}")
