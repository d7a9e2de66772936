"""A model from an ONNX file."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

import numpy as np

from nnkit.backends import Backend, get_backend
from nnkit.checkpoint import CheckpointError, damaged
from nnkit.files.checking import make
from nnkit.files.paths import expand, open_file
from nnkit.layers import Identity, Sequential
from nnkit.layers.inputs import Inputs
from nnkit.layers.shapes import HEIGHT, WIDTH, Open
from nnkit.onnx import read_images, read_rows  # noqa: F401 - they register
from nnkit.onnx.external import bring_in
from nnkit.onnx.flow import Flow
from nnkit.onnx.graph import TO_LAST, need_onnx
from nnkit.onnx.nodes import LEAST_OPSET
from nnkit.onnx.read_elementwise import FLOATS
from nnkit.onnx.reading import Reader
from nnkit.onnx.values import Value, turned

IMAGES = {
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool"),
    *("BatchNormalization", "Resize", "Upsample"),
}
"""Operators that take images with their channels first."""


def load(path: str | PathLike[str], backend: str | Backend | None = None) -> Sequential:
    """Read a model from an ONNX file, onto any backend: what `export` wrote, or another program.

    Images are (n, height, width, channels) in nnkit. Where a file of another program takes them as
    (n, channels, height, width), the model takes them as nnkit does: give it
    ``x.transpose(0, 2, 3, 1)``, or put `ChannelsLast` in front. Weights behind a Flatten are put
    into the order that goes with it. A file of nnkit's takes what the model took.

    Raises ImportError without the package onnx, OSError for a file that cannot be read, and
    CheckpointError for one that is none or is damaged, and for a graph that nnkit's layers cannot
    express: the message names the node and the operator.
    """
    need_onnx()
    with open_file(expand(path)) as file:
        data = file.read()
    proto = _parsed(path, data)
    with damaged(path, "nnkit cannot read it as a model"):
        bring_in(proto.graph, expand(path).parent)
        return _model(proto, get_backend(backend))


def _parsed(path: str | PathLike[str], data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise CheckpointError(f"{path} is no ONNX file or is damaged") from None
    if not proto.graph.node and not proto.graph.output:
        raise CheckpointError(f"{path} is no ONNX file or is damaged: it has no graph")
    return proto


def _model(proto: Any, backend: Backend) -> Sequential:
    versions = {each.domain or "ai.onnx": each.version for each in proto.opset_import}
    if versions.get("ai.onnx", 0) < LEAST_OPSET:
        raise ValueError(
            f"its operators are of version {versions.get('ai.onnx')}, and nnkit reads those from "
            f"{LEAST_OPSET} on: onnx.version_converter makes newer ones"
        )
    if proto.functions:
        raise ValueError("it has functions: nnkit reads plain nodes")
    graph = proto.graph
    given = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in given]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ValueError(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs: a model has one of each"
        )
    shape = _shape(inputs[0])
    batch = inputs[0].type.tensor_type.shape.dim[0].dim_value
    flow = Flow(graph, inputs[0].name, graph.output[0].name, batch)
    start = Value(inputs[0].name, shape)
    if proto.producer_name != "nnkit":
        start = _start(flow, shape, start.name)
    reader = Reader(flow, versions["ai.onnx"])
    takers = flow.takers.get(start.name, [])
    if flow.end != start.name and not takers:
        raise ValueError("its output does not depend on its input")
    layers, end = reader.way(start, takers, flow.end)
    if flow.end_turns:
        end, more = turned(end, flow.end_turns, flow.last_turn)
        layers += more
    if end.first and len(end.shape) == 3:
        raise ValueError("its output is images with their channels first; nnkit's have them last")
    if end.channels > 1:
        raise ValueError("its output is rows of images whose channels come first: nnkit's are last")
    return _built(reader, layers or [Identity()], backend, _inputs(proto, inputs[0], reader))


def _shape(tensor: Any) -> tuple[int, ...]:
    """Shape of one example; what is left open has a name."""
    kind = tensor.type.tensor_type
    if not kind.HasField("shape") or not 2 <= len(kind.shape.dim) <= 4:
        raise ValueError(f"its input {tensor.name!r} has no shape of 2 to 4 axes")
    sizes: list[int] = []
    for size in kind.shape.dim[1:]:
        sizes.append(int(size.dim_value) if size.dim_value > 0 else Open(size.dim_param or "size"))
    return tuple(sizes)


def _start(flow: Flow, shape: tuple[int, ...], name: str) -> Value:
    """The input of another program's graph: of images, the channels may lie first."""
    if len(shape) == 3 and _channels_first(flow):
        channels, height, width = shape
        height = HEIGHT if isinstance(height, Open) else height
        width = WIDTH if isinstance(width, Open) else width
        return Value(name, (height, width, channels), first=True)
    return Value(name, shape)


def _channels_first(flow: Flow) -> bool:
    """Whether the first node that needs an order takes images with their channels first."""
    for node in flow.nodes:
        turns = next((flow.turned[name] for name in node.data if flow.turned.get(name)), ())
        if turns or node.operator in ("Flatten", "Reshape"):  # the latter take them as they are
            return turns[:1] == (TO_LAST,)
        if node.operator in IMAGES:
            return True
    return False


def _inputs(proto: Any, tensor: Any, reader: Reader) -> Inputs:
    """What inputs are multiplied by: as nnkit wrote it down, else as the graph does.

    Another program's graph of bytes or other whole numbers takes them as they are, where nnkit
    would look at them.
    """
    for entry in proto.metadata_props:
        if entry.key == "inputs" and proto.producer_name == "nnkit":
            return make(Inputs, json.loads(entry.value))
    takes_whole = tensor.type.tensor_type.elem_type not in FLOATS
    return Inputs(scale=1.0 if reader.scale is None and takes_whole else reader.scale)


def _built(reader: Reader, layers: list[Any], backend: Backend, inputs: Inputs) -> Sequential:
    """The model, with its values."""
    arrays = [array for each in reader.arrays.values() for array in each.values()]
    double = any(array.dtype == np.float64 for array in arrays)
    dtype = "float64" if double and "float64" in backend.dtypes else "float32"
    model = Sequential(*layers, backend=backend, dtype=dtype, seed=0)
    paths = {layer: path for path, layer in model.walk()}
    model.restore(
        {
            f"{paths[layer]}.{name}": np.asarray(array).astype(dtype)
            for layer, owned in reader.arrays.items()
            for name, array in owned.items()
        }
    )
    model.inputs = inputs
    return model
