"""Layers around layers as nodes, and those that do nothing once a model is trained."""

from __future__ import annotations

from collections.abc import Iterable

from nnkit.layers import Concat, Dropout, Dropout2d, Layer, Residual, Sequential
from nnkit.onnx.graph import Graph, Tensor
from nnkit.onnx.translating import translate, translates


def chain(graph: Graph, path: str, layers: Iterable[tuple[str, Layer]], x: Tensor) -> Tensor:
    """Add layers, one behind the other, that are inside the one at `path`."""
    for name, layer in layers:
        x = translate(graph, f"{path}.{name}" if path else name, layer, x)
    return x


@translates(Sequential)
def sequential(graph: Graph, layer: Sequential, x: Tensor) -> Tensor:
    """Its layers' nodes."""
    return chain(graph, graph.path, layer.children(), x)


@translates(Residual)
def residual(graph: Graph, layer: Residual, x: Tensor) -> Tensor:
    """Add, of what is behind the two ways."""
    path, ways = graph.path, layer.children()
    around = [] if layer.shortcut is None else [ways.pop()]
    parts = [chain(graph, path, ways, x), chain(graph, path, around, x)]
    graph.path = path
    names, first = _alike(graph, parts)
    return Tensor(graph.add("Add", *names), parts[0].shape, first)


@translates(Concat)
def concat(graph: Graph, layer: Concat, x: Tensor) -> Tensor:
    """Concat, along the channels."""
    path = graph.path
    parts = [chain(graph, path, [branch], x) for branch in layer.children()]
    graph.path = path
    if len(parts) == 1:
        return parts[0]
    names, first = _alike(graph, parts)
    y = graph.add("Concat", *names, axis=1 if first else -1)
    return Tensor(y, layer.output_shape(x.shape), first)


def _alike(graph: Graph, parts: list[Tensor]) -> tuple[list[str], bool]:
    """Names of tensors of one layout, and whether their channels lie first: if those of one do."""
    first = any(part.channels_first for part in parts)
    return [graph.first(part) if first else graph.last(part) for part in parts], first


@translates(Dropout, Dropout2d)
def dropout(graph: Graph, layer: Dropout, x: Tensor) -> Tensor:
    """Nothing: it works in training only."""
    return x
