"""What a layer is: forward, backward, and perhaps parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnkit.backends import Array, Backend, current_backend
from nnkit.dtypes import arithmetic, is_number
from nnkit.parameters import FlatBuffer, Parameter, initialize


class Workspace:
    """Preallocated arrays of a training step, so that no step after the first allocates.

    A smaller last batch uses the first rows of the arrays of a full one.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[object, str], Array] = {}

    def get(
        self, owner: object, name: str, shape: tuple[int, ...], dtype: Any, backend: Backend
    ) -> Array:
        """Return the array that `owner` keeps under `name`, made anew when it does not fit."""
        key = (owner, name)
        array = self._arrays.get(key)
        if (
            array is None
            or array.shape[1:] != shape[1:]
            or array.shape[0] < shape[0]
            or array.dtype != dtype
        ):
            array = self._arrays[key] = backend.empty(shape, dtype)
        return array if array.shape[0] == shape[0] else array[: shape[0]]


class Layer:
    """One stage of a network.

    A subclass writes `forward` and `backward` in operations of `self.backend` or in plain array
    code of `self.xp`, and keeps what the backward pass needs as attributes. Attributes that are
    `Parameter` objects are trained; `backward` overwrites their `grad`.

    To be saved in a checkpoint, a layer's constructor arguments must be attributes of the same
    names, listed in `options`.
    """

    options: ClassVar[tuple[str, ...]] = ()
    stochastic: ClassVar[bool] = False
    """Whether the forward pass in training draws random numbers."""

    capturable: ClassVar[bool] = False
    """Whether both passes do nothing but call operations of `self.backend` on arrays made with
    `new`, parameters and the arrays given: then a training step through the layer can be captured
    and replayed. Not inherited: a class says so itself."""

    buffer_names: ClassVar[tuple[str, ...]] = ()
    """Attributes that are arrays and change in training without gradients, such as running means.
    They are kept in checkpoints, and `attach` moves them; a constructor makes them with NumPy."""

    least_rows: ClassVar[int] = 1
    """Rows that a batch must have in training."""

    training = False
    input_gradient = True
    """Whether `backward` must return dx; the trainer needs none from the first layer."""
    _backend: Backend | None = None
    _dtype: Any = None
    _workspace: Workspace | None = None

    def __init_subclass__(cls) -> None:
        if "capturable" not in cls.__dict__:
            cls.capturable = False

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

    def sublayers(self) -> list[Layer]:
        """Layers inside this one, in order."""
        return []

    def new(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Make an output array; during `fit` it is the trainer's preallocated one."""
        dtype = self.dtype if dtype is None else dtype
        if self._workspace is None:
            return self.backend.empty(shape, dtype)
        return self._workspace.get(self, name, shape, dtype, self.backend)

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

    # ------------------------------------------------------------------ for users

    def __call__(self, x: Any) -> Array:
        """Check x, move it to the backend, and compute y. Building the layer first if need be."""
        if any(p.value is None for p in self.parameters()):
            self._build_alone()
        return self.forward(self._checked(x))

    def own_parameters(self) -> dict[str, Parameter]:
        """Parameters that are attributes of this very layer, by name."""
        return {name: p for name, p in vars(self).items() if isinstance(p, Parameter)}

    def buffers(self) -> dict[str, Array]:
        """Arrays of this very layer that are kept but not trained, by name."""
        return {name: getattr(self, name) for name in self.buffer_names}

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

    def parameters(self) -> list[Parameter]:
        """All parameters, those of sublayers too."""
        own = list(self.own_parameters().values())
        return own + [p for layer in self.sublayers() for p in layer.parameters()]

    def config(self) -> dict[str, Any]:
        """Class name and constructor arguments, as JSON can hold them."""
        return {
            "class": type(self).__name__,
            **{name: getattr(self, name) for name in self.options},
        }

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.options)
        return f"{type(self).__name__}({arguments})"

    # ------------------------------------------------------------------ plumbing

    def attach(self, backend: Backend, dtype: Any) -> None:
        """Compute on `backend` in `dtype` from now on, sublayers too; buffers are moved there.

        Buffers, which small numbers are added to, are float32 where `dtype` is a half one.
        """
        for name, array in self.buffers().items():
            host = array if self._backend is None else self._backend.to_numpy(array)
            setattr(self, name, backend.asarray(host, arithmetic(dtype)))
        self._backend, self._dtype = backend, np.dtype(dtype)
        for layer in self.sublayers():
            layer.attach(backend, dtype)

    def _build_alone(self) -> None:
        """Give parameters to a layer that is used outside a model."""
        self.attach(current_backend(), np.float32)
        parameters = self.parameters()
        FlatBuffer(parameters, self.backend, self.dtype)
        initialize(parameters, seed=0)

    def _checked(self, x: Any) -> Array:
        array = as_input(self.backend, x, self.dtype)
        if array.ndim < 2:
            raise ValueError(
                f"{type(self).__name__} takes one example per row, shape (n, ...), "
                f"but was given shape {array.shape}; a single example is x[None]"
            )
        try:
            self.output_shape(array.shape[1:])
        except ValueError as error:
            raise ValueError(f"input of shape {array.shape}: {error}") from None
        return array


def as_input(backend: Backend, x: Any, dtype: Any) -> Array:
    """Move x to the backend as `dtype`; uint8 means image bytes, which become 0 to 1.

    Raises TypeError for anything that is not numbers.
    """
    array = x if backend.owns(x) else backend.asarray(x)
    if not is_number(array.dtype):
        raise TypeError(f"numbers expected, but the input has dtype {array.dtype}")
    if array.dtype == np.uint8:
        real = arithmetic(dtype)
        return backend.asarray(backend.asarray(array, real) * real.type(1 / 255), dtype)
    return backend.asarray(array, dtype)
