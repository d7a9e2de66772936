"""Activation functions by name, and as functions of any array.

    >>> nnkit.activations.sigmoid([-2, 1, 3])
    array([0.11920292, 0.73105858, 0.95257413])
    >>> nnkit.activations.get("leaky_relu")
    LeakyReLU(alpha=0.01)

A function computes on the backend that the array is of: a CuPy array gives a CuPy array, anything
else a NumPy array. float32 stays float32, other numbers become float64. The formulas, their
sources and limits are with the layers of the same names.

`get`, `serialize` and `deserialize` do as those of `keras.activations`, with layers in place of
functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.backends import Array, Backend, current_backend, get_backend
from nnkit.dtypes import is_number
from nnkit.given.arrays import on_device
from nnkit.given.missing import missing
from nnkit.given.names import find
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers import Identity, Layer
from nnkit.layers.activations import ELU, GELU, Activation, LeakyReLU
from nnkit.layers.named import BY_NAME, CLASSES, ELEMENTWISE, VARIANTS

NAMES = (*BY_NAME,)
"""What `get` takes. Keras's names, and "gelu_tanh" for ``GELU(approximate=True)``."""

HIDDEN = (*(kind for kind, cls in ELEMENTWISE.items() if cls.hidden), *VARIANTS, "prelu")
"""Those that suit a hidden layer: they have a useful gradient and are no linear function."""


def get(activation: Any) -> Layer:
    """Return the activation as a layer.

    Parameters
    ----------
    activation
        A name of `NAMES` (in any case, with or without underscores), a function of this module, a
        class, a layer, which is returned as it is, or what `serialize` returned. None is
        `Identity`.

    Raises ValueError for an unknown name, TypeError for anything else.
    """
    if activation is None:
        return Identity()
    if isinstance(activation, Layer):
        return activation
    if isinstance(activation, type) and issubclass(activation, Layer):
        return activation()
    if isinstance(activation, dict):
        return _from_config(activation)
    if getattr(activation, "__module__", None) == __name__:
        activation = activation.__name__
    if not isinstance(activation, str):
        raise TypeError(f"an activation is a name, a layer or its class, not {activation!r}")
    return find(activation, BY_NAME, "activation")()


def serialize(activation: Any) -> str | dict[str, Any]:
    """Return the name of an activation, or where no name says it all, its configuration.

    `activation` is whatever `get` takes. Both can be written as JSON and are read by `deserialize`.
    """
    config = get(activation).config()
    for name in (*CLASSES, *VARIANTS):
        if get(name).config() == config:
            return name
    return config


def deserialize(config: str | dict[str, Any]) -> Layer:
    """Return the layer that `serialize` was given, or one like it."""
    return get(config)


def _from_config(config: dict[str, Any]) -> Layer:
    options = dict(config)
    name = options.pop("class", None)
    classes = {cls.__name__: cls for cls in CLASSES.values()}
    if name not in classes:
        raise ValueError(f"unknown activation class {name!r}: choose one of {', '.join(classes)}")
    return classes[name](**options)


def derivative(activation: Any, x: Any) -> Array:
    """Return f'(x) of each element; `activation` is whatever `get` takes.

    Raises ValueError where the function is not of single elements, or has no gradient (step).
    """
    layer = get(activation)
    if not isinstance(layer, Activation):
        raise ValueError(f"{layer!r} is not a function of single elements: it has no derivative")
    array, backend = _placed(x)
    kind, alpha = layer.kind, layer.alpha
    by_input = ACTIVATIONS[kind].saved == "x"
    saved = array if by_input else backend.activation(kind, array, alpha=alpha)
    return backend.activation_backward(kind, backend.xp.ones_like(array), saved, alpha=alpha)


