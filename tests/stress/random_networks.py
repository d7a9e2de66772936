"""Random networks, losses, optimizers and schedules of every class there is, for Hypothesis.

The classes are those of nnkit's registries, their arguments those of their `options`: a new class
is drawn at once, and one with an argument of a new name fails until the tables here have values.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nnkit import layers, schedules
from nnkit.augment import AUGMENTATIONS
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers import (
    Activation,
    Concat,
    Conv2d,
    Exponential,
    Flatten,
    Identity,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from nnkit.losses import LOSS_CLASSES
from nnkit.optimizers import OPTIMIZERS

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Make:
    """A call of a class, made anew for each run. Its repr is its code."""

    cls: type
    arguments: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()

    def __call__(self) -> Any:
        arguments = [x() if isinstance(x, Make) else x for x in self.arguments]
        return self.cls(*arguments, **{k: x() if isinstance(x, Make) else x for k, x in self.named})

    def __repr__(self) -> str:
        named = [f"{name}={value!r}" for name, value in self.named]
        return f"{self.cls.__name__}({', '.join([*map(repr, self.arguments), *named])})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Have Hypothesis print the code, too."""
        printer.text(repr(self))


def make(draw: Any, cls: type, values: dict[str, Any], names: Iterable[str]) -> Make:
    """Draw arguments; each shrinks to the first of its values."""
    return Make(cls, (), tuple((name, draw(st.sampled_from(values[name]))) for name in names))


# ------------------------------------------------------------------ layers

CONTAINERS = (Sequential, Residual, Concat)
WIDTHS = [3, 1, 2, 5, 8, 17]
LAYER_VALUES: dict[str, Any] = {
    "bias": [True, False],
    "pieces": [2, 3],
    "alpha": [0.25, 1.0, 0.01],
    "approximate": [False, True],
    "p": [0.5, 0.0, 0.2],
    "eps": [0.1, 1e-3],
    "momentum": [0.1, 1.0],
    "sync": [True, False],
    "kernel_size": [1, 3, 2, (3, 1), (1, 2)],
    "size": [2, 1, 3, (1, 2)],
    "stride": [1, 2, (2, 1), 3],
    "padding": [0, 1, (1, 0)],
    "output_padding": [0, (1, 0)],
    "dilation": [1, 2],
    "scale": [2, 1, (1, 2)],
}
CHANGED = ("p", "alpha", "eps", "momentum")
"""Options of layers that may be set in the middle of a run."""


LARGEST = 1200
"""Numbers of an image that layers may make."""


def layer_values(cls: type, shape: Shape) -> dict[str, Any]:
    """Values of the arguments of a layer that takes inputs of this shape."""
    width = shape[-1]
    values = LAYER_VALUES | {
        **{name: [width] for name in ("in_features", "num_features", "in_channels")},
        "features": [1, width],
        "out_features": WIDTHS,
        "out_channels": [width, *WIDTHS, 2 * width],
        "groups": [1, width],
        "height": shape[:1],
        "width": shape[1:2],
        "channels": [1],
    }
    if cls is Conv2d:
        values["padding"] = ["same", *values["padding"]]
    return values


def possible(made: Make, shape: Shape) -> bool:
    """Whether its arguments go together, and with inputs of this shape; small ones come out."""
    try:
        return prod(made().output_shape(shape)) <= LARGEST or len(shape) < 3
    except ValueError:
        return False


def with_pooling(convolution: Make, shape: Shape) -> list[tuple[Make, ...]]:
    """A convolution by itself, and with what may be one operation with it."""
    behind = shape_behind((convolution,), shape)
    pools = [Make(MaxPool2d, (size,)) for size in (2, (2, 1), 1)]
    tails = [(), *((pool,) for pool in pools if possible(pool, behind))]
    return [(convolution, *relu, *tail) for relu in ((), (Make(ReLU),)) for tail in tails]


def trained(cls: type) -> bool:
    """Whether a class is a layer that can be trained through, and no container."""
    return (
        issubclass(cls, Layer)
        and cls not in (Layer, Activation, *CONTAINERS)
        and (getattr(cls, "kind", None) is None or ACTIVATIONS[cls.kind].gradient is not None)
    )


