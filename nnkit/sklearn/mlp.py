"""scikit-learn's perceptrons, trained by nnkit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from sklearn.utils.metaestimators import available_if

from nnkit.backends import Backend
from nnkit.losses import HalfSquaredError, PoissonLoss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from nnkit.sklearn import checks
from nnkit.sklearn.classifying import Classifying
from nnkit.sklearn.perceptron import Perceptron, is_stochastic
from nnkit.sklearn.regressing import Regressing
from nnkit.training import Callback


class MLPClassifier(Classifying, Perceptron):
    """scikit-learn's `MLPClassifier`, trained by nnkit.

    All parameters and attributes of `sklearn.neural_network.MLPClassifier` mean what they mean
    there, and the same `random_state` gives the same network but for rounding, except with
    `sample_weight` in several batches: scikit-learn divides by the sum of each batch's weights, and
    here all weights are scaled to a mean of 1. More parameters than there:

    Parameters
    ----------
    activation
        Also any of `nnkit.activations.HIDDEN`, such as "gelu".
    backend
        Name of the backend to compute on; None is the current one.
    dtype
        "float32" or "float64"; None is that of X, as in scikit-learn. float32 is faster.
    dropout
        From 0 to below 1: the part of the hidden units that each step leaves out. Not with lbfgs.
    callbacks
        `nnkit.Callback` objects, which are told of each epoch. Not with lbfgs.
    """

    def _prepared(self, X: Any, y: Any, first: bool, once: bool) -> tuple[Any, Any]:
        """Rows, and class numbers or labels; two classes are one output, which is the second."""
        X, y = self._checked(X, y, first)
        self._settle_classes(y, first, once)
        classes = len(self.classes_)
        several = classes > 2 and not self._multilabel
        self.n_outputs_ = classes if several or self._multilabel else 1
        self.out_activation_ = "softmax" if several else "logistic"
        self._loss = SoftmaxCrossEntropy() if several else SigmoidCrossEntropy()
        return X, self._numbers(y)

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Make one epoch over these rows, and go on from the last call.

        The first call must be given all `classes` that there will ever be.
        """
        self._first_classes(y, classes)
        return self._fit(X, y, sample_weight, once=True)


class MLPRegressor(Regressing, Perceptron):
    """scikit-learn's `MLPRegressor`, trained by nnkit.

    All parameters and attributes of `sklearn.neural_network.MLPRegressor` mean what they mean
    there. For `sample_weight`, and the parameters `activation`, `backend`, `dtype`, `dropout` and
    `callbacks`, see `MLPClassifier`.
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        backend: str | Backend | None = None,
        dtype: str | None = None,
        dropout: float = 0.0,
        callbacks: Sequence[Callback] | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            backend=backend,
            dtype=dtype,
            dropout=dropout,
            callbacks=callbacks,
        )
        self.loss = loss

    def _prepared(self, X: Any, y: Any, first: bool, once: bool) -> tuple[Any, Any]:
        """Rows and targets."""
        checks.one_of("squared_error", "poisson")("MLPRegressor: loss", self.loss)
        X, y = self._checked(X, y, first, y_numeric=True)
        counts = self.loss == "poisson"
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = "exp" if counts else "identity"
        self._loss = PoissonLoss() if counts else HalfSquaredError()
        return X, y

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Make one epoch over these rows, and go on from the last call."""
        return self._fit(X, y, sample_weight, once=True)
