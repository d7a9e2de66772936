"""Which function makes a layer's nodes: nnkit's own layers have theirs, a user's may have one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nnkit.layers import Layer
from nnkit.onnx.graph import Graph, Tensor

Translation = Callable[[Graph, Any, Tensor], Tensor]
Function = TypeVar("Function", bound=Callable[..., Any])

TRANSLATIONS: dict[type[Layer], Translation] = {}
"""By class; a subclass that computes as its base does is translated as that."""


def translates(*classes: type[Layer]) -> Callable[[Function], Function]:
    """Have a function of (graph, layer, x) that returns a `Tensor` translate these classes."""

    def register(function: Function) -> Function:
        TRANSLATIONS.update(dict.fromkeys(classes, function))
        return function

    return register


def exporter(cls: type[Layer]) -> Callable[[Function], Function]:
    """Have a function say what a layer of one's own is in ONNX; a decorator.

    ::

        @nnkit.onnx.exporter(Square)
        def square(graph, layer, x):
            return graph.add("Mul", x, x)

    It is given the names of tensors and returns one: x is (n, ...) as the layer's `forward` gets
    it. ``graph.add(operator, *inputs, **attributes)`` adds a node, ``graph.weight(name, array)`` a
    constant; both return a name.
    """

    def register(function: Function) -> Function:
        def translation(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
            return Tensor(function(graph, layer, graph.last(x)), layer.output_shape(x.shape))

        TRANSLATIONS[cls] = translation
        return function

    return register


def translate(graph: Graph, path: str, layer: Layer, x: Tensor) -> Tensor:
    """Add a layer's nodes; raises ValueError for a layer that no function is there for."""
    for cls in type(layer).__mro__:
        if cls in TRANSLATIONS and type(layer).forward is cls.forward:
            graph.path = path
            return TRANSLATIONS[cls](graph, layer, x)
    name = type(layer).__name__
    raise ValueError(
        f"layer {path}: nnkit does not know what {layer!r} is in ONNX; say so in a function of "
        f"(graph, layer, x), decorated with @nnkit.onnx.exporter({name})"
    )
