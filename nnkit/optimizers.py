"""Optimizers: one fused update over a model's flat parameter buffer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.model import Sequential


class Optimizer:
    """Changes parameters along their gradients.

    In a hand-written loop, call ``optimizer.step(model)`` after the backward pass. One optimizer
    serves one model: its state has the model's layout. `lr` may be changed between steps.
    """

    options: ClassVar[tuple[str, ...]]
    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state buffers, each as long as the parameters."""

    def __init__(self, lr: float, weight_decay: float) -> None:
        if not lr > 0:
            raise ValueError(f"{type(self).__name__}: lr must be positive, not {lr!r}")
        if not weight_decay >= 0:
            raise ValueError(f"{type(self).__name__}: weight_decay must not be negative")
        self.lr = float(lr)
        self.weight_decay = float(weight_decay)
        self.state: dict[str, Array] = {}
        self.counters: Array = None
        self._model: Sequential | None = None
        self._backend: Backend | None = None
        self._lr: Array = None
        self._lr_on_device = 0.0

    def attach(self, model: Sequential) -> None:
        """Make the state for a model, or move it where the model has gone.

        Raises ValueError if the optimizer serves another model already.
        """
        if self._model is not None and self._model is not model:
            raise ValueError(f"this {type(self).__name__} serves another model: make a new one")
        if self._backend is model.backend:
            return
        old, new = self._backend, model.backend
        flat = model.flat.values
        for name in self.used_slots():
            fresh = new.zeros(flat.shape, flat.dtype)
            if old is not None:
                fresh[...] = new.asarray(old.to_numpy(self.state[name]))
            self.state[name] = fresh
        counters = np.zeros(3, np.int64) if old is None else old.to_numpy(self.counters)
        self.counters = new.asarray(counters.copy())
        self._model, self._backend = model, new
        self._lr = new.asarray(np.array([self.lr]))
        self._lr_on_device = self.lr

    def used_slots(self) -> tuple[str, ...]:
        """Names of the state buffers this configuration needs."""
        return self.slots

    def step(self, model: Sequential) -> None:
        """Update the parameters from the gradients of the last backward pass."""
        self.attach(model)
        self.refresh()
        self.update(model)
        model.backend.advance(self.counters, 0, 1, 0)

    def update(self, model: Sequential) -> None:
        """Carry out the update alone: `refresh` and the counters are left to the trainer."""
        self._compute(model.backend, model.flat.values, model.flat.grads, self._lr)

    def refresh(self) -> None:
        """Bring a changed `lr` to the device, into the array that captured steps read."""
        if self.lr != self._lr_on_device:
            self._lr[...] = self._lr_on_device = self.lr

    def _compute(self, backend: Backend, p: Array, g: Array, lr: Array) -> None:
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Class name and constructor arguments, as JSON can hold them."""
        return {
            "class": type(self).__name__,
            **{name: getattr(self, name) for name in self.options},
        }

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.options)
        return f"{type(self).__name__}({arguments})"


class SGD(Optimizer):
    """Stochastic gradient descent: ``p -= lr g``; with momentum ``v = momentum v + g; p -= lr v``.

    Nesterov's form takes ``p -= lr (g + momentum v)`` (Sutskever et al. 2013, as PyTorch writes
    it). `weight_decay` adds ``weight_decay * p`` to the gradient.
    """

    options: ClassVar = ("lr", "momentum", "nesterov", "weight_decay")
    slots: ClassVar = ("velocity",)

    def __init__(
        self,
        lr: float = 0.1,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: momentum must be at least 0 and below 1, not {momentum!r}")
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)

    def used_slots(self) -> tuple[str, ...]:
        """A velocity, if there is momentum."""
        return self.slots if self.momentum else ()

    def _compute(self, backend: Backend, p: Array, g: Array, lr: Array) -> None:
        backend.sgd(
            p,
            g,
            self.state.get("velocity"),
            lr,
            self.counters,
            self.momentum,
            self.nesterov,
            self.weight_decay,
        )


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015): steps scaled by running means of the gradient and its square.

    `weight_decay` adds ``weight_decay * p`` to the gradient; `AdamW` decouples it.
    """

    options: ClassVar = ("lr", "beta1", "beta2", "eps", "weight_decay")
    slots: ClassVar = ("m", "v")
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        for name, beta in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {beta!r}")
        if not eps > 0:
            raise ValueError(f"eps must be positive, not {eps!r}")
        self.beta1, self.beta2, self.eps = float(beta1), float(beta2), float(eps)

    def _compute(self, backend: Backend, p: Array, g: Array, lr: Array) -> None:
        backend.adam(
            p,
            g,
            self.state["m"],
            self.state["v"],
            lr,
            self.counters,
            self.beta1,
            self.beta2,
            self.eps,
            self.weight_decay,
            self.decoupled,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay ``p *= 1 - lr weight_decay`` (Loshchilov & Hutter 2019)."""

    decoupled = True

    def __init__(
        self,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps, weight_decay)


OPTIMIZERS = {cls.__name__: cls for cls in (SGD, Adam, AdamW)}
