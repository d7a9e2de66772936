"""Sequential: a stack of layers with all parameters in one flat buffer."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import prod
from os import PathLike
from typing import Any

import numpy as np

from nnkit import initializers
from nnkit.backends import Array, Backend, get_backend
from nnkit.dtypes import as_arithmetic, of_network
from nnkit.layers import Dropout, Layer, Linear, Maxout, Workspace, fuse
from nnkit.parameters import FlatBuffer, Parameter, initialize


class Sequential(Layer):
    """Layers applied one after the other.

    Parameters
    ----------
    layers
        The layers in order; a Sequential may be one of them. What was built before keeps its
        values, a trained model for instance; it then belongs to this one.
    seed
        Seed of the initial weights and of dropout; None draws one (kept as `seed`).
    dtype
        "float32" or "float64". On the cupy backend also "float16" and "bfloat16": parameters and
        activations are stored in 16 bits, arithmetic and the optimizer's state are float32.
    backend
        Name of the backend to build on; None is the current one.
    fuse
        Carry out each `Linear` and the activation behind it as one operation. Off, every layer
        runs by itself: the baseline that benchmarks compare with.

    The model starts in evaluation mode; `Trainer.fit` switches to training and back. Setting
    `debug` to True makes the forward pass name the first layer whose output is not finite.

    Raises ValueError where the widths of neighbouring layers do not fit.
    """

    def __init__(
        self,
        *layers: Layer,
        seed: int | None = None,
        dtype: str = "float32",
        backend: str | Backend | None = None,
        fuse: bool = True,
    ) -> None:
        if not layers:
            raise ValueError("Sequential needs at least one layer")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential takes layers, not {layer!r}")
        self.layers = list(layers)
        self.seed = int(np.random.SeedSequence().entropy) % 2**63 if seed is None else int(seed)  # type: ignore[arg-type]
        self.fused = fuse
        self.debug = False
        self._output_shape: tuple[int, ...] | None = None
        self._check_distinct()
        list(self._shapes())
        self._choose_initializers()
        target = get_backend(backend)
        self.attach(target, of_network(dtype, target.name, target.dtypes))
        self._plan()
        kept = [(p, p.to_numpy()) for p in self.parameters() if p.value is not None]
        new = [p for p in self.parameters() if p.value is None]
        self._allocate()
        initialize(new, self.seed % 2**64)
        for p, value in kept:
            p.value = value

    # ------------------------------------------------------------------ building

    def _check_distinct(self) -> None:
        """A layer keeps what its backward pass needs, so it can be in one place only."""
        names: dict[int, str] = {}
        for name, layer in self._leaves():
            if id(layer) in names:
                raise ValueError(
                    f"layer {name} is layer {names[id(layer)]} again: make a second {layer!r}"
                )
            names[id(layer)] = name

    def _shapes(
        self, shape: tuple[int, ...] | None = None
    ) -> Iterator[tuple[str, Layer, tuple[int, ...] | None]]:
        """Each layer with its name and the shape of one output, None while nothing determines it.

        `shape` is that of one input. Raises ValueError, naming the layer, where it does not fit.
        """
        for name, layer in self._leaves():
            if shape is None and isinstance(layer, Linear | Maxout):
                shape = (layer.in_features,)
            if shape is not None:
                try:
                    shape = layer.output_shape(shape)
                except ValueError as error:
                    raise ValueError(f"layer {name}: {error}") from None
            yield name, layer, shape

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one output for that of one input; raises ValueError naming the layer."""
        *_, (_, _, last) = self._shapes(shape)
        assert last is not None
        return last

    def _choose_initializers(self) -> None:
        """Give a Linear without a chosen initialiser the one that suits its activation."""
        leaves = self.leaves()
        for layer, behind in pairwise(leaves):
            if isinstance(layer, Linear) and layer.default_init and behind.suits is not None:
                layer.W.init = initializers.get(behind.suits)

    def _plan(self) -> None:
        leaves = self.leaves()
        self.plan = fuse(leaves) if self.fused else leaves
        for layer in self.plan:
            layer.attach(self.backend, self.dtype)
        self.stochastic = any(layer.stochastic for layer in self.plan)  # type: ignore[misc]

    def _allocate(self) -> None:
        self.flat = FlatBuffer(self.parameters(), self.backend, self.dtype)
        self.counters = self.backend.zeros(3, np.int64)
        for i, layer in enumerate(self.plan):
            if isinstance(layer, Dropout):
                layer.seed((self.seed + i * 0x9E3779B97F4A7C15) % 2**64, self.counters)

    def leaves(self) -> list[Layer]:
        """All layers that compute, those of nested models among them."""
        return [layer for _, layer in self._leaves()]

    def _leaves(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """All layers that compute, nested models opened, with names such as "2" or "0.1"."""
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Sequential):
                yield from layer._leaves(f"{prefix}{i}.")
            else:
                yield f"{prefix}{i}", layer

    def _place(self, planned: Layer) -> str:
        """Name and description of a layer of the plan, or of the layers fused in it."""
        parts = planned.sublayers() or [planned]
        return " + ".join(
            f"{name}: {layer!r}" for name, layer in self._leaves() if any(p is layer for p in parts)
        )

    # ------------------------------------------------------------------ computing

    def forward(self, x: Any) -> Array:
        """Outputs for x of shape (n, ...), a new array on the model's backend.

        NumPy arrays and sequences are moved; uint8 means image bytes and is scaled to 0..1.
        Raises ValueError for a shape that does not fit, naming the layer.
        """
        array = self._checked(x)
        with self.using(None):
            y = self.run_forward(array)
        self._output_shape = y.shape
        return y

    def backward(self, dy: Any) -> Array:
        """Overwrite all gradients from dy, the loss's gradient by the outputs; return dx.

        Raises RuntimeError before a forward pass, ValueError where dy has not the outputs' shape.
        """
        dy = self.backend.asarray(dy, self.dtype)
        if self._output_shape is None:
            raise RuntimeError("call forward before backward")
        if dy.shape != self._output_shape:
            raise ValueError(f"dy has shape {dy.shape}, but the outputs {self._output_shape}")
        with self.using(None):
            return self.run_backward(dy)

    def __call__(self, x: Any) -> Array:
        """Compute the outputs: the same as `forward`."""
        return self.forward(x)

    def run_forward(self, x: Array) -> Array:
        """Forward pass of checked input, into the workspace in use."""
        if self.training and self.stochastic:
            self.backend.advance(self.counters, 0, 0, 1)
        for layer in self.plan:
            try:
                x = layer.forward(x)
            except Exception as error:
                error.add_note(f"layer {self._place(layer)}")
                raise
            if self.debug and not bool(self.xp.isfinite(as_arithmetic(x)).all()):
                raise FloatingPointError(
                    f"NaN or infinity first comes out of layer {self._place(layer)}"
                )
        return x

    def run_backward(self, dy: Array) -> Array:
        """Backward pass, into the workspace in use."""
        for layer in reversed(self.plan):
            try:
                dy = layer.backward(dy)
            except Exception as error:
                error.add_note(f"layer {self._place(layer)}, backward")
                raise
        return dy

    @contextmanager
    def using(self, workspace: Workspace | None) -> Iterator[None]:
        """Take output arrays from `workspace` (None: make new ones) inside a ``with`` block.

        With a workspace the first layer computes no dx, which training does not need.
        """
        previous = self._workspace
        self._use(workspace)
        try:
            yield
        finally:
            self._use(previous)

    def _use(self, workspace: Workspace | None) -> None:
        if workspace is self._workspace:
            return
        self._workspace = workspace
        for layer in self.plan:
            layer._workspace = workspace
        self.plan[0].input_gradient = workspace is None

    # ------------------------------------------------------------------ modes, places, names

    def train(self, mode: bool = True) -> Sequential:
        """Switch to training mode (dropout works); returns the model."""
        self.training = mode
        for layer in self.plan:
            layer.training = mode
        return self

    def eval(self) -> Sequential:
        """Switch to evaluation mode; returns the model."""
        return self.train(False)

    def to(self, backend: str | Backend) -> Sequential:
        """Move the model to another backend, in place; returns the model."""
        target = get_backend(backend)
        if target is not self.backend:
            dtype = of_network(self.dtype, target.name, target.dtypes)
            values = self.backend.to_numpy(self.flat.values)
            counters = self.backend.to_numpy(self.counters)
            self.attach(target, dtype)
            self._plan()
            self._allocate()
            self.flat.values[...] = target.asarray(values)
            self.counters[...] = target.asarray(counters)
            self.train(self.training)
        return self

    def sublayers(self) -> list[Layer]:
        """Return the layers."""
        return self.layers

    def __getitem__(self, index: int) -> Layer:
        return self.layers[operator.index(index)]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Names such as "0.weight" with their parameters (`.value`, `.grad`)."""
        for name, layer in self._leaves():
            for own, parameter in layer.own_parameters().items():
                yield f"{name}.{own}", parameter

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """Names such as "1.running_mean" with arrays that are kept but not trained."""
        for name, layer in self._leaves():
            for own, array in layer.buffers().items():
                yield f"{name}.{own}", array

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(prod(p.shape) for p in self.parameters())

    @property
    def out_features(self) -> int | None:
        """Width of the outputs, where a Linear determines it."""
        layers = (layer for layer in self.leaves() if isinstance(layer, Linear | Maxout))
        widths = [layer.out_features for layer in layers]
        return widths[-1] if widths else None

    def config(self) -> dict[str, Any]:
        """Everything but the weights, as JSON can hold it."""
        return {
            "class": "Sequential",
            "layers": [layer.config() for layer in self.layers],
            "seed": self.seed,
            "dtype": self.dtype.name,
            "fuse": self.fused,
            "frozen": [name for name, p in self.named_parameters() if p.frozen],
        }

    def summary(self) -> str:
        """Table of layers, output shapes and parameter counts, as text to print."""
        rows = [("layer", "output", "parameters")]
        for name, layer, shape in self._shapes():
            output = "(n, ...)" if shape is None else f"({', '.join(map(str, ('n', *shape)))})"
            count = sum(prod(p.shape) for p in layer.own_parameters().values())
            rows.append((f"{name}: {layer!r}", output, f"{count:,}"))
        rows.append(("total", "", f"{self.n_parameters:,}"))
        first, second, third = (max(len(row[i]) for row in rows) for i in range(3))
        lines = [f"{a:<{first}}  {b:<{second}}  {c:>{third}}" for a, b, c in rows]
        note = f"{self.dtype.name} on {self.backend.name}"
        return "\n".join([*lines, note])

    def save(self, path: str | PathLike[str]) -> None:
        """Write weights and configuration to a safetensors file, atomically; see `nnkit.load`."""
        from nnkit.checkpoint import save_model

        save_model(self, path)

    def load_weights(self, path: str | PathLike[str]) -> None:
        """Read a file's weights into this model; raises CheckpointError for another network."""
        from nnkit.checkpoint import load_weights

        load_weights(self, path)

    def __repr__(self) -> str:
        inner = "".join(f"  {i}: {layer!r}\n" for i, layer in enumerate(self.layers))
        return f"Sequential(\n{inner})"