def _placed(x: Any) -> tuple[Array, Backend]:
    """Return x as an array of reals, and the backend to compute on."""
    current = current_backend()
    if current.owns(x):
        backend = current
    elif on_device(x):
        backend = current if current.name == "cupy" else get_backend("cupy")
        x = backend.asarray(x)
    else:
        x = get_backend("numpy").asarray(x)
        backend = current if current.owns(x) else get_backend("numpy")
    if not is_number(x.dtype):
        raise TypeError(f"numbers expected, but the input has dtype {x.dtype}")
    dtype = np.dtype(np.float32 if x.dtype == np.float32 else np.float64)
    return backend.asarray(x, dtype), backend


def _apply(kind: str, x: Any, alpha: float = 0.0) -> Array:
    array, backend = _placed(x)
    return backend.activation(kind, array, alpha=alpha)


def identity(x: Any) -> Array:
    """A copy of x; also `linear`."""
    return _apply("identity", x)


def step(x: Any) -> Array:
    """1 where x > 0, else 0; see `nnkit.Step`."""
    return _apply("step", x)


def sigmoid(x: Any) -> Array:
    """``1 / (1 + exp(-x))``; see `nnkit.Sigmoid`."""
    return _apply("sigmoid", x)


def tanh(x: Any) -> Array:
    """``tanh(x)``; see `nnkit.Tanh`."""
    return _apply("tanh", x)


def relu(x: Any) -> Array:
    """``max(x, 0)``; see `nnkit.ReLU`."""
    return _apply("relu", x)


def leaky_relu(x: Any, alpha: float = 0.01) -> Array:
    """x where x > 0, else ``alpha x``; see `nnkit.LeakyReLU`, and `nnkit.PReLU` to learn alpha."""
    return _apply("leaky_relu", x, LeakyReLU(alpha).alpha)


def elu(x: Any, alpha: float = 1.0) -> Array:
    """x where x > 0, else ``alpha (exp(x) - 1)``; see `nnkit.ELU`."""
    return _apply("elu", x, ELU(alpha).alpha)


def selu(x: Any) -> Array:
    """``1.0507 x`` where x > 0, else ``1.7581 (exp(x) - 1)``; see `nnkit.SELU`."""
    return _apply("selu", x)


def gelu(x: Any, approximate: bool = False) -> Array:
    """``x Phi(x)``, or with `approximate` its tanh form; see `nnkit.GELU`."""
    return _apply(GELU(approximate).kind, x)


def softplus(x: Any) -> Array:
    """``log(1 + exp(x))``; see `nnkit.Softplus`."""
    return _apply("softplus", x)


def softsign(x: Any) -> Array:
    """``x / (1 + |x|)``; see `nnkit.Softsign`."""
    return _apply("softsign", x)


def silu(x: Any) -> Array:
    """``x sigmoid(x)``; also `swish`; see `nnkit.SiLU`."""
    return _apply("silu", x)


def hard_sigmoid(x: Any) -> Array:
    """``min(max(x + 3, 0), 6) / 6``; see `nnkit.HardSigmoid`."""
    return _apply("hard_sigmoid", x)


def exponential(x: Any) -> Array:
    """``exp(x)``; see `nnkit.Exponential`."""
    return _apply("exponential", x)


def softmax(x: Any) -> Array:
    """``exp(x) / sum(exp(x))`` along the last axis, of at least one; see `nnkit.Softmax`."""
    array, backend = _placed(x)
    return backend.softmax(array)


def log_softmax(x: Any) -> Array:
    """``x - log(sum(exp(x)))`` along the last axis, of at least one; see `nnkit.LogSoftmax`."""
    array, backend = _placed(x)
    return backend.log_softmax(array)


linear, swish = identity, silu


def __getattr__(name: str) -> Callable[..., Array]:
    """Make the function of an activation that is declared, but not written out above."""
    if name not in ELEMENTWISE:
        raise missing(__name__, name, NAMES)
    cls = ELEMENTWISE[name]

    def function(x: Any, *options: Any, **named: Any) -> Array:
        layer = cls(*options, **named)
        return _apply(layer.kind, x, layer.alpha)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{ACTIVATIONS[name].formula}``; see `nnkit.{cls.__name__}`."
    globals()[name] = function
    return function