def fits(cls: type, shape: Shape) -> bool:
    """Whether there is such a layer for inputs of this shape."""
    parameters = inspect.signature(cls).parameters.values()
    needed = {p.name: 4 for p in parameters if p.default is p.empty and p.kind != p.VAR_POSITIONAL}
    try:
        cls(**needed).output_shape(shape)
    except ValueError:
        return False
    return True


EXPORTED = [getattr(layers, name) for name in layers.__all__]
LAYERS = [Tanh, *(cls for cls in EXPORTED if isinstance(cls, type) and trained(cls))]
FITTING = {rank: [cls for cls in LAYERS if fits(cls, (4,) * rank)] for rank in (1, 2, 3)}
"""Layers for rows of numbers, and for examples that are matrices or images."""
SIZES = {1: [WIDTHS], 2: [WIDTHS] * 2, 3: [[4, 1, 3, 6, 9], [4, 1, 3, 5, 8], [3, 1, 2, 5, 8]]}
"""Inputs of each rank, along each axis."""


@st.composite
def one(draw: Any, shape: Shape, depth: int) -> tuple[Make, ...]:
    """A layer, or more where they belong together."""
    often = [Linear] * 6 if len(shape) == 1 else [Conv2d] * 9 if len(shape) == 3 else []
    containers = [*CONTAINERS] * (3 if depth else 0)
    cls = draw(st.sampled_from([*FITTING[len(shape)], *often, *containers]))
    if cls is Sequential:
        return (nested(draw(stacks(shape, 3, depth - 1, least=1))),)
    if cls is Residual:
        return (draw(residuals(shape, depth)),)
    if cls is Concat:
        return (draw(concats(shape, depth)),)
    made = make(draw, cls, layer_values(cls, shape), cls.options)
    if not possible(made, shape):
        made = Make(Identity)
    if made.cls is Conv2d:
        return draw(st.sampled_from(with_pooling(made, shape)))
    return (Make(Tanh), made) if cls is Exponential else (made,)  # finite


@st.composite
def stacks(draw: Any, shape: Shape, most: int, depth: int, least: int = 0) -> tuple[Make, ...]:
    """Layers one after the other, containers `depth` deep."""
    stack: tuple[Make, ...] = ()
    for _ in range(draw(st.integers(least, most))):
        found = draw(one(shape, depth))
        shape = shape_behind(found, shape)
        stack += found
    return stack


@st.composite
def residuals(draw: Any, shape: Shape, depth: int) -> Make:
    """Layers and a way around them, with a shortcut where they change the shape."""
    inner = draw(stacks(shape, 3, depth - 1, least=1))
    behind = shape_behind(inner, shape)
    if behind == shape:
        shortcuts = [None, Make(Tanh)]
        return Make(Residual, inner, (("shortcut", draw(st.sampled_from(shortcuts))),))
    if len(shape) == 3 and behind[:-1] == shape[:-1]:
        return Make(Residual, inner, (("shortcut", Make(Conv2d, (shape[2], behind[2], 1))),))
    inner += flattening(behind)
    width = shape_behind(inner, shape)[0]
    flat = flattening(shape)
    linear = Make(Linear, (shape_behind(flat, shape)[0], width))
    shortcut = nested((*flat, linear)) if flat else linear
    return Make(Residual, inner, (("shortcut", shortcut),))


@st.composite
def concats(draw: Any, shape: Shape, depth: int) -> Make:
    """Branches beside each other, all of them flat where they differ in more than the last axis."""
    branches = draw(st.lists(stacks(shape, 2, depth - 1), min_size=1, max_size=3))
    behind = [shape_behind(branch, shape) for branch in branches]
    if len({each[:-1] for each in behind}) > 1:
        branches = [b + flattening(each) for b, each in zip(branches, behind, strict=True)]
    return Make(Concat, tuple(_branch(b) for b in branches))


def _branch(stack: tuple[Make, ...]) -> Make:
    if len(stack) > 1:
        return nested(stack)
    return stack[0] if stack else Make(Identity)


def nested(stack: tuple[Make, ...]) -> Make:
    """Layers as a model of their own, with the same weights in every run."""
    return Make(Sequential, stack, (("seed", 1),))


def flattening(shape: Shape) -> tuple[Make, ...]:
    """What makes rows of such examples."""
    return (Make(Flatten),) if len(shape) > 1 else ()


def shape_behind(stack: tuple[Make, ...], shape: Shape) -> Shape:
    """Shape of an output for an input of this one."""
    for each in stack:
        shape = each().output_shape(shape)
    return shape


