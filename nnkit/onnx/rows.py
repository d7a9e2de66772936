"""Layers of rows of numbers as nodes."""

from __future__ import annotations

from nnkit.layers import BatchNorm1d, Flatten, LayerNorm, Linear, Maxout
from nnkit.layers.normalization import BatchNorm
from nnkit.onnx.graph import Graph, Tensor
from nnkit.onnx.translating import translates


@translates(Linear)
def linear(graph: Graph, layer: Linear, x: Tensor) -> Tensor:
    """Gemm, or MatMul where there is no bias."""
    weight = graph.weight("weight", layer.W.to_numpy())
    if layer.b is None:
        y = graph.add("MatMul", x.name, weight)
    else:
        y = graph.add("Gemm", x.name, weight, graph.weight("bias", layer.b.to_numpy()))
    return Tensor(y, (layer.out_features,))


@translates(Maxout)
def maxout(graph: Graph, layer: Maxout, x: Tensor) -> Tensor:
    """Gemm, and ReduceMax over the pieces."""
    weight = graph.weight("weight", layer.weight.to_numpy())
    z = graph.add("Gemm", x.name, weight, graph.weight("bias", layer.bias.to_numpy()))
    shape = graph.integers("shape", (0, layer.pieces, layer.out_features))
    pieces = graph.add("Reshape", z, shape)
    y = graph.add("ReduceMax", pieces, graph.integers("axes", (1,)), keepdims=0)
    return Tensor(y, (layer.out_features,))


@translates(Flatten)
def flatten(graph: Graph, layer: Flatten, x: Tensor) -> Tensor:
    """Flatten, of channels last; a row is one already."""
    if len(x.shape) == 1:
        return x
    return Tensor(graph.add("Flatten", graph.last(x), axis=1), layer.output_shape(x.shape))


@translates(BatchNorm1d)
def batch_norm(graph: Graph, layer: BatchNorm1d, x: Tensor) -> Tensor:
    """BatchNormalization by the running averages."""
    return x._replace(name=normalized(graph, layer, x.name))


def normalized(graph: Graph, layer: BatchNorm, x: str) -> str:
    """Normalise the second axis by a layer's running averages."""
    arrays = {
        "weight": layer.gamma.to_numpy(),
        "bias": layer.beta.to_numpy(),
        "running_mean": layer.backend.to_numpy(layer.running_mean),
        "running_var": layer.backend.to_numpy(layer.running_var),
    }
    weights = [graph.weight(name, array) for name, array in arrays.items()]
    # Here a momentum is the weight of a new batch, in ONNX that of the averages.
    options = {"epsilon": layer.eps, "momentum": 1 - layer.momentum}
    return graph.add("BatchNormalization", x, *weights, **options)


@translates(LayerNorm)
def layer_norm(graph: Graph, layer: LayerNorm, x: Tensor) -> Tensor:
    """LayerNormalization of each row."""
    scale = graph.weight("weight", layer.gamma.to_numpy())
    bias = graph.weight("bias", layer.beta.to_numpy())
    y = graph.add("LayerNormalization", x.name, scale, bias, axis=-1, epsilon=layer.eps)
    return x._replace(name=y)
