"""What a trainer is made of, checked there and then; what its methods are given: `arguments`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nnkit import losses, optimizers
from nnkit.given import names
from nnkit.given.options import shown
from nnkit.layers import Layer, Sequential
from nnkit.losses import Loss
from nnkit.optimizers import Optimizer


def checked_model(model: Any) -> Sequential:
    """Return the model; raises TypeError, with the remedy, for anything but a Sequential."""
    if isinstance(model, Sequential):
        return model
    if isinstance(model, Layer):
        raise TypeError(
            f"Trainer takes a Sequential, not a layer alone: write Sequential({shown(model)})"
        )
    if isinstance(model, list | tuple):
        raise TypeError("Trainer takes a Sequential, not a list: write Sequential(*layers)")
    raise names.refuse("Trainer takes a Sequential", model, Sequential)


def checked_loss(loss: Any) -> Loss:
    """Return the loss, made if it is a name, and the default one if there is none."""
    return losses.get("softmax_cross_entropy" if loss is None else loss)


def checked_optimizer(optimizer: Any) -> Optimizer:
    """Return the optimizer, made if it is a name, and the default one if there is none."""
    if isinstance(optimizer, int | float):
        raise TypeError(f"Trainer takes an optimizer, not a number: write SGD(lr={optimizer})")
    return optimizers.get("adam" if optimizer is None else optimizer)


def check_places(loss: Any, optimizer: Any) -> None:
    """Raise TypeError where each was given in the other's place."""
    if _is(loss, Optimizer, optimizers.get) or _is(optimizer, Loss, losses.get):
        raise TypeError(
            "loss and optimizer are in each other's place: write Trainer(model, loss, optimizer)"
        )


def _is(given: Any, base: type, named: Callable[[str], Any]) -> bool:
    """Whether it is an object of that class, the class itself, or a name of one."""
    if isinstance(given, str):
        with suppress(ValueError):
            return bool(named(given))
    return isinstance(given, base) or (isinstance(given, type) and issubclass(given, base))
