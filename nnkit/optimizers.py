"""Optimizers: one fused update over a model's flat parameter buffer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.backends.contract import Update
from nnkit.dtypes import arithmetic
from nnkit.model import Sequential


class Optimizer:
    """Changes parameters along their gradients.

    In a hand-written loop, call ``optimizer.step(model)`` after the backward pass. One optimizer
    serves one model: its state has the model's layout. `lr` may be changed between steps. Frozen
    parameters (see `Layer.frozen`) are passed over.

    Parameters
    ----------
    lr
        Learning rate, above 0.
    weight_decay
        Adds ``weight_decay * p`` to the gradient, that of the penalty ``weight_decay p^2 / 2``.
    l1
        Adds ``l1 * sign(p)`` to the gradient, that of the penalty ``l1 |p|``.
    clip_norm
        Longest gradient, all parameters together: a longer one is scaled down to this norm before
        penalties are added (Pascanu et al. 2013). None: no limit.
    """

    options: ClassVar[tuple[str, ...]]
    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state buffers, each as long as the parameters."""

    def __init__(
        self,
        lr: float,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        if not lr > 0:
            raise ValueError(f"{type(self).__name__}: lr must be positive, not {lr!r}")
        for name, value in (("weight_decay", weight_decay), ("l1", l1)):
            if not value >= 0:
                raise ValueError(f"{type(self).__name__}: {name} must not be negative")
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"{type(self).__name__}: clip_norm must be positive or None")
        self.lr = float(lr)
        self.weight_decay = float(weight_decay)
        self.l1 = float(l1)
        self.clip_norm = None if clip_norm is None else float(clip_norm)
        self.state: dict[str, Array] = {}
        self.counters: Array = None
        self._model: Sequential | None = None
        self._backend: Backend | None = None
        self._factors = np.ones(1)
        self._rates: Array = None
        self._lr_on_device = 0.0
        self._square: Array = None

    def attach(self, model: Sequential) -> None:
        """Make the state for a model, or move it where the model has gone.

        It is float32 for a model in a half dtype, and then has the parameters in float32 too, as
        "master": zeros at first, which the first update replaces (see `Backend.sgd`).

        Raises ValueError if the optimizer serves another model already.
        """
        if self._model is not None and self._model is not model:
            raise ValueError(f"this {type(self).__name__} serves another model: make a new one")
        if self._backend is model.backend:
            return
        old, new = self._backend, model.backend
        flat = model.flat.values
        real = arithmetic(flat.dtype)
        masters = () if flat.dtype == real else ("master",)
        for name in (*self.used_slots(), *masters):
            fresh = new.zeros(flat.shape, real)
            if old is not None:
                fresh[...] = new.asarray(old.to_numpy(self.state[name]))
            self.state[name] = fresh
        counters = np.zeros(3, np.int64) if old is None else old.to_numpy(self.counters)
        self.counters = new.asarray(counters.copy())
        self._square = new.zeros(1, np.float64)
        self._model, self._backend = model, new
        self._rates = new.zeros(1, np.float64)
        self.follow(np.ones(1))

    def used_slots(self) -> tuple[str, ...]:
        """Names of the state buffers this configuration needs."""
        return self.slots

    def step(self, model: Sequential) -> None:
        """Update the parameters from the gradients of the last backward pass."""
        self.attach(model)
        self.refresh()
        self.update(model, model.flat.grads)
        model.backend.advance(self.counters, 0, 1, 0)

    def update(self, model: Sequential, gradients: Array) -> None:
        """Carry out the update alone, by gradients in the layout of the model's flat buffers.

        `refresh` and the counters are left to the trainer.
        """
        backend, values = model.backend, model.flat.values
        parts = model.flat.trained()
        if self.clip_norm is not None:
            for part in parts:
                backend.sum_of_squares(gradients[part], self._square, part is parts[0])
            for part in parts:
                backend.clip(gradients[part], self._square, self.clip_norm)
        for part in parts:
            state = {name: buffer[part] for name, buffer in self.state.items()}
            self._compute(backend, values[part], gradients[part], state, self._rates)

    def follow(self, factors: np.ndarray[Any, Any]) -> None:
        """Take `lr` times factor i in step i of an epoch from now on; a single one in every step.

        As long as their number stays the same, captured steps get to know new factors.
        """
        assert self._backend is not None
        if len(factors) != len(self._rates):
            self._rates = self._backend.zeros(len(factors), np.float64)
        self._factors = factors
        self._send_rates()

    def refresh(self) -> None:
        """Bring a changed `lr` to the device, into the array that captured steps read."""
        if self.lr != self._lr_on_device:
            self._send_rates()

    def _send_rates(self) -> None:
        assert self._backend is not None
        self._rates[...] = self._backend.asarray(self.lr * self._factors)
        self._lr_on_device = self.lr

    def _compute(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], lr: Array
    ) -> None:
        raise NotImplementedError

    def _update(self, state: dict[str, Array], lr: Array) -> Update:
        master = state.get("master")
        return Update(lr, self.counters, self.weight_decay, self.l1, master)

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
    it). `weight_decay`, `l1` and `clip_norm`: see `Optimizer`.
    """

    options: ClassVar = ("lr", "momentum", "nesterov", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("velocity",)

    def __init__(
        self,
        lr: float = 0.1,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, l1, clip_norm)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: momentum must be at least 0 and below 1, not {momentum!r}")
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)

    def used_slots(self) -> tuple[str, ...]:
        """A velocity, if there is momentum."""
        return self.slots if self.momentum else ()

    def _compute(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], lr: Array
    ) -> None:
        backend.sgd(
            p,
            g,
            state.get("velocity"),
            self._update(state, lr),
            self.momentum,
            self.nesterov,
        )


class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al. 2011): ``h += g^2; p -= lr g / (sqrt(h) + eps)``.

    As PyTorch has it; many texts take eps = 1e-7. `weight_decay`, `l1` and `clip_norm`: see
    `Optimizer`.
    """

    options: ClassVar = ("lr", "eps", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("squares",)

    def __init__(
        self,
        lr: float = 0.01,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, l1, clip_norm)
        self.eps = _positive("AdaGrad", "eps", eps)

    def _compute(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], lr: Array
    ) -> None:
        backend.adaptive(p, g, state["squares"], self._update(state, lr), 1.0, 1.0, self.eps)


class RMSProp(Optimizer):
    """RMSProp: ``h = alpha h + (1 - alpha) g^2; p -= lr g / (sqrt(h) + eps)``.

    Tieleman & Hinton 2012, with eps outside the root as in PyTorch. `weight_decay`, `l1` and
    `clip_norm`: see `Optimizer`.
    """

    options: ClassVar = ("lr", "alpha", "eps", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("squares",)

    def __init__(
        self,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, l1, clip_norm)
        if not 0 <= alpha < 1:
            raise ValueError(f"RMSProp: alpha must be at least 0 and below 1, not {alpha!r}")
        self.alpha = float(alpha)
        self.eps = _positive("RMSProp", "eps", eps)

    def _compute(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], lr: Array
    ) -> None:
        means = self.alpha, 1 - self.alpha
        backend.adaptive(p, g, state["squares"], self._update(state, lr), *means, self.eps)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015): steps scaled by running means of the gradient and its square.

    `weight_decay` adds ``weight_decay * p`` to the gradient; `AdamW` decouples it. `l1` and
    `clip_norm`: see `Optimizer`.
    """

    options: ClassVar = ("lr", "beta1", "beta2", "eps", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("m", "v")
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, l1, clip_norm)
        for name, beta in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {beta!r}")
        self.beta1, self.beta2 = float(beta1), float(beta2)
        self.eps = _positive(type(self).__name__, "eps", eps)

    def _compute(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], lr: Array
    ) -> None:
        backend.adam(
            p,
            g,
            state["m"],
            state["v"],
            self._update(state, lr),
            self.beta1,
            self.beta2,
            self.eps,
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
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps, weight_decay, l1, clip_norm)


def _positive(owner: str, name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{owner}: {name} must be positive, not {value!r}")
    return float(value)


OPTIMIZERS = {cls.__name__: cls for cls in (SGD, AdaGrad, RMSProp, Adam, AdamW)}