# ------------------------------------------------------------------ losses

TARGETS = {
    "SoftmaxCrossEntropy": "classes",
    "CategoricalCrossEntropy": "classes",
    "SigmoidCrossEntropy": "answers",
    "BinaryCrossEntropy": "answers",
    "MeanSquaredError": "numbers",
    "HalfSquaredError": "numbers",
    "HingeLoss": "signs",
    "HuberLoss": "numbers",
    "PoissonLoss": "answers",
}
BEFORE_LOSS = {
    "CategoricalCrossEntropy": (Make(Softmax),),
    "BinaryCrossEntropy": (Make(Sigmoid),),
}
"""Layers that a loss of probabilities needs in front."""
LOSS_VALUES = {"label_smoothing": [0.0, 0.1], "delta": [1e-2, 1.0]}


@st.composite
def losses(draw: Any) -> Make:
    """Any loss."""
    cls = draw(st.sampled_from([LOSS_CLASSES[name] for name in TARGETS]))
    return make(draw, cls, LOSS_VALUES, cls.options)


def targets(loss: type, rng: np.random.Generator, n: int, outputs: int, rows: bool) -> np.ndarray:
    """Targets that a loss takes; classes as labels or as `rows` of probabilities."""
    kind = TARGETS[loss.__name__]
    if kind == "classes":
        return rng.dirichlet(np.ones(outputs), n) if rows else rng.integers(0, outputs, n)
    if kind == "answers":
        return rng.random((n, outputs)) if rows else rng.integers(0, 2, (n, outputs))
    return rng.choice([-1, 1], (n, outputs)) if kind == "signs" else rng.normal(size=(n, outputs))


# ------------------------------------------------------------------ optimizers and schedules

OPTIMIZER_VALUES: dict[str, Any] = {
    "lr": [0.01, 0.001],
    "momentum": [0.0, 0.5, 0.9],
    "nesterov": [False, True],
    "weight_decay": [0.0, 0.1],
    "l1": [0.0, 0.01],
    "clip_norm": [None, 0.1],
    "eps": [0.01, 0.1],  # large: what should be 0 and is rounding stays small
    "alpha": [0.9, 0.5],
    "beta1": [0.9, 0.0],
    "beta2": [0.99, 0.9],
}


@st.composite
def optimizers(draw: Any) -> Make:
    """Any optimizer."""
    cls = draw(st.sampled_from([*OPTIMIZERS.values()]))
    made = make(draw, cls, OPTIMIZER_VALUES, cls.options)
    named = dict(made.named)
    if named.get("nesterov") and not named["momentum"]:
        named["momentum"] = 0.9
    return Make(cls, (), tuple(named.items()))


SCHEDULES = [cls for cls in schedules.SCHEDULES.values() if cls is not schedules.Missing]
SCHEDULE_VALUES: dict[str, Any] = {
    "every": [2, 1],
    "factor": [0.5],
    "scale": [5.0],
    "end": [0.1, 0.0],
    "updates": [2, 5],
    "then": [schedules.Constant(), schedules.Cosine(0.5)],
    "rise": [0.3],
    "divide": [5.0],
    "final_divide": [10.0],
}


@st.composite
def any_schedule(draw: Any) -> Make:
    """Any schedule."""
    cls: Any = draw(st.sampled_from(SCHEDULES))
    return make(draw, cls, SCHEDULE_VALUES, [field.name for field in fields(cls)])


AUGMENT_VALUES: dict[str, Any] = {
    **{"pixels": [1], "padding": [1], "size": [1], "p": [0.5, 1.0]},
    **{"degrees": [20.0, 180.0], "share": [0.2, 0.9]},
}


@st.composite
def augmentations(draw: Any, shape: Shape) -> tuple[Make, ...]:
    """Any changes of images of this shape, each once; often none."""
    if len(shape) < 2 or not draw(st.booleans()):
        return ()
    seen = min(shape[:2]) > 1  # smaller ones would be moved out of sight
    classes: list[Any] = [
        cls for cls in AUGMENTATIONS.values() if seen or cls.change not in ("shift", "cutout")
    ]
    chosen = draw(st.lists(st.sampled_from(classes), unique_by=lambda cls: cls.change))
    return tuple(make(draw, cls, AUGMENT_VALUES, [f.name for f in fields(cls)]) for cls in chosen)
