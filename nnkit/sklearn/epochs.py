"""The solvers that make epochs: a trainer, until nothing improves any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from nnkit.showing.warning import DivergenceWarning, warn
from nnkit.sklearn.convergence import Convergence
from nnkit.sklearn.objective import objective
from nnkit.sklearn.setting_aside import Examples, set_aside
from nnkit.sklearn.solvers import Penalised, solver
from nnkit.training import Trainer
from nnkit.training.arguments import listed

if TYPE_CHECKING:
    from nnkit.sklearn.perceptron import Perceptron

MOST_ROWS = 200
"""Examples in a batch where its size is "auto"."""

WORTH_CAPTURING = 20
"""Steps of a single epoch in which capturing one costs less than it saves."""


def make_epochs(
    estimator: Perceptron, examples: Examples, random: np.random.RandomState, once: bool
) -> None:
    """Train until nothing improves, or for one epoch, which goes on from the last.

    Warns where it takes `max_iter` epochs, and where the user interrupts it.
    """
    aside = None
    if estimator.early_stopping:
        examples, aside = set_aside(estimator, examples, random)
    minimised = objective(estimator, examples)
    minimised.punish(estimator.model_)
    trainer = estimator._trainer
    if trainer is None or not once:
        trainer = Trainer(estimator.model_, minimised, solver(estimator))
    assert isinstance(trainer.optimizer, Penalised)
    trainer.loss = trainer.optimizer.objective = minimised
    convergence = Convergence(estimator, minimised, random, aside, once)
    estimator._trainer, estimator.n_iter_ = trainer, 0
    n = examples.x.shape[0]
    size = _batch_size(estimator, n)
    try:
        trainer.fit(
            examples.x,
            examples.t,
            estimator.max_iter,
            size,
            sample_weight=examples.weights,
            scale=1,
            seed=0,
            shuffle=estimator.shuffle,
            callbacks=[convergence, *listed(estimator.callbacks or ())],
            progress=False,
            compile=not once or n > WORTH_CAPTURING * size,
            on_nan="ignore",
        )
    except KeyboardInterrupt:
        warn("Training interrupted by user.", UserWarning)
    if convergence.best is not None:
        _put_back(estimator, convergence.best)
    if estimator.n_iter_ == estimator.max_iter and not (convergence.stopped or once):
        warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
            "optimization hasn't converged yet: raise max_iter or tol, or scale the data",
            ConvergenceWarning,
        )


def _put_back(estimator: Perceptron, best: np.ndarray[Any, Any]) -> None:
    """Go back to the parameters of the best score; warn if training has diverged behind it."""
    flat, backend = estimator.model_.flat, estimator.model_.backend
    if not np.isfinite(backend.to_numpy(flat.values)).all() and np.isfinite(best).all():
        warn(
            "training has diverged, and the weights are those of the best validation score "
            f"before, {estimator.best_validation_score_:.4g}: scale the data, with "
            "StandardScaler() for instance, or lower learning_rate_init",
            DivergenceWarning,
        )
    flat.values[...] = backend.asarray(best)


def _batch_size(estimator: Perceptron, n: int) -> int:
    size = estimator.batch_size
    if size == "auto":
        return min(MOST_ROWS, n)
    if size > n:
        warn(f"batch_size {size} is more than the {n} rows: one batch has them all", UserWarning)
    return int(min(size, n))
