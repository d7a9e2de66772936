"""What a callback may do to a trainer between two steps, each chosen by a number."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import nnkit
from nnkit.layers import Activation, Exponential, Layer
from tests.stress.random_networks import CHANGED, LAYER_VALUES, LOSS_VALUES, OPTIMIZER_VALUES

Change = Callable[[Any, np.random.Generator], Any]


def pick(rng: np.random.Generator, values: Any) -> Any:
    return values[int(rng.integers(len(values)))] if len(values) else None


def leaves(trainer: Any) -> list[Layer]:
    return [layer for _, layer in trainer.model.walk() if not layer.children()]


def learning_rate(trainer: Any, rng: np.random.Generator) -> None:
    trainer.optimizer.lr *= float(rng.choice([0.5, 0.9]))


def optimizer_option(trainer: Any, rng: np.random.Generator) -> None:
    optimizer = trainer.optimizer
    name = pick(rng, [name for name in optimizer.options if name != "nesterov"])
    value = pick(rng, OPTIMIZER_VALUES[name])
    if name == "momentum" and optimizer.nesterov:
        value = value or 0.7
    setattr(optimizer, name, value)


def nesterov(trainer: Any, rng: np.random.Generator) -> None:
    if getattr(trainer.optimizer, "momentum", 0):
        trainer.optimizer.nesterov = not trainer.optimizer.nesterov


def layer_option(trainer: Any, rng: np.random.Generator) -> None:
    found = [(x, name) for x in leaves(trainer) for name in x.options if name in CHANGED]
    if found:
        layer, name = pick(rng, found)
        setattr(layer, name, pick(rng, LAYER_VALUES[name]))


def loss_option(trainer: Any, rng: np.random.Generator) -> None:
    if hasattr(trainer.loss, "delta"):
        trainer.loss.delta = pick(rng, LOSS_VALUES["delta"])


def freeze_layer(trainer: Any, rng: np.random.Generator) -> None:
    layer = pick(rng, [x for _, x in trainer.model.walk()])
    layer.frozen = not layer.frozen


def freeze_parameter(trainer: Any, rng: np.random.Generator) -> None:
    parameters = trainer.model.parameters()
    if parameters:
        p = pick(rng, parameters)
        p.frozen = not p.frozen


def weight(trainer: Any, rng: np.random.Generator) -> None:
    parameters = trainer.model.parameters()
    if parameters:
        p = pick(rng, parameters)
        p.value = p.to_numpy() + 0.1 * rng.normal(size=p.shape)


def all_weights(trainer: Any, rng: np.random.Generator) -> None:
    for run in trainer.model.runs():
        run.values[...] *= 0.75


def restore_state(trainer: Any, rng: np.random.Generator) -> None:
    state = trainer.model.state()
    trainer.model.restore({name: a // 2 if name == "counters" else a for name, a in state.items()})


def running_averages(trainer: Any, rng: np.random.Generator) -> None:
    """New arrays in the place of the old."""
    for layer in leaves(trainer):
        for name, array in layer.own_buffers().items():
            setattr(layer, name, array + 0.5)


def evaluate(trainer: Any, rng: np.random.Generator) -> Any:
    x, t = trainer.data
    return trainer.evaluate(x, t, batch_size=int(rng.integers(1, 2 * len(x))))["loss"]


def predict(trainer: Any, rng: np.random.Generator) -> Any:
    x, _ = trainer.data
    trainer.predict(x, batch_size=int(rng.integers(1, 2 * len(x))))
    return trainer.predict_proba(x).sum()


def running(trainer: Any, rng: np.random.Generator) -> Any:
    if trainer.progress.step:
        return trainer.running()["loss"]
    return None


def call(trainer: Any, rng: np.random.Generator) -> None:
    """Use the model by itself, as it is now: in training mode, where dropout draws."""
    trainer.model(trainer.data[0][:3])


def backward(trainer: Any, rng: np.random.Generator) -> None:
    """Gradients that the next step must not take for its own."""
    y = trainer.model(trainer.data[0])
    trainer.model.backward(np.ones(y.shape))


def copy_of_trainer(trainer: Any, rng: np.random.Generator) -> None:
    copy.deepcopy(trainer)


def pickle_of_trainer(trainer: Any, rng: np.random.Generator) -> None:
    pickle.loads(pickle.dumps(trainer))


def copy_trains(trainer: Any, rng: np.random.Generator) -> None:
    """A copy that goes its own way leaves the trainer as it is."""
    twin = copy.deepcopy(trainer)
    twin.fit(*trainer.data, 1, len(trainer.data[0]))


def there_and_back(trainer: Any, rng: np.random.Generator) -> None:
    """To another backend and back."""
    home = trainer.model.backend.name
    trainer.model.to("numpy" if home == "numba" else "numba")
    trainer.model.to(home)


def part(trainer: Any, rng: np.random.Generator) -> None:
    """A model made of some of the layers, perhaps of frozen ones, which changes their weights."""
    model, frozen = trainer.model, bool(rng.integers(2))
    chosen = [x for x in leaves(trainer) if x.own_parameters() and (x.frozen or not frozen)]
    chosen = [x for x in chosen if rng.integers(3)]
    try:
        other = nnkit.Sequential(
            *chosen, backend=model.backend, dtype=model.dtype.name, fuse=model.fused
        )
    except ValueError:  # they do not go together
        return
    for p in other.parameters():
        p.value = 0.9 * p.to_numpy()


def replace(trainer: Any, rng: np.random.Generator) -> None:
    """Another activation in the place of one."""
    model = trainer.model
    places = [i for i, layer in enumerate(model) if isinstance(layer, Activation)]
    if places:
        model[pick(rng, places)] = nnkit.Sigmoid()


def insert(trainer: Any, rng: np.random.Generator) -> None:
    """Another layer, which draws random numbers."""
    trainer.model.insert(int(rng.integers(len(trainer.model))), nnkit.Dropout(0.3))


def pop(trainer: Any, rng: np.random.Generator) -> None:
    """A layer less, one that changes no shape."""
    model = trainer.model
    places = [
        i
        for i, (layer, behind) in enumerate(pairwise(model))
        if isinstance(layer, Activation | nnkit.Dropout) and not isinstance(behind, Exponential)
    ]
    if places:
        model.pop(pick(rng, places))


def model_mode(trainer: Any, rng: np.random.Generator) -> None:
    trainer.model.train(bool(rng.integers(2)))


def layer_mode(trainer: Any, rng: np.random.Generator) -> None:
    """Batch normalisation by its averages, say, up to the end of the epoch."""
    pick(rng, [x for _, x in trainer.model.walk()]).train(bool(rng.integers(2)))


def debug(trainer: Any, rng: np.random.Generator) -> None:
    trainer.model.debug = not trainer.model.debug


KEPT: tuple[Change, ...] = (
    *(learning_rate, optimizer_option, nesterov, layer_option, loss_option),
    *(freeze_layer, freeze_parameter, weight, all_weights, restore_state, running_averages),
    *(evaluate, predict, running, call, backward, copy_of_trainer, pickle_of_trainer),
    *(copy_trains, there_and_back, part, replace, insert, pop),
)
"""Changes that a copy or a checkpoint made after them has too."""
PASSING: tuple[Change, ...] = (model_mode, layer_mode, debug)
"""Changes that last to the end of the epoch, or that a checkpoint does not hold."""
CHANGES = {change.__name__: change for change in (*KEPT, *PASSING)}
