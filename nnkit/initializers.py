"""Initial weights. Drawn on the host from NumPy's Philox, so that every backend starts alike."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nnkit.backends import get_backend
from nnkit.given import names
from nnkit.given.missing import missing
from nnkit.given.options import number, shown


class Initializer(Protocol):
    """A function of a generator and a shape that returns float64 values; see `fans`."""

    def __call__(  # noqa: D102
        self, rng: np.random.Generator, shape: tuple[int, ...], /
    ) -> np.ndarray[Any, Any]: ...


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers that each output is made of, and outputs that each input has a part in.

    For (in, out) of a linear layer these; for kernels (height, width, in, out) times their pixels.
    """
    pixels = prod(shape[:-2])
    return pixels * shape[max(0, len(shape) - 2)], pixels * shape[-1]


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """All zeros: the usual start of a bias."""
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """All ones: the usual start of a scale."""
    return np.ones(shape)


def constant(value: float) -> Initializer:
    """Make the initialiser that gives every element this value."""
    return partial(_full, number().checked("constant: value", value))


def _full(value: float, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.full(shape, value)


def normal(deviation: float = 0.01) -> Initializer:
    """Make the initialiser of normal numbers with mean 0 and this standard deviation.

    The default is what many texts begin with; behind many layers of that all outputs vanish.
    """
    return partial(_normal, number(least=0).checked("normal: deviation", deviation))


def _normal(
    deviation: float, rng: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    return rng.normal(0, deviation, shape)


def xavier(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Uniform in ±sqrt(6 / (fan_in + fan_out)); suits sigmoid and tanh (Glorot & Bengio 2010)."""
    limit = np.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-limit, limit, shape)


def he(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Normal with variance 2 / fan_in; suits ReLU (He et al. 2015)."""
    return rng.normal(0, np.sqrt(2 / fans(shape)[0]), shape)


def lecun(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Normal with variance 1 / fan_in (LeCun et al. 1998); suits SELU (Klambauer et al. 2017)."""
    return rng.normal(0, np.sqrt(1 / fans(shape)[0]), shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Matrix with orthonormal columns, or rows if it is wide, drawn evenly (Saxe et al. 2014).

    Kernels (height, width, in, out) are the matrix (height width in, out).

    Q of a normal matrix's QR decomposition, its signs chosen to make R's diagonal positive
    (Mezzadri 2007). Raises ValueError for a shape that is not of a matrix.
    """
    if len(shape) == 4:
        return orthogonal(rng, (prod(shape[:3]), shape[3])).reshape(shape)
    if len(shape) != 2:
        raise ValueError(f"orthogonal initial values are for a matrix, not for shape {shape}")
    rows, columns = max(shape), min(shape)
    q, r = np.linalg.qr(rng.normal(size=(rows, columns)))
    q *= np.sign(np.diag(r))
    return q if shape == q.shape else q.T


INITIALIZERS: dict[str, Initializer] = {
    "zeros": zeros,
    "ones": ones,
    "xavier": xavier,
    "he": he,
    "lecun": lecun,
    "normal": normal(),
    "orthogonal": orthogonal,
}


Init = Any
"""What `get` takes: a name, a function of a generator and a shape, or an array."""


def get(init: Init) -> Initializer:
    """Return the initialiser of that name; a function is itself, an array is the value to take.

    Raises ValueError for an unknown name, for NaN and infinity, and, when called, for an array of
    another shape; TypeError for anything else.
    """
    if isinstance(init, str):
        return names.find(init, INITIALIZERS, "initialiser")
    if callable(init):
        if init in (normal, constant):
            raise TypeError(f"{init.__name__} makes an initialiser: write {init.__name__}(...)")
        function: Initializer = init
        return function
    given = get_backend("numpy").asarray(init)
    try:
        values = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"initial values must be a name ({', '.join(INITIALIZERS)}), a function of (generator, "
            f"shape), or an array of numbers, not {shown(init)}"
        ) from error
    if not np.isfinite(values).all():
        raise ValueError("initial values hold NaN or infinity")
    return partial(_given, values)


def _given(
    values: np.ndarray[Any, Any], rng: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    if values.shape != shape:
        hint = turned(values.shape, shape)
        raise ValueError(f"initial values of shape {values.shape} for a parameter of {shape}{hint}")
    return values


def turned(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say, for an error, how to turn an array of one shape into one of the other; "" if none is so.

    PyTorch has the axes of a weight the other way round, but for height and width of a kernel.
    """
    if sorted(given) != sorted(wanted):
        return ""
    if len(given) == 2:
        return "; give it as x.T"
    theirs = [(2, 3, 1, 0)] if len(given) == 4 else []
    orders = [*theirs, *permutations(range(len(given)))]
    order = next(each for each in orders if tuple(given[i] for i in each) == wanted)
    whose = ", as PyTorch's weights are turned" if order in theirs else ""
    return f"; give it as x.transpose{order}{whose}"


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, INITIALIZERS)
