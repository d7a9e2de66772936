"""A model as an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from typing import Any

import nnkit
from nnkit.files import atomic
from nnkit.layers import Sequential
from nnkit.layers.inputs import BYTE, looks_like_images
from nnkit.layers.shapes import Open
from nnkit.losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from nnkit.onnx import containers, elementwise, images, rows  # noqa: F401 - they register
from nnkit.onnx.graph import IR_VERSION, OPSET, Graph, Tensor, need_onnx
from nnkit.onnx.translating import translate
from nnkit.training import Trainer

Shape = tuple[int, ...]
INPUTS = ("float32", "uint8")
PROBABILITIES = {SoftmaxCrossEntropy: "Softmax", SigmoidCrossEntropy: "Sigmoid"}
"""What makes probabilities of logits; other losses take outputs as they are."""


def export(
    model: Sequential | Trainer,
    path: str | PathLike[str],
    *,
    shape: Shape | None = None,
    dtype: str = "float32",
    class_names: Sequence[str] | None = None,
    probabilities: bool = False,
) -> None:
    """Write a model as an ONNX file, atomically: what it computes in evaluation mode.

    The file has one input "x" of shape (n, ...), n being free, and one output "y". Images are
    (n, height, width, channels). Numbers are float32, whatever the model's dtype; the operators are
    those of opset 20.

    Parameters
    ----------
    model
        A model, or a trainer with its model and loss.
    path
        Where to write it. A file that is there is replaced.
    shape
        Of one example, such as (28, 28) or (784,). None takes what the layers say; what they leave
        open, as a convolution does an image's size, stays free.
    dtype
        Of the input. "float32" is multiplied by what `fit` was given as `scale`, as `predict` does.
        "uint8" is for bytes, which the graph scales to 0..1 where the model does.
    class_names
        Names of the outputs, kept in the file; None takes those of the trainer's checkpoint.
    probabilities
        Whether to put softmax or sigmoid behind the model, as its trainer's loss says, so that the
        file gives what `predict_proba` does.

    The file's metadata holds "class_names", "inputs" (what inputs are multiplied by), "loss" and,
    of a network of tables, "table_encoder" (see `nnkit.data.TableEncoder.of`), as JSON. Raises
    ImportError without the package onnx, ValueError for a layer of one's own (see `exporter`), for
    weights that are not finite, and where the shape is unknown or does not fit; OSError where the
    file cannot be written.
    """
    need_onnx()
    trainer = model if isinstance(model, Trainer) else None
    model = model.model if isinstance(model, Trainer) else model
    if not isinstance(model, Sequential):
        raise TypeError(f"export takes a Sequential or a Trainer, not {model!r}")
    if dtype not in INPUTS:
        raise ValueError(f"dtype must be {' or '.join(INPUTS)}, not {dtype!r}")
    if probabilities and trainer is None:
        raise ValueError(
            "probabilities=True needs the loss: give export the trainer, not its model"
        )
    loss = None if trainer is None else trainer.loss
    with model.held():
        model.settle()
        shape = _input_shape(model, shape)
        graph = Graph()
        y = _whole(graph, model, shape, dtype, loss if probabilities else None)
        about: dict[str, Any] = {"inputs": asdict(model.inputs)}
        if names := _names(class_names, trainer, y.shape):
            about["class_names"] = names
        if trainer is not None:
            about["loss"] = trainer.loss.config()
            kept = trainer.extra.get("table_encoder")
            about |= {} if kept is None else {"table_encoder": kept}
        made = _file(graph, shape, dtype, y.shape, about)
    atomic.replace(path, made)


def _input_shape(model: Sequential, shape: Shape | None) -> Shape:
    """The shape of one example, that was given or that a layer says; ValueError if it is unfit."""
    if shape is not None:
        shape = tuple(int(size) for size in shape)
        model.check_shape((1, *shape))
        return shape
    for layer in model.leaves():
        if layer.pattern is not None:
            try:
                model.output_shape(layer.pattern)
            except ValueError:
                break
            return layer.pattern
    raise ValueError(
        "the model takes inputs of more than one shape: give that of one example, such as "
        "shape=(28, 28)"
    )


def _whole(graph: Graph, model: Sequential, shape: Shape, dtype: str, loss: Loss | None) -> Tensor:
    """Add all nodes from the input "x" to the output "y", of which the shape is returned."""
    graph.named("x"), graph.named("y")
    x = _scaled(graph, model, shape, dtype)
    y = translate(graph, "", model, Tensor(x, shape))
    graph.path = ""
    operator = "Identity" if loss is None else PROBABILITIES.get(type(loss), "Identity")
    if loss is not None and operator == "Identity" and _makes_probabilities(loss):
        raise ValueError(
            f"nnkit does not know what {loss!r} makes of outputs in ONNX: leave probabilities out, "
            "or put a layer for them behind the model"
        )
    name = graph.last(y)
    if operator != "Identity" or name == "x":
        name = graph.add(operator, name)  # the last axis is what Softmax takes by itself
    graph.rename(name, "y")
    return y


def _makes_probabilities(loss: Loss) -> bool:
    return type(loss).probabilities is not Loss.probabilities


def _scaled(graph: Graph, model: Sequential, shape: Shape, dtype: str) -> str:
    """Add what inputs are multiplied by; the name of the tensor that the model takes."""
    from onnx import TensorProto

    x, inputs = "x", model.inputs
    factor = 1.0 if inputs.scale is None else inputs.scale
    if dtype == "uint8":
        x = graph.add("Cast", x, to=TensorProto.FLOAT)
        scaled = inputs.bytes_scaled
        if scaled is None:
            scaled = looks_like_images((1, *shape))
        if inputs.scale is None and scaled:
            factor = BYTE
    return x if factor == 1 else graph.add("Mul", x, graph.weight("scale", factor))


def _names(given: Sequence[str] | None, trainer: Trainer | None, outputs: Shape) -> list[str]:
    """Names of all outputs, or none; those of a checkpoint may be fewer, and numbers follow."""
    width = None if len(outputs) != 1 or isinstance(outputs[0], Open) else outputs[0]
    if given is not None:
        names = [*map(str, given)]
        if width is not None and len(names) != width:
            raise ValueError(f"{len(names)} class_names for {width} outputs")
        return names
    kept = None if trainer is None else trainer.extra.get("class_names")
    if not kept:
        return []
    return [*map(str, kept), *map(str, range(len(kept), width or 0))]


def _file(graph: Graph, shape: Shape, dtype: str, outputs: Shape, about: dict[str, Any]) -> bytes:
    from onnx import TensorProto, helper

    kind = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
    free = [size.name if isinstance(size, Open) else int(size) for size in shape]
    known = [None if isinstance(size, Open) else int(size) for size in outputs]
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "nnkit",
            [helper.make_tensor_value_info("x", kind, ["n", *free])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *known])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="nnkit",
        producer_version=nnkit.__version__,
    )
    helper.set_model_props(made, {name: json.dumps(value) for name, value in about.items()})
    data: bytes = made.SerializeToString()
    return data
