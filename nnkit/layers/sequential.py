"""Sequential: a stack of layers, and the model that is trained, moved and saved."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from os import PathLike
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np

from nnkit import checkpoint
from nnkit.backends import Array, Backend, get_backend
from nnkit.dtypes import of_network
from nnkit.files.checking import make
from nnkit.given.options import flag, integer
from nnkit.layers.base import Layer, Step, fill
from nnkit.layers.chain import Chain
from nnkit.layers.inputs import Inputs
from nnkit.layers.named import as_layer
from nnkit.layers.seeds import new_seed
from nnkit.layers.shapes import last, named, through
from nnkit.layers.workspace import Pass, Share, Workspace
from nnkit.parameters import Memory, Run, find_runs
from nnkit.showing import html
from nnkit.showing.words import block

if TYPE_CHECKING:
    from nnkit.layers.typed import SomeLayer

NEXT_KEY = 0x9E3779B97F4A7C15
"""What the keys of two stochastic layers, one behind the other, differ by: 2^64 over the golden
ratio (Knuth, The Art of Computer Programming 3, 6.4)."""


class Sequential(Layer):
    """Layers applied one after the other.

    It is a list of layers, too: ``model[0]``, ``model[:2]``, ``model[1] = Tanh()``, `append`,
    `insert`, `pop`. A part, ``model[:2]``, is a model that shares its layers with the whole.

    Parameters
    ----------
    layers
        The layers in order; a Sequential may be one of them, and an activation a name of
        `nnkit.activations`, such as "relu". What was built before keeps its
        values, a trained model for instance, and may go on being used: layers that two models share
        have one value, which training either changes.
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

    The model starts in evaluation mode; `Trainer.fit` switches to training and back. A loop of your
    own calls `train` first: `Optimizer.step` warns where it matters and nobody has. Setting
    `debug` to True makes the forward pass name the first layer whose output is not finite. Threads
    may share a model: one waits while another computes with it.

    Raises ValueError where the widths or channels of neighbouring layers do not fit, and for an
    unknown name; TypeError for what is no layer.
    """

    capturable = True

    _inputs = Inputs()

    def __init__(
        self,
        *layers: Layer | str,
        seed: int | None = None,
        dtype: str = "float32",
        backend: str | Backend | None = None,
        fuse: bool = True,
    ) -> None:
        self.seed = integer().checked("Sequential: seed", new_seed() if seed is None else seed)
        self.fused = flag().checked("Sequential: fuse", fuse)
        self.debug = False
        self.counters: Array = None
        self._layers: tuple[Layer, ...] = ()
        target = get_backend(backend)
        self._rebuild(layers, target, of_network(dtype, target.name, target.dtypes))

    # ------------------------------------------------------------------ building

    def _rebuild(self, layers: Iterable[Layer | str], backend: Backend, dtype: Any) -> None:
        """Have these layers; where they do not go together, raise and have those before."""
        wanted = tuple(as_layer("Sequential", layer) for layer in layers)
        if not wanted:
            raise ValueError("Sequential needs at least one layer")
        for layer in wanted:
            if any(inner is self for _, inner in layer.walk()):
                raise ValueError("a Sequential cannot be inside itself")
        before, self._layers = self._layers, wanted
        try:
            self.build(backend, dtype, self.seed, self.fused)
        except BaseException:
            self._layers = before
            if before:
                self.build(self.backend, self.dtype, self.seed, self.fused)
            raise

    def build(self, backend: Backend, dtype: Any, seed: int, fuse: bool = True) -> None:
        """Put the model on a backend, its layers too, with values for all parameters."""
        list(self.shapes(None))
        super().build(backend, dtype, seed, fuse)
        self._built = [layer for _, layer in self.walk()]
        stochastic = (layer for layer in self._built if layer.stochastic)
        self._keys = [
            (layer, (self.seed + i * NEXT_KEY) % 2**64) for i, layer in enumerate(stochastic)
        ]
        if self.counters is None:
            self.counters = backend.zeros(3, np.int64)

    def plan(self, fuse: bool) -> None:
        """Pair the layers that are one operation together."""
        self._chain = Chain(self, self.children(), fuse)

    def opened(self, path: str) -> list[tuple[str, Layer]]:
        """Our layers, in the place of this one."""
        return [x for name, layer in self.children() for x in layer.opened(f"{path}.{name}")]

    def attach(self, backend: Backend, dtype: Any) -> None:
        """Compute on `backend` in `dtype` from now on."""
        if self.counters is not None and self._backend is not backend:
            self.counters = backend.asarray(self._counters_on_host())
        super().attach(backend, dtype)

    def _counters_on_host(self) -> np.ndarray[Any, Any]:
        assert self._backend is not None
        return self._backend.to_numpy(self.counters).copy()

    # ------------------------------------------------------------------ a list of layers

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order. To change them: ``model[i] = layer``, `append`, `insert`, `pop`."""
        return self._layers

    def sublayers(self) -> Mapping[str, Layer]:
        """The layers, numbered."""
        return {str(i): layer for i, layer in enumerate(self._layers)}

    def append(self, layer: Layer | str) -> None:
        """Add a layer at the end. A change that does not fit raises ValueError, and is not made."""
        self._change([*self._layers, layer])

    def insert(self, index: int, layer: Layer | str) -> None:
        """Add a layer in front of another."""
        layers: list[Layer | str] = [*self._layers]
        layers.insert(index, layer)
        self._change(layers)

    def pop(self, index: int = -1) -> Layer:
        """Take a layer out, and return it."""
        layers = [*self._layers]
        layer = layers.pop(index)
        self._change(layers)
        return layer

    def __setitem__(self, index: int, layer: Layer | str) -> None:
        layers: list[Layer | str] = [*self._layers]
        layers[operator.index(index)] = layer
        self._change(layers)

    def __delitem__(self, index: int) -> None:
        self.pop(index)

    def _change(self, layers: Iterable[Layer | str]) -> None:
        with self.held():
            before = {layer for _, layer in self.walk()}
            self._rebuild(layers, self.backend, self.dtype)
            for _, layer in self.walk():
                if layer not in before:
                    layer.training = self.training

    @overload
    def __getitem__(self, index: int) -> SomeLayer: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Any:
        if not isinstance(index, slice):
            return self._layers[operator.index(index)]
        part = Sequential(
            *self._layers[index],
            seed=self.seed,
            dtype=self.dtype.name,
            backend=self.backend,
            fuse=self.fused,
        )
        part.training, part.mode_chosen = self.training, self.mode_chosen
        if part[0] is self[0]:
            part.inputs = self.inputs
        return part

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    # ------------------------------------------------------------------ computing

    def forward(self, x: Any) -> Array:
        """Outputs for x of shape (n, ...), a new array on the model's backend.

        NumPy arrays and sequences are moved. They are scaled as they were where the model was
        fitted; a model that never was scales uint8 if it looks like images, see `Trainer.fit`.
        Raises ValueError for a shape that does not fit, naming the layer.
        """
        with self.held():
            if self._pass is not None:  # inside a layer of another model, which computes
                return self._chain.forward(x)
            mark = object()
            with self.using(None, mark):
                y = self.run_forward(self._checked(x))
            self._last = threading.get_ident(), mark, y.shape
            return y

    def backward(self, dy: Any) -> Array:
        """Overwrite all gradients from dy, the loss's gradient by the outputs; return dx.

        Raises RuntimeError where there was no forward pass, or something else has been computed
        with one of the layers since; ValueError where dy has not the outputs' shape.
        """
        with self.held():
            if self._pass is not None:
                return self._chain.backward(dy, self.input_gradient)
            if self._last is None:
                raise RuntimeError("call forward before backward")
            thread, mark, shape = self._last
            dy = self.backend.asarray(dy, self.dtype)
            if dy.shape != shape:
                raise ValueError(f"dy has shape {dy.shape}, but the outputs {shape}")
            for path, layer in self.walk():
                if layer._computed is not mark or thread != threading.get_ident():
                    raise RuntimeError(
                        f"layer {path or '0'} has computed something else since this model's "
                        "forward pass: call forward again before backward"
                    )
            with self.using(None, mark):
                return self.run_backward(dy)

    _last: tuple[int, object, tuple[int, ...]] | None = None
    """Thread, mark and output shape of the last forward pass."""

    def __call__(self, x: Any) -> np.ndarray[Any, Any]:
        """Compute the outputs: the same as `forward`.

        Type checkers take them for NumPy's; on the cupy backend they are CuPy's, alike in use.
        """
        y: np.ndarray[Any, Any] = self.forward(x)
        return y

    @property
    def inputs(self) -> Inputs:
        """What the model was fitted on, and what its inputs are multiplied by; files keep it.

        It is one with that of the first layer, if that is a Sequential.
        """
        first = self._layers[0]
        return first.inputs if isinstance(first, Sequential) else self._inputs

    @inputs.setter
    def inputs(self, inputs: Inputs) -> None:
        self._inputs = inputs
        if isinstance(self._layers[0], Sequential):
            self._layers[0].inputs = inputs

    def _factor(self, array: Array) -> float:
        """What to multiply an input by: as it was where the model was fitted."""
        self.inputs = self.inputs.having_seen(array)
        return self.inputs.factor(array)

    def run_forward(self, x: Array) -> Array:
        """Forward pass of checked input, `using` some workspace."""
        if any(layer.training for layer, _ in self._keys):
            self.backend.advance(self.counters, 0, 0, 1)
        return self._chain.forward(x)

    def run_backward(self, dy: Array) -> Array:
        """Backward pass, `using` some workspace."""
        wanted = self._pass is None or self._pass.workspace is None
        return self._chain.backward(dy, wanted)

    @contextmanager
    def using(
        self, workspace: Workspace | None, mark: object = None, share: Share | None = None
    ) -> Iterator[None]:
        """Take output arrays from `workspace` (None: make new ones) inside a ``with`` block.

        Other threads wait. With a workspace the first layer computes no dx, which training does not
        need. `mark` is left in the layers, to know whether they have been used since. `share` says
        which part of a batch the passes are of, where other ranks have the rest.
        """
        with self.held():
            self.settle()
            now = Pass(workspace, self.debug, share)
            for layer in self._built:
                layer._pass, layer._computed = now, mark
            for layer, key in self._keys:
                layer.draw_from(key, self.counters)
            try:
                yield
            finally:
                for layer in self._built:
                    layer._pass = None

    def settle(self) -> None:
        """Take note of changes inside our layers; refuse those that went to another backend."""
        walked = [*self.walk()]
        if [layer for _, layer in walked] != self._built:
            self.build(self.backend, self.dtype, self.seed, self.fused)
            walked = [*self.walk()]
        for path, layer in walked:
            if layer._backend is not self._backend or layer._dtype != self._dtype:
                raise RuntimeError(
                    f"layer {path} is in another model too, and moved with it to "
                    f"{layer.dtype.name} on {layer.backend.name}: move this model as well, with "
                    f"model.to({layer.backend.name!r})"
                )

    # ------------------------------------------------------------------ modes, places, shapes

    def train(self, mode: bool = True) -> Sequential:
        """Switch to training mode (dropout works); returns the model."""
        super().train(mode)
        self.mode_chosen = True
        return self

    mode_chosen = False
    """Whether somebody has called `train` or `eval`."""

    def eval(self) -> Sequential:
        """Switch to evaluation mode; returns the model."""
        return self.train(False)

    def to(self, backend: str | Backend) -> Sequential:
        """Move the model to another backend, in place; returns the model."""
        target = get_backend(backend)
        with self.held():
            self.build(
                target, of_network(self.dtype, target.name, target.dtypes), self.seed, self.fused
            )
        return self

    def shapes(
        self, shape: tuple[int, ...] | None, path: str = ""
    ) -> Iterator[tuple[str, Layer, tuple[int, ...] | None]]:
        """The layers inside, with the shape of one output for an input of `shape`."""
        for name, layer, given, _ in through(self.children(), shape):
            try:
                yield from layer.shapes(given, f"{path}.{name}" if path else name)
            except ValueError as error:
                raise named(error, name) from None

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one output for that of one input; raises ValueError naming the layer."""
        return last(self.children(), shape)

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """That of the first layer."""
        return self._layers[0].input_shape

    @property
    def pattern(self) -> tuple[int, ...] | None:
        """That of the first layer."""
        return self._layers[0].pattern

    # ------------------------------------------------------------------ memory

    def runs(self) -> list[Run]:
        """Where the parameters lie: contiguous runs of values and gradients, usually one."""
        self.settle()
        return find_runs(self.parameters())

    @property
    def flat(self) -> Run:
        """All values, and all gradients, in one array each: ``model.flat.values``.

        Raises RuntimeError where they lie in several runs, because some are another model's too.
        """
        runs = self.runs() or [Run(Memory(self.backend, 0, self.dtype), 0, 0)]
        if len(runs) > 1:
            raise RuntimeError(
                f"this model shares layers with another, so that its parameters lie in {len(runs)} "
                "runs: use model.runs()"
            )
        return runs[0]

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.size for p in self.parameters())

    @property
    def out_features(self) -> int | None:
        """Width of the outputs, where a layer determines it."""
        shape: tuple[int, ...] | None = None
        for layer in self._layers:
            shape = layer.input_shape if shape is None else shape
            shape = None if shape is None else layer.output_shape(shape)
        return shape[0] if shape is not None and len(shape) == 1 else None

    @property
    def steps(self) -> list[Step]:
        """The layers as they are carried out, those fused that are one operation together."""
        return self._chain.steps

    def leaves(self) -> list[Layer]:
        """All layers inside, nested models opened."""
        return [layer for _, layer in self.walk() if not isinstance(layer, Sequential)]

    # ------------------------------------------------------------------ values and files

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies, on the host, of all that training changes: parameters, buffers, counters."""
        return super().state() | {"counters": self._counters_on_host()}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take over what `state` gave, with or without the counters, on any backend.

        Raises ValueError, before anything is changed, where a name or a shape differs.
        """
        arrays = dict(state)
        counters = arrays.pop("counters", None)
        super().restore(arrays)
        if counters is not None:
            fill(self.backend, {"counters": self.counters}, {"counters": counters})

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("_chain", "_built", "_keys", "_last"):
            state.pop(name, None)
        return state | {"counters": self._counters_on_host()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.counters = self.backend.asarray(self.counters)
        self.build(self.backend, self.dtype, self.seed, self.fused)

    def config(self) -> dict[str, Any]:
        """Everything but the weights, as JSON can hold it."""
        return {
            "class": "Sequential",
            "layers": [layer.config() for layer in self._layers],
            "seed": self.seed,
            "dtype": self.dtype.name,
            "fuse": self.fused,
            "frozen": [name for name, p in self.named_parameters() if p.frozen],
            "inputs": asdict(self.inputs),
        }

    @classmethod
    def from_config(
        cls, arguments: dict[str, Any], backend: str | Backend | None = "numpy"
    ) -> Sequential:
        """Make a model of the arguments that `config` gave."""
        options = dict(arguments)
        layers, frozen = options.pop("layers"), options.pop("frozen", ())
        inputs = options.pop("inputs", {})
        model = cls(*layers, backend=backend, **options)
        for name, parameter in model.named_parameters():
            parameter.frozen = name in frozen
        model.inputs = make(Inputs, inputs)
        return model

    def summary(self, shape: tuple[int, ...] | None = None) -> str:
        """Table of layers, output shapes and parameter counts, as text to print.

        `shape` is that of one input, for a model whose layers do not determine it: (32, 32, 3).
        Raises ValueError where it does not fit, naming the layer.
        """
        rows = self._table(shape)
        first, second, third = (max(len(row[i]) for row in rows) for i in range(3))
        lines = [f"{a:<{first}}  {b:<{second}}  {c:>{third}}" for a, b, c in rows]
        return "\n".join([*lines, self._place()])

    def _table(self, inputs: tuple[int, ...] | None = None) -> list[tuple[str, str, str]]:
        rows = [("layer", "output", "parameters")]
        for name, layer, shape in self.shapes(inputs):
            output = "(n, ...)" if shape is None else f"({', '.join(map(str, ('n', *shape)))})"
            count = sum(p.size for p in layer.own_parameters().values())
            rows.append((f"{name}: {layer.title}", output, f"{count:,}"))
        return [*rows, ("total", "", f"{self.n_parameters:,}")]

    def _place(self) -> str:
        return f"{self.dtype.name} on {self.backend.name}"

    def _repr_html_(self) -> str:
        header, *rows = self._table()
        return html.table(header, rows, f"Sequential, {self._place()}")

    def save(self, path: str | PathLike[str]) -> None:
        """Write weights and configuration to a safetensors file, atomically; see `nnkit.load`."""
        with self.held():
            checkpoint.write(path, {"model": super().state()}, {"model": self.config()})

    def load_weights(
        self,
        path: str | PathLike[str] | Mapping[str, Any] | Sequence[Any],
        layout: str = "nnkit",
        names: Iterable[str] | None = None,
    ) -> None:
        """Read a file's weights into this model, and what it was fitted on.

        Parameters
        ----------
        path
            The file. For "torch" it may be a state dictionary; for "keras" it is the list that
            Keras's ``get_weights`` returns.
        layout
            "nnkit" for a file of `save`; "torch" for a safetensors file of PyTorch's
            ``net.state_dict()``, "keras" for Keras's weights. Axes are turned, and rows behind
            `Flatten` put into order, so that the model gives what theirs does.
        names
            For "torch": names of the file's tensors in the order of this model's layers. Without
            them those called as here are taken; where none are, layers alike go by their numbers.

        Raises CheckpointError for a file of another network, ValueError for such arrays.
        """
        from nnkit.layers import exchange  # which few programs need

        exchange.check(layout, names, path)
        if layout != "nnkit":
            with self.held():
                self.settle()
                self.restore(exchange.load(self, path, layout, names))
            return
        path = cast("str | PathLike[str]", path)
        tensors, config = checkpoint.read(path)
        weights = {name: x for name, x in tensors.get("model", {}).items() if name != "counters"}
        with checkpoint.damaged(path, "its model cannot be read"):
            inputs = make(Inputs, config["model"].get("inputs", {}))
        with checkpoint.another_network(path):
            self.restore(weights)
        self.inputs = inputs

    def save_weights(
        self, path: str | PathLike[str], layout: str = "nnkit", names: Iterable[str] | None = None
    ) -> None:
        """Write the weights for another library, atomically; "nnkit" is what `save` writes.

        "torch" is a safetensors file: ``net.load_state_dict(safetensors.torch.load_file(path))``
        takes it, and `names`, that ``net.state_dict()`` or its names, has the tensors called so.
        "keras" is an .npz file, for ``net.set_weights([*np.load(path).values()])``.
        """
        from nnkit.layers import exchange  # which few programs need

        exchange.check(layout, names)
        if layout == "nnkit":
            self.save(path)
            return
        with self.held():
            self.settle()
            exchange.save(self, path, layout, names)

    def __repr__(self) -> str:
        return block("Sequential", ((name, repr(layer)) for name, layer in self.children()))
