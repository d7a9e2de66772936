"""The multi-layer perceptron behind `MLPClassifier` and `MLPRegressor`: how it is fitted."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from nnkit.losses import Loss
from nnkit.sklearn import building, checks
from nnkit.sklearn.epochs import make_epochs
from nnkit.sklearn.lbfgs import Surface, minimise
from nnkit.sklearn.objective import objective
from nnkit.sklearn.parameters import Parameters
from nnkit.sklearn.setting_aside import Examples
from nnkit.sklearn.weights import Weighted
from nnkit.training import Trainer
from nnkit.training.compiling import compilation_shown

FIGURES = "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"
"""Attributes that only solvers which make epochs have; see `Convergence`."""


def is_stochastic(estimator: Perceptron) -> bool:
    """Whether the solver goes by batches; AttributeError says that `partial_fit` needs one."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers, and lbfgs is not: take "
            "solver='adam' or 'sgd'"
        )
    return True


class Perceptron(Weighted, Parameters):
    """Fits a perceptron by the rules of scikit-learn's, whose random numbers it draws, too.

    The same `random_state` gives the same initial weights and orders of examples there and here, so
    that both train the same network, but for rounding. (Adam's epsilon stands outside of the root's
    correction here, as in the paper, which weights notice whose gradients are about as small. With
    weights of rows and several batches scikit-learn divides by the sum of each batch's weights,
    where a trainer makes the mean of all of them 1.)
    """

    n_iter_: int
    n_layers_: int
    n_outputs_: int
    t_: int
    loss_: float
    out_activation_: str
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    _loss: Loss
    """What is minimised, without the penalty."""
    _no_improvement_count: int
    _trainer: Trainer | None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows X (n, features) and targets y, (n,) or (n, outputs).

        X may be an array, a data frame or a sparse matrix; `sample_weight` (n,) are weights of its
        rows, or one number. Raises ValueError or TypeError for data and parameters that cannot be,
        and ValueError where the model diverges. Warns (`ConvergenceWarning`) where `max_iter` ends
        it, and (`nnkit.DivergenceWarning`) where the best weights of early stopping are kept though
        the model diverged.
        """
        return self._fit(X, y, sample_weight, once=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, once: bool) -> Self:
        checks.check_perceptron(self)
        hidden = building.hidden_sizes(self)
        building.hidden_activation(self)
        if once and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: set it to False, or call fit"
            )
        first = not hasattr(self, "model_") or not (self.warm_start or once)
        X, t = self._prepared(X, y, first, once)
        examples = Examples(X, t, self._weights(sample_weight, X.shape[0]))
        random = check_random_state(self.random_state)
        units = [X.shape[1], *hidden, self.n_outputs_]
        if first:
            self._begin(units, X.dtype, random)
        elif building.units(self.model_) != units:
            raise ValueError(
                f"the model has layers of {building.units(self.model_)} units and cannot go on "
                f"with {units}: keep hidden_layer_sizes, or fit with warm_start=False"
            )
        with compilation_shown(), np.errstate(over="ignore", invalid="ignore"):
            if self.solver == "lbfgs":
                minimise(self, Surface(self.model_, objective(self, examples), *examples))
            else:
                make_epochs(self, examples, random, once)
        if not np.isfinite(self.model_.backend.to_numpy(self.model_.flat.values)).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed: scale them, with StandardScaler() for "
                "instance, or lower learning_rate_init"
            )
        return self

    def _begin(self, units: list[int], dtype: Any, random: np.random.RandomState) -> None:
        """Have a new model, and no figures yet."""
        name = self.dtype if isinstance(self.dtype, str) else np.dtype(self.dtype or dtype).name
        self.model_ = building.perceptron(self, units, name, random)
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.n_layers_ = len(units)
        self._trainer = None
        for name in FIGURES:  # of another solver's epochs
            if hasattr(self, name):
                delattr(self, name)

    def _prepared(self, X: Any, y: Any, first: bool, once: bool) -> tuple[Any, Any]:
        """Check data, and settle `n_outputs_`, `out_activation_` and `_loss`."""
        raise NotImplementedError
