"""When scikit-learn's perceptrons stop: a callback that follows its rules, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.sklearn.objective import Objective
from nnkit.sklearn.order import Order
from nnkit.sklearn.outputs import outputs
from nnkit.sklearn.setting_aside import Examples
from nnkit.sklearn.solvers import PenalisedSGD
from nnkit.training import Callback, Trainer

if TYPE_CHECKING:
    from nnkit.sklearn.perceptron import Perceptron

LEAST_RATE = 1e-6
"""At this learning rate an adaptive one has come to its end."""


class Convergence(Callback):
    """Enters figures into an estimator after each epoch, and stops where nothing improves.

    Several epochs may be made in one go, as long as none of them can be the last: that takes
    more than `n_iter_no_change` without improvement.

    Parameters
    ----------
    estimator
        Whose attributes, such as `loss_curve_`, are kept up.
    objective
        What is minimised.
    random
        What draws the order of the examples.
    aside
        What early stopping is judged by; None: the loss.
    once
        Whether to stop after one epoch, as `partial_fit` does.
    """

    def __init__(
        self,
        estimator: Perceptron,
        objective: Objective,
        random: np.random.RandomState,
        aside: Examples | None,
        once: bool,
    ) -> None:
        self.estimator, self.objective, self.random = estimator, objective, random
        self.aside, self.once = aside, once
        self.stopped = False
        """Whether nothing improved any more."""
        self.best: np.ndarray[Any, Any] | None = None
        """The parameters of the best score, flat."""
        self._known = 0
        self._begin_figures()

    def _begin_figures(self) -> None:
        """Have the figures that this way of stopping goes by, unless a fit has left them."""
        estimator, stopping = self.estimator, self.aside is not None
        if not hasattr(estimator, "loss_curve_"):
            estimator.loss_curve_ = []
        judged = getattr(estimator, "best_validation_score_" if stopping else "best_loss_", None)
        if judged is None:
            estimator.best_loss_ = None if stopping else np.inf
            estimator.validation_scores_ = [] if stopping else None
            estimator.best_validation_score_ = -np.inf if stopping else None
            estimator._no_improvement_count = 0

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Have the run follow scikit-learn's order."""
        assert trainer.progress is not None
        trainer.progress = Order.of(trainer.progress, self.random)

    def epochs_ahead(self, trainer: Trainer) -> float:
        """Epochs before which nothing has to be decided."""
        estimator = self.estimator
        each = self.aside is not None or estimator.verbose or self.once
        if each or estimator.learning_rate == "invscaling":
            return 1
        return float(estimator.n_iter_no_change) + 1 - estimator._no_improvement_count

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Take note of the epochs since the last call."""
        assert trainer.progress is not None
        first, self._known = self._known, len(trainer.history)
        steps, rows = trainer.progress.steps, trainer.progress.examples
        count = self._known - first
        penalties = self.objective.penalties(trainer.model.backend, count * steps)
        extra = self.objective.alpha * penalties.reshape(count, steps).sum(axis=1) / rows
        losses = self.objective.reported(np.array(trainer.history.loss[first:])) + extra
        for loss in losses.tolist():
            self._note(loss, rows, trainer)
        trainer.stop = trainer.stop or self.stopped or self.once

    def _note(self, loss: float, rows: int, trainer: Trainer) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += rows
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        improved = self._judge_loss(loss) if self.aside is None else self._judge_score(trainer)
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1
        optimizer = trainer.optimizer
        if isinstance(optimizer, PenalisedSGD) and estimator.learning_rate == "invscaling":
            rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
            optimizer.change_rate(rate)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._end(trainer)

    def _judge_loss(self, loss: float) -> bool:
        """Whether the loss is lower by `tol`; NaN counts as no worse, as it does there."""
        best = self.estimator.best_loss_
        assert best is not None
        self.estimator.best_loss_ = loss if loss < best else best
        return not loss > best - self.estimator.tol

    def _judge_score(self, trainer: Trainer) -> bool:
        """Whether the score of what is set aside is higher by `tol`; keep the best parameters."""
        estimator, model = self.estimator, trainer.model
        scores, best = estimator.validation_scores_, estimator.best_validation_score_
        assert self.aside is not None and scores is not None and best is not None
        score = estimator._score_of(outputs(model, self.aside.x), *self.aside[1:])
        scores.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:.6f}")
        if score > best:
            estimator.best_validation_score_ = score
            self.best = model.backend.to_numpy(model.flat.values).copy()
        return not score < best + estimator.tol

    def _end(self, trainer: Trainer) -> None:
        """Stop, or go on with a lower rate where it is adaptive."""
        estimator, optimizer = self.estimator, trainer.optimizer
        what = "Training loss" if self.aside is None else "Validation score"
        text = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs."
        )
        adaptive = isinstance(optimizer, PenalisedSGD) and estimator.learning_rate == "adaptive"
        self.stopped = not adaptive or optimizer.lr <= LEAST_RATE
        if isinstance(optimizer, PenalisedSGD) and not self.stopped:
            optimizer.change_rate(optimizer.lr / 5)
            estimator._no_improvement_count = 0
            text += f" Setting learning rate to {optimizer.lr:f}"
        elif adaptive:
            text += " Learning rate too small. Stopping."
        else:
            text += " Stopping."
        if estimator.verbose:
            print(text)
