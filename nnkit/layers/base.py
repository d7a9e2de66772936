"""What a layer is: forward, backward, and perhaps parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Protocol

import numpy as np

from nnkit.backends import Array, Backend, current_backend
from nnkit.configured import Configured
from nnkit.dtypes import arithmetic, as_reals, is_number, is_real
from nnkit.given.meanings import Meaning
from nnkit.layers.inputs import Inputs
from nnkit.layers.workspace import Guard, Pass, Share
from nnkit.parameters import Parameter, bring_together, initialize


class Step(Protocol):
    """What a chain carries out: a layer, or several fused to one."""

    input_gradient: bool

    def forward(self, x: Array) -> Array: ...  # noqa: D102

    def backward(self, dy: Array) -> Array: ...  # noqa: D102

    def fused_with(self, behind: Layer) -> Step | None: ...  # noqa: D102


NO_LAYERS = frozenset((bool, int, float, str, type(None), np.ndarray, Parameter))
"""What most attributes are: known by their type, so that walking through layers is quick."""


class Layer(Configured):
    """One stage of a network.

    A subclass writes `forward` and `backward` in operations of `self.backend` or in plain array
    code of `self.xp`, and keeps what the backward pass needs as attributes. Attributes that are
    `Parameter` objects are trained; `backward` overwrites their `grad`. Attributes that are layers,
    or lists of them, are its sublayers: `forward` calls theirs.

    To be saved in a checkpoint, a layer's constructor arguments must be attributes of the same
    names, listed in `options`. It can be copied and pickled as it is. What a copy leaves out are
    arrays that were not there when the layer was put into a model: those that passes keep.
    """

    stochastic: ClassVar[bool] = False
    """Whether the forward pass in training draws random numbers: see `draw_from`."""

    capturable: ClassVar[bool] = False
    """Whether both passes do nothing but call operations of `self.backend` on arrays made with
    `new`, parameters and the arrays given: then a training step through the layer can be captured
    and replayed. Not inherited: a class says so itself."""

    buffer_names: ClassVar[tuple[str, ...]] = ()
    """Attributes that are arrays and change in training without gradients, such as running means.
    They are kept in checkpoints, and `attach` moves them; a constructor makes them with NumPy."""

    gives: ClassVar[Meaning | None] = None
    """What its outputs mean to a loss; None where that cannot be said."""

    least_rows: ClassVar[int] = 1
    """Rows that a batch must have in training."""

    training = False
    input_gradient = True
    """Whether `backward` must return dx; the trainer needs none from the first layer."""
    _backend: Backend | None = None
    _dtype: Any = None
    _pass: Pass | None = None
    """The pass of a model that this layer takes part in now."""
    _computed: object = None
    """Marks the forward pass that the layer took part in last."""
    _guard: Guard | None = None
    _fits = 0
    """Training runs that the layer is in."""
    _mode_before = False
    """Its mode before the first of them."""
    _at_first: Mapping[str, bool] = {}
    """Attributes that it had when it was attached first, and whether each held arrays."""

    # ------------------------------------------------------------------ for subclasses

    def forward(self, x: Array) -> Array:
        """Compute y from x of shape (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def backward(self, dy: Array) -> Array:
        """Compute dx, the gradient of the loss by the last x, from dy, that by the last y."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one output example for that of one input; raises ValueError if it is unfit."""
        return shape

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of one input example, where the layer determines it."""
        return None

    @property
    def pattern(self) -> tuple[int, ...] | None:
        """As `input_shape`, also where the layer leaves some sizes `nnkit.layers.shapes.Open`."""
        return self.input_shape

    def sublayers(self) -> Mapping[str, Layer] | Sequence[Layer]:
        """Layers inside this one, in order, by name or numbered.

        By default the attributes that are layers or lists of layers, under their names.
        """
        found: dict[str, Layer] = {}
        for name, value in vars(self).items():
            kind = type(value)
            if kind in NO_LAYERS:
                continue
            if isinstance(value, Layer):
                found[name] = value
            elif kind in (list, tuple):
                found |= {f"{name}.{i}": x for i, x in enumerate(value) if isinstance(x, Layer)}
        return found

    def plan(self, fuse: bool) -> None:
        """Prepare how sublayers are carried out; called when a model is built around the layer."""

    def fused_with(self, behind: Layer) -> Step | None:
        """One operation for this layer and the one behind it, if there is one."""
        return None

    def opened(self, path: str) -> list[tuple[str, Layer]]:
        """The layers, with their paths, that a chain carries out in the place of this one."""
        return [(path, self)]

    def suit(self, behind: Layer) -> None:
        """Choose initial values that suit the layer right behind this one."""

    def draw_from(self, key: int, counters: Array) -> None:
        """Draw random numbers from this 64-bit key and the model's counters.

        Called on `stochastic` layers before each pass; see `Backend.dropout`.
        """

    @property
    def share(self) -> Share | None:
        """Which part of the batch this pass is of; None where no other rank has any."""
        return None if self._pass is None else self._pass.share

    def new(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Make an output array; during `fit` it is the trainer's preallocated one."""
        dtype = self.dtype if dtype is None else dtype
        if self._pass is None or self._pass.workspace is None:
            return self.backend.empty(shape, dtype)
        return self._pass.workspace.get(self, name, shape, dtype, self.backend)

    @property
    def suits(self) -> str | None:
        """Initialiser that suits a `Linear` right in front of this layer, if one does."""
        return None

    @property
    def backend(self) -> Backend:
        """The backend this layer computes on, its model's or else the current one."""
        return self._backend or current_backend()

    @property
    def xp(self) -> Any:
        """The backend's array namespace, numpy or cupy."""
        return self.backend.xp

    @property
    def dtype(self) -> Any:
        """The real dtype this layer computes in."""
        return self._dtype or np.dtype(np.float32)

    # ------------------------------------------------------------------ the tree

    def walk(self, path: str = "") -> Iterator[tuple[str, Layer]]:
        """Go through this layer and all inside it, with paths such as "0.1", the outer ones first.

        Whatever is done to all layers is done along this walk.
        """
        yield path, self
        for name, layer in self.children():
            yield from layer.walk(f"{path}.{name}" if path else name)

    def children(self) -> list[tuple[str, Layer]]:
        """The sublayers with their names."""
        layers = self.sublayers()
        if isinstance(layers, Mapping):
            return list(layers.items())
        return [(str(i), layer) for i, layer in enumerate(layers)]

    def own_parameters(self) -> dict[str, Parameter]:
        """Parameters that are attributes of this very layer, by name."""
        return {name: p for name, p in vars(self).items() if isinstance(p, Parameter)}

    def own_buffers(self) -> dict[str, Array]:
        """Arrays of this very layer that are kept but not trained, by name."""
        return {name: getattr(self, name) for name in self.buffer_names}

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Names such as "0.weight" with their parameters (`.value`, `.grad`)."""
        for path, layer in self.walk():
            for own, parameter in layer.own_parameters().items():
                yield f"{path}.{own}" if path else own, parameter

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """Names such as "1.running_mean" with arrays that are kept but not trained."""
        for path, layer in self.walk():
            for own, array in layer.own_buffers().items():
                yield f"{path}.{own}" if path else own, array

    def parameters(self) -> list[Parameter]:
        """All parameters, those of sublayers too."""
        return [p for _, p in self.named_parameters()]

    def shapes(
        self, shape: tuple[int, ...] | None, path: str = ""
    ) -> Iterator[tuple[str, Layer, tuple[int, ...] | None]]:
        """Each layer of the walk with the shape of one output, for one input of `shape`.

        None stands for a shape that nothing determines. Raises ValueError where one does not fit.
        """
        yield path, self, None if shape is None else self.output_shape(shape)
        for name, layer in self.children():
            yield from layer.shapes(None, f"{path}.{name}" if path else name)

    @property
    def frozen(self) -> bool:
        """Whether all parameters, sublayers' too, keep their values in training.

        Set it to True to train the other layers only, or to False again. Optimizers pass frozen
        parameters over: weight decay and momentum do not change them either, and clipping leaves
        their gradients out. Gradients are computed nevertheless.
        """
        parameters = self.parameters()
        return bool(parameters) and all(p.frozen for p in parameters)

    @frozen.setter
    def frozen(self, value: bool) -> None:
        for p in self.parameters():
            p.frozen = bool(value)

    def train(self, mode: bool = True) -> Layer:
        """Switch to training mode (dropout works), sublayers too; returns the layer."""
        with self.held():
            for _, layer in self.walk():
                layer.training = mode
        return self

    def eval(self) -> Layer:
        """Switch to evaluation mode; returns the layer."""
        return self.train(False)

    @contextmanager
    def in_mode(self, training: bool) -> Iterator[None]:
        """Be in one mode inside a ``with`` block; each layer is put back into the one it was in."""
        with self.held():
            before = {layer: layer.training for _, layer in self.walk()}
            for layer in before:
                layer.training = training
        try:
            yield
        finally:
            with self.held():
                for layer, mode in before.items():
                    layer.training = mode

    @contextmanager
    def fitted(self) -> Iterator[None]:
        """Be in training mode inside a ``with`` block that others may enter meanwhile.

        With the end of the last one each layer is put back into the mode it was in; those that were
        added get this one's.
        """
        with self.held():
            layers = [layer for _, layer in self.walk()]
            for layer in layers:
                if not layer._fits:
                    layer._mode_before = layer.training
                layer._fits += 1
                layer.training = True
        try:
            yield
        finally:
            with self.held():
                for layer in layers:
                    layer._fits -= 1
                    if not layer._fits:
                        layer.training = layer._mode_before
                for _, layer in self.walk():
                    if not layer._fits and layer not in layers:
                        layer.training = self.training

    # ------------------------------------------------------------------ computing by itself

    def __call__(self, x: Any) -> np.ndarray[Any, Any]:
        """Check x, move it to the backend, and compute y. Building the layer first if need be."""
        self.settle()
        with self.held():
            if self._pass is None:
                for _, layer in self.walk():
                    layer._computed = None
            y: np.ndarray[Any, Any] = self.forward(self._checked(x))
            return y

    def settle(self) -> None:
        """Build the layer if that has not been done, or layers inside it were changed since."""
        if any(x._guard is None or x._backend is None for _, x in self.walk()):
            self.build(self._backend or current_backend(), self.dtype, seed=0)

    def held(self) -> AbstractContextManager[None]:
        """Inside a ``with`` block no other thread computes with this layer."""
        guard: Guard = vars(self).setdefault("_guard", Guard())
        return guard.held()

    # ------------------------------------------------------------------ building

    def build(self, backend: Backend, dtype: Any, seed: int, fuse: bool = True) -> None:
        """Put this layer and all inside it on a backend, with values for all parameters.

        Those that have values keep them. Raises ValueError if a layer is in two places: it keeps
        what its backward pass needs, so that it can be in one only. Nor can a parameter, whose
        gradient each backward pass overwrites.
        """
        paths: dict[object, str] = {}
        for path, layer in self.walk():
            if layer in paths:
                raise ValueError(
                    f"layer {path} is layer {paths[layer]} again: make a second {layer!r}"
                )
            paths[layer] = path
        for name, parameter in self.named_parameters():
            if parameter in paths:
                raise ValueError(f"parameter {name} is parameter {paths[parameter]} again")
            paths[parameter] = name
        layers = [layer for _, layer in self.walk()]
        guards = [layer._guard for layer in layers if layer._guard is not None]
        with Guard.united(guards or [Guard()]) as guard:
            for layer in layers:
                layer._guard = guard
                layer.attach(backend, dtype)
            for layer in reversed(layers):
                layer.plan(fuse)
            parameters = self.parameters()
            new = [p for p in parameters if p.value is None]
            bring_together(parameters, backend, self.dtype)
            initialize(new, seed % 2**64)

    def attach(self, backend: Backend, dtype: Any) -> None:
        """Compute on `backend` in `dtype` from now on; buffers are moved there.

        Buffers, which small numbers are added to, are float32 where `dtype` is a half one.
        """
        dtype = np.dtype(dtype)
        if self._backend is backend and self._dtype == dtype:
            return
        if self._backend is None:
            first = vars(self).items()
            self._at_first = {name: _holds_arrays(backend, value) for name, value in first}
        for name, array in self.own_buffers().items():
            host = array if self._backend is None else self._backend.to_numpy(array)
            setattr(self, name, backend.asarray(host, arithmetic(dtype)))
        self._backend, self._dtype = backend, dtype

    # ------------------------------------------------------------------ values

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies, on the host, of all that training changes: parameters and buffers by name."""
        with self.held():
            arrays = self._arrays()
            return {name: self.backend.to_numpy(array).copy() for name, array in arrays.items()}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take over what `state` gave, of a layer of the same build, on any backend.

        Raises ValueError, before anything is changed, where a name or a shape differs.
        """
        with self.held():
            fill(self.backend, self._arrays(), state)

    def _arrays(self) -> dict[str, Array]:
        self.settle()
        return {name: p.value for name, p in self.named_parameters()} | dict(self.named_buffers())

    def __getstate__(self) -> dict[str, Any]:
        passing = ("_pass", "_computed", "_guard", "_fits", "_mode_before")
        state = {name: value for name, value in vars(self).items() if name not in passing}
        if self._fits:  # which the copy is not in
            state["training"] = self._mode_before
        if self._backend is not None:
            for name, value in vars(self).items():
                if _holds_arrays(self._backend, value) and not self._at_first.get(name, False):
                    del state[name]
                    if name in self._at_first:
                        state[name] = type(value)() if isinstance(value, list | dict) else None
            for name, array in self.own_buffers().items():
                state[name] = self._backend.to_numpy(array).copy()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._backend is not None:
            for name, array in self.own_buffers().items():
                setattr(self, name, self._backend.asarray(array))
            self.plan(fuse=True)

    @property
    def title(self) -> str:
        """What a table calls it, in which the layers inside have lines of their own."""
        return type(self).__name__ if self.children() else repr(self)

    # ------------------------------------------------------------------ plumbing

    def _checked(self, x: Any) -> Array:
        array = x if self.backend.owns(x) else self.backend.asarray(x)
        if not is_number(array.dtype):
            raise TypeError(f"numbers expected, but the input has dtype {array.dtype}")
        if array.ndim < 2:
            raise ValueError(
                f"{type(self).__name__} takes one example per row, shape (n, ...), "
                f"but was given shape {array.shape}; a single example is x[None]"
            )
        self.check_shape(array.shape)
        factor = self._factor(x if isinstance(x, np.ndarray) else array)
        return self.backend.asarray(as_reals(array, self.dtype, factor))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if examples of shape (n, ...) do not fit."""
        try:
            self.output_shape(shape[1:])
        except ValueError as error:
            raise ValueError(f"input of shape {shape}: {error}") from None

    def _factor(self, array: Array) -> float:
        """What to multiply an input by."""
        return Inputs().factor(array)


def _holds_arrays(backend: Backend, value: Any) -> bool:
    """Whether it is an array, or a collection with one in it."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        return any(_holds_arrays(backend, each) for each in value)
    return isinstance(value, np.ndarray) or backend.owns(value)


def fill(
    backend: Backend, arrays: Mapping[str, Array], state: Mapping[str, np.ndarray[Any, Any]]
) -> None:
    """Copy a state into arrays by name, first checking that it is theirs and nothing else's."""
    check_state(arrays, state)
    for name, array in arrays.items():
        array[...] = backend.asarray(state[name], array.dtype)


def check_state(arrays: Mapping[str, Array], state: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Raise ValueError for a state of other names, shapes or kinds of numbers than arrays have."""
    for name, array in arrays.items():
        if name not in state:
            raise ValueError(f"it has no {name}")
        if state[name].shape != tuple(array.shape):
            raise ValueError(
                f"its {name} has shape {state[name].shape}, but the model's has "
                f"{tuple(array.shape)}"
            )
        if is_real(state[name].dtype) != is_real(array.dtype):
            raise ValueError(f"its {name} is of {state[name].dtype}, but the model's {array.dtype}")
    for name in state:
        if name not in arrays:
            raise ValueError(f"the model has no {name}")
