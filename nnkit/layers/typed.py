"""What a type checker takes a layer of a model for; nothing of this runs."""

from __future__ import annotations

from typing import Any

from nnkit.layers.base import Layer
from nnkit.parameters import Parameter


class SomeLayer(Layer):
    """A layer of which no more is known than that it is one: ``model[0].W`` may be there.

    ``isinstance(model[0], nnkit.Linear)`` tells a type checker the rest.
    """

    W: Parameter
    b: Parameter | None

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError
