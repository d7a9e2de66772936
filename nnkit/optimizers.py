"""Optimizers: one fused update over the runs of memory that a model's parameters lie in."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.backends.contract import Update
from nnkit.configured import Configured
from nnkit.dtypes import arithmetic
from nnkit.given import names
from nnkit.given.missing import missing
from nnkit.given.options import flag, number
from nnkit.layers import Layer, Sequential
from nnkit.parameters import Parameter, Run, find_runs, total_room, views

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "Optimizer", "RMSProp"]

State = tuple[Mapping[str, Sequence[np.ndarray[Any, Any]]], np.ndarray[Any, Any]]
"""Arrays by slot, one per parameter, and the counters."""


class Optimizer(Configured):
    """Changes parameters along their gradients.

    In a hand-written loop, call ``optimizer.step(model)`` after the backward pass. One optimizer
    serves one model, of which it keeps a state for each parameter; a copy serves another. All
    options may be changed between steps. Frozen parameters (see `Layer.frozen`) are passed over.
    A subclass writes `apply`.

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

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state buffers, each as long as the parameters."""

    capturable: ClassVar[bool] = False
    """As for layers: whether `apply` does nothing but call operations of the backend."""

    live: ClassVar[tuple[str, ...]] = ("lr",)
    """Options that a captured step reads from the device: changing them does not need another."""

    lr: float = number(
        least=0, hint=(Callable, "a schedule of rates is given to Trainer.fit(schedule=...)")
    )
    weight_decay: float = number(least=0)
    l1: float = number(least=0)
    clip_norm: float | None = number(above=0, none=True)

    def __init__(
        self,
        lr: float,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.l1 = l1
        self.clip_norm = clip_norm
        self.slot_arrays: dict[str, Array] = {}
        """State buffers by slot, each as long as the parameters with their room."""
        self.counters: Array = None
        self._parameters: list[Parameter] = []
        self._saved: State | None = None
        self._backend: Backend | None = None
        self._factors = np.ones(1)
        self._rates: Array = None
        self._lr_on_device = 0.0
        self._square: Array = None

    def attach(self, model: Layer) -> None:
        """Make the state for a model's parameters, or bring it where they have gone.

        It is float32 for a model in a half dtype, and then has the parameters in float32 too, as
        "master": zeros at first, which the first update replaces (see `Backend.sgd`). Where layers
        were added or taken out, the state of those that stayed is kept.

        Raises ValueError if the optimizer serves another model already.
        """
        parameters, backend = model.parameters(), model.backend
        dtype = np.dtype(model.dtype)
        half = arithmetic(dtype) != dtype
        names = (*self.used_slots(), *(("master",) if half else ()))
        there = backend is self._backend and parameters == self._parameters
        if there and self._saved is None and self.slot_arrays.keys() >= set(names):
            return
        slots, counters = self._saved_for(parameters)
        self.slot_arrays = {}
        for name in {**slots, **dict.fromkeys(names)}:
            array = backend.zeros(total_room(parameters), arithmetic(dtype))
            for view, value in zip(views(parameters, array), slots.get(name, ()), strict=False):
                if value is not None:
                    view[...] = backend.asarray(value)
            self.slot_arrays[name] = array
        self.counters = backend.asarray(counters.copy())
        self._square = backend.zeros(1, np.float64)
        self._parameters, self._backend, self._saved = parameters, backend, None
        self._rates = backend.zeros(len(self._factors), np.float64)
        self._send_rates()

    def _saved_for(
        self, parameters: Sequence[Parameter]
    ) -> tuple[dict[str, list[np.ndarray[Any, Any] | None]], np.ndarray[Any, Any]]:
        """What is known of these parameters, None where nothing is, and the counters."""
        slots, counters = self.state()
        if self._saved is not None:
            for name, arrays in slots.items():
                if [a.shape for a in arrays] != [p.shape for p in parameters]:
                    raise ValueError(
                        f"this {type(self).__name__} has a state ({name}) for parameters of other "
                        "shapes: make a new one for this model"
                    )
            return {name: list(arrays) for name, arrays in slots.items()}, counters
        if self._parameters and parameters and not {*self._parameters} & {*parameters}:
            raise ValueError(f"this {type(self).__name__} serves another model: make a new one")
        places = {p: i for i, p in enumerate(self._parameters)}
        found = {
            name: [arrays[places[p]] if p in places else None for p in parameters]
            for name, arrays in slots.items()
        }
        return found, counters

    def used_slots(self) -> tuple[str, ...]:
        """Names of the state buffers this configuration needs."""
        return self.slots

    def state(self) -> State:
        """Copy the state to the host: arrays by slot, one per parameter, and the counters."""
        if self._saved is not None:
            return self._saved
        if self._backend is None:
            return {}, np.zeros(3, np.int64)
        to_numpy = self._backend.to_numpy
        slots = {
            name: [to_numpy(view).copy() for view in views(self._parameters, array)]
            for name, array in self.slot_arrays.items()
        }
        return slots, to_numpy(self.counters).copy()

    def restore(self, state: State) -> None:
        """Take over what `state` gave.

        The optimizer serves the next model it is used with, whose parameters must have the same
        shapes, and goes on where the other was.
        """
        self._saved = state
        self._parameters, self._backend = [], None

    def __getstate__(self) -> dict[str, Any]:
        passing = ("slot_arrays", "counters", "_rates", "_square", "_saved")
        rest = {name: value for name, value in vars(self).items() if name not in passing}
        alone: dict[str, Any] = {"_parameters": [], "_backend": None, "_factors": np.ones(1)}
        return {**rest, **alone, "_saved": self.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, slot_arrays={}, counters=None, _rates=None, _square=None)

    def step(self, model: Layer) -> None:
        """Update the parameters from the gradients of the last backward pass.

        Warns if the model has dropout or batch normalisation, and nobody has chosen a mode for it:
        in evaluation mode, in which it is built, these do not train.
        """
        _check_mode(model)
        with model.held():
            model.settle()
            self.attach(model)
            self.refresh()
            self.update(find_runs(model.parameters(), trained=True))
            model.backend.advance(self.counters, 0, 1, 0)

    def update(self, runs: Sequence[Run], gradients: Array = None) -> None:
        """Carry out the update alone, of the runs that are not frozen.

        `gradients` is a flat buffer for all parameters to take them from; None: the runs' own.
        `refresh` and the counters are left to the trainer.
        """
        backend = self._backend
        assert backend is not None
        grads = [run.grads if gradients is None else run.of(gradients) for run in runs]
        if self.clip_norm is not None:
            for i, g in enumerate(grads):
                backend.sum_of_squares(g, self._square, i == 0)
            for g in grads:
                backend.clip(g, self._square, self.clip_norm)
        for run, g in zip(runs, grads, strict=True):
            state = {name: run.of(array) for name, array in self.slot_arrays.items()}
            penalties = self.weight_decay, self.l1
            update = Update(self._rates, self.counters, *penalties, state.get("master"))
            self.apply(backend, run.values, g, state, update)

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

    @property
    def last_lr(self) -> float:
        """Learning rate of the latest step in `Trainer.fit`: with the schedule's factor.

        In an epoch's end that is the rate of its last step, whatever `lr` has been set to since.
        """
        return self._lr_on_device * float(self._factors[-1])

    def _send_rates(self) -> None:
        assert self._backend is not None
        self._rates[...] = self._backend.asarray(self.lr * self._factors)
        self._lr_on_device = self.lr

    def live_arrays(self) -> tuple[Array, ...]:
        """Arrays on the device that steps read, besides the state."""
        return self.counters, self._rates, self._square

    def apply(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], update: Update
    ) -> None:
        """Change p by its gradient g: what an optimizer is. All arrays are flat.

        `state` has those of `used_slots`, which the update changes too; `update` has the learning
        rate and the counters on the device, and the penalties: see `Backend.sgd`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define apply")


