"""What the settings of the playground say, made: points, model, trainer, and the same as Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import nnkit
from nnkit import activations, initializers, losses
from nnkit.data.problems import GATES, problem
from nnkit.layers import BatchNorm1d, Dropout, Linear, Sequential, Sigmoid
from nnkit.play.playground.settings import Settings
from nnkit.play.wire import Array
from nnkit.training import Trainer

TEST_SEED = 2**32
"""What a seed is raised by for the points that are held out: no page has such a seed."""


class Call:
    """A call of something of nnkit's, to be made, and to be written as Python."""

    def __init__(self, function: Callable[..., Any], *given: Any, **options: Any) -> None:
        self.function, self.given, self.options = function, given, options

    def make(self) -> Any:
        """Carry it out."""
        made = [_made(value) for value in self.given]
        return self.function(*made, **{name: _made(x) for name, x in self.options.items()})

    def __str__(self) -> str:
        place = "nnkit.initializers." if self.function is initializers.normal else "nnkit."
        given = [_written(value) for value in self.given]
        given += [f"{name}={_written(value)}" for name, value in self.options.items()]
        return f"{place}{self.function.__name__}({', '.join(given)})"


INITIAL: dict[str, dict[str, Any]] = {
    "default": {},
    "xavier": {"init": "xavier"},
    "he": {"init": "he"},
    "small": {"init": Call(initializers.normal, 0.01)},
    "large": {"init": Call(initializers.normal, 2)},
}
"""Initial weights, as `Linear` takes them."""

OPTIMIZERS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "sgd": (nnkit.SGD, {}),
    "momentum": (nnkit.SGD, {"momentum": 0.9}),
    "nesterov": (nnkit.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (nnkit.AdaGrad, {}),
    "rmsprop": (nnkit.RMSProp, {}),
    "adam": (nnkit.Adam, {}),
    "adamw": (nnkit.AdamW, {}),
}
"""Classes by name, and options beside the learning rate and the decay."""


def points(settings: Settings, held_out: bool = False) -> tuple[Array, Array]:
    """Return the points to train on, or those held out, as `problem` does.

    A gate has no others.
    """
    seed = settings.seed + (TEST_SEED if held_out else 0)
    return problem(settings.problem, settings.points, settings.noise, seed)


def trainer(settings: Settings) -> Trainer:
    """Build the network, and what trains it."""
    layers = [layer.make() for layer in _layers(settings)]
    model = Sequential(*layers, seed=settings.seed, backend=settings.backend)
    return Trainer(model, _loss(settings).make(), _optimizer(settings).make())


def code(settings: Settings, epochs: int) -> str:
    """Return the lines of Python that train the same network for so many epochs, bit for bit."""
    drawn = f", points={settings.points}, noise={settings.noise}, seed={settings.seed}"
    lines = [
        "import nnkit",
        "from nnkit.data import problem",
        "",
        f'x, t = problem("{settings.problem}"{"" if settings.problem in GATES else drawn})',
        "model = nnkit.Sequential(",
        *(f"    {layer}," for layer in _layers(settings)),
        f"    seed={settings.seed},",
        f'    backend="{settings.backend}",',
        ")",
        f"trainer = nnkit.Trainer(model, {_loss(settings)}, {_optimizer(settings)})",
        f"trainer.fit(x, t, epochs={epochs}, batch_size={settings.batch_size})",
        "print(trainer.evaluate(x, t))",
    ]
    return "\n".join(lines) + "\n"


def _layers(settings: Settings) -> Iterator[Call]:
    initial, activation = INITIAL[settings.initial], activations.get(settings.activation)
    changed = {"approximate": True} if settings.activation == "gelu_tanh" else {}
    width = 1 if settings.problem == "sine" else 2
    for units in settings.hidden:
        yield Call(Linear, width, units, **initial)
        if settings.batch_norm:
            yield Call(BatchNorm1d, units)
        yield Call(type(activation), **changed)
        if settings.dropout:
            yield Call(Dropout, settings.dropout)
        width = units
    yield Call(Linear, width, 1, **initial)
    if settings.loss == "binary_cross_entropy":
        yield Call(Sigmoid)


def _loss(settings: Settings) -> Call:
    return Call(type(losses.get(settings.loss)))


def _optimizer(settings: Settings) -> Call:
    make, options = OPTIMIZERS[settings.optimizer]
    decay = {"weight_decay": settings.decay}
    usual = make(settings.lr, **options).weight_decay == settings.decay
    return Call(make, lr=settings.lr, **options, **({} if usual else decay))


def _made(value: Any) -> Any:
    return value.make() if isinstance(value, Call) else value


def _written(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else str(value)
