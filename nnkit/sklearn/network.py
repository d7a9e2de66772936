"""Any model behind scikit-learn's interface: how it is built and fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from nnkit.augment import Augmentation
from nnkit.backends import Backend, use_backend
from nnkit.layers import Sequential
from nnkit.layers.seeds import seeds_from
from nnkit.losses import Loss
from nnkit.optimizers import Optimizer
from nnkit.schedules import Schedule
from nnkit.sklearn import checks
from nnkit.sklearn.estimator import Estimator
from nnkit.training import Callback, History, Trainer

Build = Callable[[int, int], Sequential]
"""Makes a model for so many features and outputs."""

MOST_SEED = 2**31
"""Seeds are drawn below it."""


class Network(Estimator):
    """Fits the model that a function builds; see `NetworkClassifier`."""

    history_: History
    """What was recorded in the last fit; `partial_fit` begins a new one."""
    loss_: float
    n_iter_: int
    n_outputs_: int
    _loss: Loss
    _trainer: Trainer

    def __init__(
        self,
        build: Build,
        *,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        validation_split: float | None = None,
        scale: float = 1.0,
        shuffle: bool = True,
        schedule: Schedule | None = None,
        augment: Augmentation | Sequence[Augmentation] | None = None,
        callbacks: Sequence[Callback] | None = None,
        backend: str | Backend | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: bool = False,
    ) -> None:
        self.build = build
        self.loss = loss
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_split = validation_split
        self.scale = scale
        self.shuffle = shuffle
        self.schedule = schedule
        self.augment = augment
        self.callbacks = callbacks
        self.backend = backend
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Build a model for rows X (n, features) and targets y, and train it.

        X may be an array, a data frame or a sparse matrix; `sample_weight` (n,) are weights of its
        rows. Raises ValueError or TypeError for data and parameters that cannot be, and
        `nnkit.DivergenceError` where training diverges.
        """
        return self._fit(X, y, sample_weight, once=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, once: bool) -> Self:
        checks.check(self, checks.NETWORK)
        first = not hasattr(self, "model_") or not (self.warm_start or once)
        X, t = self._prepared(X, y, first, once)
        weights = self._weighted(self._weights(sample_weight, X.shape[0]), y)
        random = check_random_state(self.random_state)
        seed = int(random.randint(MOST_SEED))
        if first:
            self.model_, self.n_iter_ = self._built(X.shape[1], random), 0
        if first or not once:
            optimizer = deepcopy(self.optimizer)  # one serves one model
            self._trainer = Trainer(self.model_, self._loss, optimizer)
        self.history_ = self._trainer.fit(
            X,
            t,
            1 if once else self.epochs,
            min(self.batch_size, self._trained(X.shape[0])),
            sample_weight=weights,
            validation_split=None if once else self.validation_split,
            scale=self.scale,
            seed=seed,
            shuffle=self.shuffle,
            callbacks=self.callbacks or (),
            schedule=self.schedule,
            augment=self.augment,
            progress=bool(self.verbose),
        )
        self.n_iter_ += len(self.history_)
        self.loss_ = self.history_.loss[-1]
        return self

    def _built(self, features: int, random: np.random.RandomState) -> Sequential:
        """The model, with seeds drawn by `random` where it says none itself."""
        place = nullcontext() if self.backend is None else use_backend(self.backend)
        with place, seeds_from(lambda: int(random.randint(MOST_SEED))):
            model = self.build(features, self.n_outputs_)
        call = f"build({features}, {self.n_outputs_})"
        if not isinstance(model, Sequential):
            raise TypeError(
                f"{type(self).__name__}: {call} must return a nnkit.Sequential, not "
                f"{type(model).__name__}"
            )
        if model.out_features not in (None, self.n_outputs_):
            raise ValueError(
                f"{type(self).__name__}: {call} must return a model of {self.n_outputs_} outputs, "
                f"but its last layer gives {model.out_features}: make it as wide as the second "
                "argument says"
            )
        return model

    def _trained(self, n: int) -> int:
        """How many of n rows are left for training."""
        return n - round(n * (self.validation_split or 0))

    def _weighted(self, weights: Any, y: Any) -> Any:
        """Weights of the examples, with those of their classes where there are such."""
        return weights

    def _prepared(self, X: Any, y: Any, first: bool, once: bool) -> tuple[Any, Any]:
        """Check data, and settle `n_outputs_` and `_loss`."""
        raise NotImplementedError