class SGD(Optimizer):
    """Stochastic gradient descent: ``p -= lr g``; with momentum ``v = momentum v + g; p -= lr v``.

    Nesterov's form takes ``p -= lr (g + momentum v)`` (Sutskever et al. 2013, as PyTorch writes
    it). `weight_decay`, `l1` and `clip_norm`: see `Optimizer`.
    """

    capturable = True
    options: ClassVar = ("lr", "momentum", "nesterov", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("velocity",)
    momentum: float = number(least=0, below=1)
    nesterov: bool = flag()

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
        self.momentum = momentum
        self.nesterov = nesterov
        if self.nesterov and self.momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")

    def used_slots(self) -> tuple[str, ...]:
        """A velocity, if there is momentum."""
        return self.slots if self.momentum else ()

    def apply(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], update: Update
    ) -> None:
        """Carry out the formula above."""
        backend.sgd(
            p,
            g,
            state["velocity"] if self.momentum else None,
            update,
            self.momentum,
            self.nesterov,
        )


class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al. 2011): ``h += g^2; p -= lr g / (sqrt(h) + eps)``.

    As PyTorch has it; many texts take eps = 1e-7. `weight_decay`, `l1` and `clip_norm`: see
    `Optimizer`.
    """

    capturable = True
    options: ClassVar = ("lr", "eps", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("squares",)
    eps: float = number(above=0)

    def __init__(
        self,
        lr: float = 0.01,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, l1, clip_norm)
        self.eps = eps

    def apply(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], update: Update
    ) -> None:
        """Carry out the formula above."""
        backend.adaptive(p, g, state["squares"], update, 1.0, 1.0, self.eps)


class RMSProp(Optimizer):
    """RMSProp: ``h = alpha h + (1 - alpha) g^2; p -= lr g / (sqrt(h) + eps)``.

    Tieleman & Hinton 2012, with eps outside the root as in PyTorch. `weight_decay`, `l1` and
    `clip_norm`: see `Optimizer`.
    """

    capturable = True
    options: ClassVar = ("lr", "alpha", "eps", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("squares",)
    alpha: float = number(least=0, below=1)
    eps: float = number(above=0)

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
        self.alpha = alpha
        self.eps = eps

    def apply(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], update: Update
    ) -> None:
        """Carry out the formula above."""
        alpha = self.alpha
        backend.adaptive(p, g, state["squares"], update, alpha, 1 - alpha, self.eps)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015): steps scaled by running means of the gradient and its square.

    `weight_decay` adds ``weight_decay * p`` to the gradient; `AdamW` decouples it. `l1` and
    `clip_norm`: see `Optimizer`.
    """

    capturable = True
    options: ClassVar = ("lr", "beta1", "beta2", "eps", "weight_decay", "l1", "clip_norm")
    slots: ClassVar = ("m", "v")
    decoupled: ClassVar[bool] = False
    beta1: float = number(least=0, below=1)
    beta2: float = number(least=0, below=1)
    eps: float = number(above=0)

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
        self.beta1, self.beta2 = beta1, beta2
        self.eps = eps

    def apply(
        self, backend: Backend, p: Array, g: Array, state: dict[str, Array], update: Update
    ) -> None:
        """Carry out the formula above."""
        backend.adam(
            p,
            g,
            state["m"],
            state["v"],
            update,
            self.beta1,
            self.beta2,
            self.eps,
            self.decoupled,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay ``p *= 1 - lr weight_decay`` (Loshchilov & Hutter 2019)."""

    capturable = True
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


def _check_mode(model: Layer) -> None:
    """Warn of a loop in evaluation mode that nobody has chosen."""
    if model.training or not isinstance(model, Sequential) or model.mode_chosen:
        return
    for path, layer in model.walk():
        if not layer.training and (layer.stochastic or layer.buffer_names):
            model.mode_chosen = True  # one warning is enough
            warnings.warn(
                f"the model is trained in evaluation mode, in which layer {path}, {layer!r}, does "
                "not train: call model.train() before the loop, or model.eval() if that is meant",
                stacklevel=3,
            )
            return


OPTIMIZERS: dict[str, type[Optimizer]] = {
    name: globals()[name] for name in __all__ if name != "Optimizer"
}
"""What a checkpoint may name: those of this file, not a user's."""

_NAMED: dict[str, Callable[[], Optimizer]] = {name.lower(): cls for name, cls in OPTIMIZERS.items()}
_NAMED["momentum"] = partial(SGD, momentum=0.9)


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer of that name, with its default options; an optimizer is itself.

    Names are those of the classes, "adam" or "Adam", and "momentum" for ``SGD(momentum=0.9)``.
    Raises ValueError for an unknown name, TypeError for anything else.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        return names.find(optimizer, _NAMED, "optimizer")()
    wanted = 'the optimizer must be one such as Adam(lr=0.001) or "adam"'
    raise names.refuse(wanted, optimizer, Optimizer)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
