"""The contract of a backend: the named operations that every array library must carry out.

A backend is an object. It holds an array namespace ``xp`` and some thirty operations, from which
every layer, loss and optimizer is written. Each is declared here once, with its signature and what
it computes; `nnkit.backends.numpy` has each of them as a plain formula and is the reference for the
others.

Conventions, for every operation:

* Arrays belong to this backend and share one real dtype of its `dtypes`, unless stated.
* A half dtype (float16, bfloat16) is for storage: arithmetic is in float32. Then the statistics of
  normalisation (mean, var, inv_std and their running averages) and the state of optimizers are
  float32 too.
* Matrices have one example per row: shape (n, features). Inputs are never modified.
* Images have shape (n, height, width, channels).
* Outputs are preallocated; where one may be left out a new array is made. They may be arrays that
  are updated: then what they held before counts.
* Nothing is read back to the host, so that a sequence of operations can be captured and replayed.
  What changes from step to step is read from a device array of three int64 `counters`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from importlib import import_module
from inspect import Parameter, signature
from math import inf
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, ClassVar, ForwardRef, NamedTuple, TypeVar, cast

import numpy as np

Array = Any
"""An array of some backend; the libraries share no common type. As an argument: an input."""
View = Any
"""An input that may be a transposed view."""
Out = Any
"""An array that an operation writes, or updates."""

STEP, UPDATES, FORWARDS = 0, 1, 2
"""Places in `counters`: the step within the epoch, optimizer updates made, stochastic forwards."""


FUSED_WITH_CONVOLUTION = ("identity", "relu")
"""Activations that are one operation with a convolution."""


class CaptureError(RuntimeError):
    """A step holds something that this backend cannot capture; the message says what."""


class Norm(NamedTuple):
    """What the layers of normalisation compute with, for rows of m numbers."""

    gamma: Array
    """Scale of each column, (m,)."""
    beta: Array
    """Offset of each column, (m,)."""
    eps: float
    """Added to a variance."""


class Running(NamedTuple):
    """The averages that follow the statistics of batches, each (m,)."""

    mean: Out
    var: Out
    momentum: float
    """``average += momentum * (batch's - average)``."""


class Window(NamedTuple):
    """What part of an image each place of an output sees.

    Place (i, j) sees the rows ``i * stride[0] - padding[0] + p * dilation[0]`` for p from 0 to
    ``size[0] - 1``, and columns alike. How many places there are the output's shape says; what lies
    outside the image counts as zeros.
    """

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    """Rows above the image, and columns to the left of it."""
    dilation: tuple[int, int] = (1, 1)


class Update(NamedTuple):
    """What the updates of all optimizers share."""

    lr: Array
    """The learning rate: element ``counters[STEP]`` of this float64 array, or the nearest."""
    counters: Array
    weight_decay: float = 0.0
    l1: float = 0.0
    master: Out | None = None
    """The parameters in float32, where p is of a half dtype.

    A small update would not change p. The master is updated, and p is what it rounds to
    (Micikevicius et al. 2018). Elements of p that differ from that before have been set since, and
    the master first takes their value.
    """


class Changes(NamedTuple):
    """How much pictures are changed at most by `Backend.augment`; 0 leaves out a change."""

    shift: int = 0
    """Pixels up, down, left or right."""
    flip: float = 0.0
    """Probability of left and right being exchanged."""
    turn: float = 0.0
    """Half turns, either way."""
    scale: float = 0.0
    """Share of its size by which a picture grows or shrinks; below 1."""
    cutout: int = 0
    """Side, in pixels, of a square that becomes 0."""


Declared = TypeVar("Declared", bound=Callable[..., Any])
Result = TypeVar("Result")
Implementation = Callable[..., Any]


class Operation:
    """What a declaration says: the name, the arguments, and which of them are arrays.

    A type of argument is the annotation's word: Array, View, Out, a bundle's name or a Python type.
    """

    def __init__(self, declared: Callable[..., Any]) -> None:
        self.name = declared.__name__
        self.signature = signature(declared)
        parameters = list(self.signature.parameters.values())[1:]
        self.arguments = tuple(parameter.name for parameter in parameters)
        self.types = tuple(_word(parameter.annotation) for parameter in parameters)
        self.dense = [i for i, kind in enumerate(self.types) if kind in ("Array", "Out")]
        """Places of the arrays that a kernel reads and writes as they lie in memory."""
        self.dense_within = [
            (i, j)
            for i, kind in enumerate(self.types)
            for j, inner in enumerate(BUNDLES.get(kind, ()))
            if inner in ("Array", "Out")
        ]
        """Places of bundles, and of such arrays in them."""
        made = [
            parameter.name
            for parameter, kind in zip(parameters, self.types, strict=True)
            if kind == "Out" and parameter.default is None
        ]
        self.result = self.arguments.index(made[0]) if made else None
        """Place of the output that is made where it is left out."""
        defaults = [p.default for p in parameters]
        first = sum(default is Parameter.empty for default in defaults)
        self.endings = {given: tuple(defaults[given:]) for given in range(first, len(defaults))}
        """What follows so many arguments, where they are enough."""

    def complete(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """Return all arguments in their order; TypeError as Python itself would raise it."""
        if not named and len(arguments) in self.endings:
            return arguments + self.endings[len(arguments)]
        bound = self.signature.bind(None, *arguments, **named)
        bound.apply_defaults()
        return tuple(bound.arguments.values())[1:]

    def arrays(self, arguments: Sequence[Any]) -> Iterator[tuple[str, str, Any]]:
        """Name, type and value of each array among the arguments, those in bundles too."""
        for name, kind, value in zip(self.arguments, self.types, arguments, strict=True):
            if kind in BUNDLES:
                for field, inner in zip(value._fields, BUNDLES[kind], strict=True):
                    if inner in ARRAYS and getattr(value, field) is not None:
                        yield f"{name}.{field}", inner, getattr(value, field)
            elif kind in ARRAYS and value is not None:
                yield name, kind, value

    def with_inputs(
        self, arguments: Sequence[Any], change: Callable[[Array], Array]
    ) -> tuple[Any, ...]:
        """Return the arguments with `change` applied to each Array, those in bundles too."""
        return tuple(map(partial(_changed, change), self.types, arguments))


def _word(annotation: Any) -> str:
    """Return the word that stands for a type; None may be another value."""
    text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else str(annotation)
    return text.removesuffix(" | None")


def _changed(change: Callable[[Array], Array], kind: str, value: Any) -> Any:
    if kind in BUNDLES:
        return type(value)(*map(partial(_changed, change), BUNDLES[kind], value))
    return change(value) if kind == "Array" and value is not None else value


ARRAYS = ("Array", "View", "Out")
BUNDLES = {
    bundle.__name__: tuple(map(_word, bundle.__annotations__.values()))
    for bundle in (Norm, Running, Update)
}
"""Types of arguments that travel together: the types of their fields."""

OPERATIONS: dict[str, Operation] = {}
"""The operations that a backend carries out, by name."""


def operation(declared: Declared) -> Declared:
    """Make the method that has the backend carry out the operation that is declared.

    The method returns the output that may be left out. If it was, a new array takes its place,
    which the declaration's body makes.
    """
    about = OPERATIONS[declared.__name__] = Operation(declared)
    count, result, complete = len(about.arguments), about.result, about.complete

    @wraps(declared)
    def method(self: Backend, *arguments: Any, **named: Any) -> Any:
        if named or len(arguments) != count:
            arguments = complete(arguments, named)
        if result is None:
            return self._carry_out(about, arguments)
        if arguments[result] is None:
            made = declared(self, *arguments)
            arguments = *arguments[:result], made, *arguments[result + 1 :]
        self._carry_out(about, arguments)
        return arguments[result]

    return cast(Declared, method)


def modules_in(package: ModuleType) -> list[ModuleType]:
    """Import all modules of a package."""
    found = iter_modules(package.__path__, f"{package.__name__}.")
    return [import_module(module.name) for module in found]


def implementations(*modules: ModuleType) -> dict[str, Implementation]:
    """Return the functions of these modules that are named as operations."""
    return {
        name: function
        for module in modules
        for name, function in vars(module).items()
        if name in OPERATIONS and getattr(function, "__module__", None) == module.__name__
    }


def check_columns(narrow: Array, first: int, wide: Array) -> None:
    """Raise ValueError if `narrow` is not as large as columns of `wide` from `first` on."""
    k, m = narrow.shape[-1], wide.shape[-1]
    if narrow.shape[:-1] != wide.shape[:-1] or not 0 <= first <= m - k:
        raise ValueError(
            f"an array of shape {narrow.shape} is not the columns from {first} on of one of shape "
            f"{wide.shape}"
        )


def rectified(kind: str) -> bool:
    """Whether batch normalisation has a ReLU behind it; ValueError for another activation."""
    if kind not in ("identity", "relu"):
        raise ValueError(
            f"batch normalisation is one operation with identity or relu, not with {kind!r}: call "
            "the activation behind it"
        )
    return kind == "relu"


class Backend(ABC):
    """Arrays and operations of one array library; see the module's text for the conventions."""

    name: ClassVar[str]
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")
    """Names of the real dtypes that the operations take."""
    xp: Any
    """The array namespace (numpy or cupy), for layers and losses written in plain array code."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        return self

    # ------------------------------------------------------------------ arrays

    @abstractmethod
    def owns(self, array: object) -> bool:
        """Whether `array` is an array of this backend."""

    @abstractmethod
    def asarray(self, array: Any, dtype: Any = None) -> Array:
        """Move a NumPy array (or a sequence) to this backend as a C-contiguous array.

        An array that is here already, contiguous and of that dtype is returned as it is. An array
        of another library raises TypeError, and so does one in which something is masked.
        """

    @abstractmethod
    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Copy an array to the host (a view where it is there already), waiting for its value."""

    def empty(self, shape: int | Sequence[int], dtype: Any) -> Array:
        """Make an uninitialised C-contiguous array."""
        return self.xp.empty(shape, dtype)

    def zeros(self, shape: int | Sequence[int], dtype: Any) -> Array:
        """Make a C-contiguous array of zeros."""
        return self.xp.zeros(shape, dtype)

    def room(self) -> float:
        """Bytes that a data set may take on the device; a larger one is streamed."""
        return inf

    def copy_from_host(self, host: np.ndarray[Any, Any], out: Array) -> Any:
        """Copy a NumPy array into `out` once the work issued so far is done.

        The copy goes on while work that is issued later is done; `wait_for` its result.
        """
        out[...] = self.asarray(host)

    def wait_for(self, copy: Any) -> None:
        """Have work that is issued later wait for a copy of `copy_from_host`."""
        return

    def synchronize(self) -> None:
        """Wait until all work issued so far is done; immediate on a CPU."""
        return

    def rehearse(self, work: Callable[[], Result]) -> Result:
        """Do `work` for the shapes of what it makes: the arrays may not be filled.

        For work that does nothing but operations. This version does all of it.
        """
        return work()

    def prepare(self, step: Callable[[], object]) -> None:
        """Compile what the operations of `step` need that is not compiled yet, all at once.

        For a step that does nothing but operations: it may be called, and they are not carried out.
        This version does nothing: what they need is compiled when it is used, if it has to be.
        """
        return

    def call(self, function: Callable[[], object]) -> None:
        """Call a function of the host between the operations issued before and after.

        For what is no operation and yet is part of a step, such as sums over ranks. While a step is
        captured it is not called, but in its place in every repetition; a backend that cannot do
        that raises CaptureError.
        """
        function()

    def capture(self, step: Callable[[], object]) -> Callable[[int], None]:
        """Record the operations of `step`, and return a function that repeats them n times.

        `step` must have run before, so that all its arrays exist. Raises CaptureError if it cannot
        be captured. This version just calls it.
        """

        def replay(times: int) -> None:
            for _ in range(times):
                step()

        return replay

    @abstractmethod
    def _carry_out(self, operation: Operation, arguments: tuple[Any, ...]) -> None:
        """Carry out an operation, all of whose arguments are given.

        The one place where a backend decides how: by which function, and what is done to the
        arguments before.
        """

    # ------------------------------------------------------------------ products

    @operation
    def matmul(self, a: View, b: View, out: Out | None = None) -> Array:
        """Matrix product ``a @ b`` of (n, k) and (k, m); transposed views are welcome.

        `out` must not overlap a or b. Raises ValueError for shapes that do not go together.
        """
        return self.empty((*a.shape[:1], *b.shape[1:]), a.dtype)

    def linear_forward(
        self,
        kind: str,
        x: Array,
        weight: Array,
        bias: Array | None,
        y: Array,
        z: Array,
        alpha: float = 0.0,
    ) -> None:
        """Fused linear layer and activation: ``z = x @ weight + bias``, ``y = f(z)``.

        `z` may be the same array as `y` where the activation's gradient needs only `y`
        (``ACTIVATIONS[kind].saved == "y"``), and is scratch; otherwise it is kept for the backward
        pass. With "identity" it is a linear layer alone.
        """
        if bias is not None and self._linear_in_one(kind, x, weight, bias, y):
            return
        if kind == "identity":
            self.matmul(x, weight, y)
            if bias is not None:
                self.bias_activation(kind, y, bias, y)
        else:
            self.matmul(x, weight, z)
            self.bias_activation(kind, z, bias, y, alpha)

    def linear_backward(
        self,
        kind: str,
        dy: Array,
        x: Array,
        weight: Array,
        saved: Array,
        dz: Array,
        dweight: Array,
        dbias: Array | None,
        dx: Array | None,
        alpha: float = 0.0,
    ) -> None:
        """Gradients of `linear_forward`; `saved` is its `y` or `z`, `dx` is None if not wanted.

        ``dz = dy * f'``, ``dbias = sum of dz over rows``, ``dweight = x.T @ dz``,
        ``dx = dz @ weight.T``. `dz` may be the same array as `dy`; with "identity" dy itself is dz,
        and `dz` is not written.
        """
        dz = dy if kind == "identity" else dz
        by_product = dbias
        if kind != "identity":
            if dbias is None or not self._sums_cost_nothing(x, dz, dweight, dbias):
                by_product = None
            by_pass = dbias if by_product is None else None
            self.bias_activation_backward(kind, dy, saved, dz, by_pass, alpha)
        if by_product is None or not self._gradients_in_one(x, dz, dweight, by_product):
            if by_product is not None:
                self.bias_gradient(dz, by_product)
            self.matmul(x.T, dz, dweight)
        if dx is not None:
            self.matmul(dz, weight.T, dx)

    def _linear_in_one(self, kind: str, x: Array, weight: Array, bias: Array, y: Out) -> bool:
        """Carry out all of `linear_forward` at once, if this backend can."""
        return False

    def _gradients_in_one(self, x: Array, dz: Array, dweight: Out, dbias: Out) -> bool:
        """Carry out ``dweight = x.T @ dz`` and ``dbias = sum of dz`` at once, if possible."""
        return False

    def _sums_cost_nothing(self, x: Array, dz: Array, dweight: Out, dbias: Out) -> bool:
        """Whether `_gradients_in_one` makes dbias for less than the pass that makes dz."""
        return False

    # ------------------------------------------------------------------ activations

    @operation
    def bias_activation(
        self, kind: str, z: Out, bias: Array | None, y: Out, alpha: float = 0.0
    ) -> None:
        """Bias and activation in one pass: ``y = f(z + bias)`` for z (n, m), bias (m,) or None.

        Where the gradient of `kind` needs its input, ``z`` becomes ``z + bias``; otherwise `z` is
        scratch and may be the same array as `y`.
        """

    @operation
    def bias_activation_backward(
        self,
        kind: str,
        dy: Array,
        saved: Array,
        dz: Out,
        dbias: Out | None,
        alpha: float = 0.0,
    ) -> None:
        """In one pass ``dz = dy * f'(saved)`` and ``dbias = sum of dz over rows`` (if wanted).

        `dz` may be the same array as `dy`. The sum has a fixed order: two runs give the same bits.
        """

    @operation
    def activation(self, kind: str, x: Array, y: Out | None = None, alpha: float = 0.0) -> Array:
        """Elementwise activation ``y = f(x)`` of any shape; `kind` is a key of `ACTIVATIONS`."""
        return self.empty(x.shape, x.dtype)

    @operation
    def activation_backward(
        self, kind: str, dy: Array, saved: Array, dx: Out | None = None, alpha: float = 0.0
    ) -> Array:
        """Gradient ``dx = dy * f'``, where `saved` is the activation's x or y (see `ACTIVATIONS`).

        Raises ValueError for an activation without a gradient (step), as all do that need one.
        """
        return self.empty(dy.shape, dy.dtype)

    @operation
    def bias_gradient(self, dy: Array, dbias: Out) -> None:
        """``dbias = sum of dy over rows`` for dy (n, m), in a fixed order."""

    @operation
    def prelu(self, x: Array, slope: Array, y: Out) -> None:
        """``y = x`` where x > 0, else ``slope x``, with a slope (m,) for x (n, m), or (1,)."""

    @operation
    def prelu_backward(self, dy: Array, x: Array, slope: Array, dx: Out, dslope: Out) -> None:
        """``dx = dy`` where x > 0, else ``slope dy``; ``dslope = sum of dy min(x, 0)``.

        The sum is over rows, or over all elements for a slope (1,), and has a fixed order.
        """

    @operation
    def maxout(self, z: Array, bias: Array, y: Out, piece: Out) -> None:
        """Largest of k linear functions: ``y = max over k of z_k + bias_k``.

        z is (n, k m), k matrices (n, m) side by side, bias (k m,), y (n, m). `piece`, int32 (n, m),
        receives the number of the largest, the first of equals; NaN counts as largest.
        """

    @operation
    def maxout_backward(self, dy: Array, piece: Array, dz: Out) -> None:
        """Gradient of `maxout`: ``dz_k = dy`` where `piece` is k, else 0."""

    @operation
    def softmax(self, x: Array, y: Out | None = None) -> Array:
        """Softmax of each row, ``exp(x - max) / sum(exp(x - max))``: no overflow for any finite x.

        A row with +inf or NaN gives NaN.
        """
        return self.empty(x.shape, x.dtype)

    @operation
    def softmax_backward(self, dy: Array, y: Array, dx: Out | None = None) -> Array:
        """Gradient of softmax for any `dy`: ``dx = y * (dy - sum(dy * y))`` in each row."""
        return self.empty(dy.shape, dy.dtype)

    @operation
    def log_softmax(self, x: Array, y: Out | None = None) -> Array:
        """Logarithm of the softmax of each row, ``x - max - log(sum(exp(x - max)))``."""
        return self.empty(x.shape, x.dtype)

    @operation
    def log_softmax_backward(self, dy: Array, y: Array, dx: Out | None = None) -> Array:
        """Gradient of log-softmax, y its output: ``dx = dy - exp(y) * sum(dy)`` in each row."""
        return self.empty(dy.shape, dy.dtype)

    # ------------------------------------------------------------------ containers

    @operation
    def add(self, a: Array, b: Array, out: Out | None = None) -> Array:
        """Elementwise sum ``out = a + b`` of one shape, any; `out` may be the same array as either.

        For branches of a network that end in a sum.
        """
        return self.empty(a.shape, a.dtype)

    @operation
    def put_columns(self, x: Array, first: int, out: Out) -> None:
        """``out[..., first : first + k] = x`` for x (..., k) and out (..., m), first + k <= m.

        The other columns stay as they are. Raises ValueError for other shapes. For branches of a
        network that end side by side.
        """

    @operation
    def take_columns(self, x: Array, first: int, out: Out) -> None:
        """``out = x[..., first : first + k]`` for x (..., m) and out (..., k), first + k <= m.

        Raises ValueError for other shapes.
        """

    # ------------------------------------------------------------------ images

    @operation
    def convolution(
        self,
        kind: str,
        x: Array,
        weight: Array,
        bias: Array | None,
        window: Window,
        groups: int,
        pool: Window | None,
        y: Out,
        place: Out | None,
    ) -> None:
        """Convolution (cross-correlation), bias, activation and largest of each window, fused.

        Parameters
        ----------
        kind
            "identity" or "relu".
        x
            Images (n, h, w, c).
        weight
            Kernels (kh, kw, c / groups, o): ``weight.reshape(-1, o)`` is the matrix of the texts.
            Channel j of the output is made of the channels of x of its group,
            ``j // (o / groups)``.
        bias
            (o,).
        window
            Where the kernels lie; its size is (kh, kw).
        pool
            Windows of the product ``x * weight`` that do not overlap, without padding or dilation,
            whose largest go on to bias and activation, which leave them the largest; `place` as in
            `max_pool`. None: all of it goes on.
        y
            (n, oh, ow, o).
        place
            uint8, as y, with `pool`; else None.

        An element is added up in an order that depends neither on n nor on the other images.
        """

    @operation
    def convolution_backward(
        self,
        kind: str,
        dy: Array,
        x: Array,
        weight: Array,
        window: Window,
        groups: int,
        pool: Window | None,
        y: Array,
        place: Array | None,
        dweight: Out | None,
        dbias: Out | None,
        dx: Out | None,
    ) -> None:
        """Gradients of `convolution`: those that are not None. Sums have a fixed order.

        `y` and `place` are what the forward pass gave; with "identity" y is not read, nor is x
        where no dweight is wanted. With `pool`, rows and columns of the convolution's output behind
        the last window have no part in them.
        """

    def convolution_forward(
        self,
        kind: str,
        x: Array,
        weight: Array,
        bias: Array | None,
        window: Window,
        groups: int,
        y: Array,
        z: Array,
        alpha: float = 0.0,
    ) -> None:
        """Do as `convolution`, without pool, with any activation: ``z = x * weight + bias``.

        `y` and `z` are as in `linear_forward`.
        """
        if kind in FUSED_WITH_CONVOLUTION:
            self.convolution(kind, x, weight, bias, window, groups, None, y, None)
            return
        self.convolution("identity", x, weight, bias, window, groups, None, z, None)
        self.activation(kind, z, y, alpha)

    @operation
    def max_pool(self, x: Array, window: Window, y: Out, place: Out) -> None:
        """Largest element of each window, of each channel; NaN counts as largest.

        x is (n, h, w, c), y (n, oh, ow, c). `place` (n, oh, ow, c), uint8 or int32, receives the
        number of the largest within the window, counted row by row, the first of equals. What is
        outside the image is never the largest: each window has a place that is inside.
        """

    @operation
    def max_pool_backward(self, dy: Array, place: Array, window: Window, dx: Out) -> None:
        """Gradient of `max_pool`: each dy goes to its place; sums in a fixed order."""

    @operation
    def average_pool(self, x: Array, window: Window, divisor: float, y: Out) -> None:
        """``y = sum of x over each window / divisor`` for each channel."""

    @operation
    def average_pool_backward(self, dy: Array, window: Window, divisor: float, dx: Out) -> None:
        """Gradient of `average_pool`: dx is the sum of ``dy / divisor`` of the windows it is in."""

    @operation
    def transpose(self, x: Array, out: Out) -> None:
        """``out[i] = x[i].T`` for x (n, a, b) and out (n, b, a)."""

    @operation
    def augment(
        self, x: Array, changes: Changes, key: int, counters: Array, out: Out, first: int = 0
    ) -> None:
        """Change each picture of a batch at random: x and out (n, height, width[, channels]).

        Picture i is picture ``first + i`` of the whole batch, where x is a part of it. Its number
        u_k is ``philox.uniform(8 n, key, counters[FORWARDS], 8 first)[8 i + k]`` in [0, 1), the
        same on every backend. First a picture is flipped, left to right, if
        ``u_4 < flip``; then it is turned by ``pi turn (2 u_5 - 1)`` and made ``1 + scale (2 u_6 -
        1)`` times as large, both about its centre; then moved by ``floor((2 shift + 1) u_k) -
        shift`` rows (k = 0) and columns (k = 1). What comes from outside of it is 0. Last, a square
        of `cutout` pixels becomes 0, as far as it is inside (DeVries & Taylor 2017): its upper left
        corner is at ``floor(height u_2) - cutout // 2`` and ``floor(width u_3) - cutout // 2``.

        Without `turn` and `scale` numbers are copied as they are, bit for bit. With either each
        pixel lies between four of x, between which it is interpolated (bilinear): where, is
        computed in float64. `out` must not overlap x; a picture has fewer than 2**31 numbers.
        """

    # ------------------------------------------------------------------ normalization

    @operation
    def batch_norm_forward(
        self, kind: str, x: Array, norm: Norm, running: Running, mean: Out, var: Out, y: Out
    ) -> None:
        """Batch normalisation of x (n, m), n of at least 2 (Ioffe & Szegedy 2015), in training.

        ``y = f((x - mean) / sqrt(var + eps) * gamma + beta)`` with the mean and the biased variance
        of each column, which are written to `mean` and `var`, and the activation f of `kind`:
        "identity" or "relu"; another raises ValueError. With the unbiased variance, times
        ``n / (n - 1)``, the averages follow, see `Running`. All but x and y have shape (m,). The
        variance is not harmed by a large mean.
        """

    @operation
    def batch_norm_inference(
        self, kind: str, x: Array, norm: Norm, mean: Array, var: Array, y: Out
    ) -> None:
        """``y = f((x - mean) / sqrt(var + eps) * gamma + beta)`` with the given `mean` and `var`.

        `kind` as in `batch_norm_forward`.
        """

    @operation
    def batch_norm_backward(
        self,
        kind: str,
        dy: Array,
        y: Array | None,
        x: Array,
        norm: Norm,
        mean: Array,
        var: Array,
        dgamma: Out,
        dbeta: Out,
        dx: Out,
        batch_statistics: bool,
    ) -> None:
        """Gradients of batch normalisation, its sums in a fixed order.

        Where `kind` is "relu", dy first becomes 0 wherever y, which the forward pass gave, is not
        above 0; with "identity" y is not read, and may be None. With ``xhat = (x - mean) /
        sqrt(var + eps)``: ``dbeta = sum of dy``, ``dgamma = sum of dy * xhat``, over rows; ``dx =
        gamma / sqrt(var + eps) * (dy - (dbeta + xhat * dgamma) / n)`` if `batch_statistics`, that
        is if `mean` and `var` are those of x, else without the terms taken from dy.
        """

    @operation
    def batch_norm_moments(self, x: Array, place: int, moments: Out) -> None:
        """What one of several ranks knows of the columns of a batch, from its rows x (n, m).

        `moments` (ranks, 2 m + 1), of the dtype of arithmetic: row `place` receives n, the mean of
        each column and the sum of squared deviations from it, without rows zeros; the other rows
        become 0, so that all ranks' sum has a row of each. The squares are not harmed by a large
        mean.
        """

    @operation
    def batch_norm_merge(self, moments: Array, running: Running, mean: Out, var: Out) -> None:
        """Mean and biased variance (m,) of all ranks' rows, two at least, by `moments` of each.

        The averages follow as in `batch_norm_forward`. (Chan, Golub & LeVeque 1979.)
        """

    @operation
    def batch_norm_sums(
        self,
        kind: str,
        dy: Array,
        y: Array | None,
        x: Array,
        norm: Norm,
        mean: Array,
        var: Array,
        dgamma: Out,
        dbeta: Out,
        sums: Out,
    ) -> None:
        """Do as `batch_norm_backward` without dx, for some of a batch's rows, or none.

        `sums` (2, m), of the dtype of arithmetic, receives dbeta and dgamma, to be added up over
        ranks.
        """

    @operation
    def batch_norm_input_gradient(
        self,
        kind: str,
        dy: Array,
        y: Array | None,
        x: Array,
        norm: Norm,
        mean: Array,
        var: Array,
        sums: Array,
        count: int,
        dx: Out,
    ) -> None:
        """Do as `batch_norm_backward` for dx of some of a batch's `count` rows, or none.

        `sums` (2, m) are dbeta and dgamma of all of them.
        """

    @operation
    def layer_norm_forward(self, x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out) -> None:
        """Layer normalisation of x (n, m) (Ba et al. 2016).

        ``y = (x - mean) * inv_std * gamma + beta`` with each row's mean and ``inv_std = 1 /
        sqrt(var + eps)`` for its biased variance, which are written to `mean` and `inv_std` (n,).
        gamma and beta are (m,). The variance is not harmed by a large mean.
        """

    @operation
    def layer_norm_backward(
        self,
        dy: Array,
        x: Array,
        norm: Norm,
        mean: Array,
        inv_std: Array,
        dgamma: Out,
        dbeta: Out,
        dx: Out,
    ) -> None:
        """Gradients of layer normalisation, its sums in a fixed order.

        With ``xhat = (x - mean) * inv_std`` and ``g = dy * gamma``: ``dbeta = sum of dy``,
        ``dgamma = sum of dy * xhat``, over rows; ``dx = inv_std * (g - mean of g - xhat * mean of
        (g * xhat))`` with means over the row.
        """

    # ------------------------------------------------------------------ losses

    @operation
    def softmax_cross_entropy(
        self,
        z: Array,
        target: Array,
        dz: Out,
        log: Out,
        counters: Array,
        weights: Array | None = None,
    ) -> None:
        """Softmax and cross-entropy of logits, with the gradient, in one pass.

        Parameters
        ----------
        z, dz
            Logits and their gradient, (n, classes): ``dz = (softmax(z) - target) / n``.
        target
            int32 labels (n,), or rows of probabilities (n, classes) that sum to one.
        log
            float64 (steps, 2). Row ``counters[STEP]`` receives the mean loss
            ``-mean(log softmax(z)[target])`` and the number of rows whose largest logit (the first
            of equals) is the target's. A label that is no class takes no part in the gradient, and
            makes both NaN. Without such a row nothing is logged: that holds for every loss.
        counters
            int64 (3,).
        weights
            Weights (n,) of the rows, in the dtype of arithmetic: a row's part of the gradient, of
            the loss and of the right answers is multiplied by its weight, in every loss. (The mean
            stays one over n: weights are made to have a mean of 1, see `training.weights`.)
        """

    @operation
    def categorical_cross_entropy(
        self,
        y: Array,
        target: Array,
        dy: Out,
        log: Out,
        counters: Array,
        delta: float,
        weights: Array | None = None,
    ) -> None:
        """Cross-entropy of probabilities, with the gradient, in one pass.

        For y, target and dy (n, classes): ``-sum(target * log(y + delta)) / n`` and
        ``dy = -target / (y + delta) / n``. `log` and `weights` as there: an answer is right
        where the largest of a row of `y` (the first of equals) is at the place of the target's.
        """

    @operation
    def elementwise_loss(
        self,
        kind: str,
        y: Array,
        target: Array,
        dy: Out,
        log: Out,
        counters: Array,
        alpha: float = 0.0,
        weights: Array | None = None,
    ) -> None:
        """Loss of each output against a target of its own, with the gradient, in one pass.

        `kind` is a key of `LOSSES`, which has the formulas, what the mean is over, and whether and
        when an answer counts as right; `alpha` is the `a` in them. y, target and dy are (n, m).
        Row ``counters[STEP]`` of `log` receives the mean loss and the number of right answers.
        `weights` (n,) as in `softmax_cross_entropy`.
        """

    # ------------------------------------------------------------------ training

    @operation
    def dropout(
        self, x: Array, p: float, key: int, counters: Array, out: Out, first: int = 0
    ) -> None:
        """Zero each element with probability `p` and scale the others by ``1 / (1 - p)``.

        The mask is a function of `key`, ``counters[FORWARDS]`` and the element's place
        (Philox4x32-10), the same on every backend: the backward pass calls this again on `dy`
        instead of storing it. Places begin at `first`, where x is a part of an array: the elements
        that lie in front of it.
        """

    @operation
    def channel_dropout(
        self, x: Array, p: float, key: int, counters: Array, out: Out, first: int = 0
    ) -> None:
        """Do as `dropout` with whole channels of images x (n, pixels, channels).

        The mask is that of `dropout` for an array (n, channels): all pixels of an image have one.
        `first` counts images.
        """

    @operation
    def sgd(
        self,
        p: Out,
        g: Array,
        velocity: Out | None,
        update: Update,
        momentum: float,
        nesterov: bool,
    ) -> None:
        """Stochastic gradient descent on a flat buffer, in PyTorch's formulation.

        ``g += weight_decay * p + l1 * sign(p); v = momentum * v + g; p -= lr * (g + momentum * v)``
        (Nesterov) or ``p -= lr * v`` (momentum) or ``p -= lr * g`` (velocity None).
        """

    @operation
    def adaptive(
        self, p: Out, g: Array, squares: Out, update: Update, keep: float, add: float, eps: float
    ) -> None:
        """AdaGrad (``keep = add = 1``) or RMSProp (``add = 1 - keep``) on a flat buffer.

        ``g += weight_decay * p + l1 * sign(p); squares = keep * squares + add * g**2;
        p -= lr * g / (sqrt(squares) + eps)``.
        """

    @operation
    def adam(
        self,
        p: Out,
        g: Array,
        m: Out,
        v: Out,
        update: Update,
        beta1: float,
        beta2: float,
        eps: float,
        decoupled: bool,
    ) -> None:
        """Adam (Kingma & Ba 2015, algorithm 1), or AdamW with decoupled decay, on a flat buffer.

        With ``t = counters[UPDATES] + 1``: ``m = beta1 m + (1 - beta1) g``,
        ``v = beta2 v + (1 - beta2) g**2``,
        ``p -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)``. Weight decay is added
        to `g`, or decoupled: ``p *= 1 - lr * weight_decay`` first (Loshchilov & Hutter 2019).
        `l1` as in `sgd`.
        """

    @operation
    def accumulate(self, g: Array, total: Out, weight: float, start: bool) -> None:
        """``total = weight * g`` to start with, else ``total += weight * g``, of flat buffers."""

    @operation
    def sum_of_squares(self, x: Array, total: Out, start: bool) -> None:
        """``total[0] = sum(x**2)`` to start with, else ``total[0] += sum(x**2)``.

        `x` is flat, `total` float64 (1,). The sum has a fixed order.
        """

    @operation
    def clip(self, x: Out, total: Array, limit: float) -> None:
        """Scale a flat array in place by ``limit / (norm + 1e-6)``, if that is below 1.

        ``norm = sqrt(total[0])``: see `sum_of_squares`. (Pascanu et al. 2013, with PyTorch's and
        the texts' 1e-6.) If the norm is NaN, the array stays as it is.
        """

    @operation
    def gather(
        self, source: Array, order: Array, counters: Array, batch_size: int, out: Out
    ) -> None:
        """Copy the current mini-batch: row i of `out` is ``source[order[start + i]]``.

        ``start = counters[STEP] * batch_size``; `order` is int64. A uint8 source becomes the
        output's real dtype scaled by 1/255; otherwise the dtypes are equal. A place beyond `order`,
        or a row beyond `source`, gives a row of NaN, or of -1 where the output's are integers.
        """

    @operation
    def advance(self, counters: Out, step: int, updates: int, forwards: int) -> None:
        """Add to the three counters, on the device."""
