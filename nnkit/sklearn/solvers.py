"""scikit-learn's optimizers: those of nnkit, with the penalty of an objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnkit.backends import Array
from nnkit.backends.contract import Update
from nnkit.given.options import number
from nnkit.optimizers import SGD, Adam, Optimizer
from nnkit.parameters import Run
from nnkit.sklearn.objective import Objective


class Penalised(Optimizer):
    """Adds an objective's penalty to the gradients of matrices: weight decay without biases."""

    objective: Objective

    def update(self, runs: Sequence[Run], gradients: Array = None) -> None:
        """Carry out the update, with a decay that suits the rows of the last batch.

        The parameters of a perceptron are all trained and lie in one run, from which the matrices
        are taken one by one. There is no other penalty, and no limit of the gradient.
        """
        assert self._backend is not None
        for parameter in self._parameters:
            run = _run_of(parameter, runs[0].start)
            g = run.grads if gradients is None else run.of(gradients)
            state = {name: run.of(array) for name, array in self.slot_arrays.items()}
            decay = self.objective.strength if len(parameter.shape) == 2 else 0.0
            update = Update(self._rates, self.counters, decay, master=state.get("master"))
            self.apply(self._backend, run.values, g, state, update)


def _run_of(parameter: Any, first: int) -> Run:
    end = parameter.start + parameter.room
    return Run(parameter.memory, parameter.start, end, parameter.start - first)


class PenalisedSGD(Penalised, SGD):
    """SGD with momentum up to 1, as scikit-learn allows it."""

    capturable = True
    momentum: float = number(least=0, most=1)

    def change_rate(self, lr: float) -> None:
        """Take another learning rate from the next step on, for gradients to come.

        scikit-learn's velocity has the rate in it: what has been gathered goes on at the old one.
        """
        if self.momentum and lr != self.lr:
            self.slot_arrays["velocity"] *= self.lr / lr
        self.lr = lr


class PenalisedAdam(Penalised, Adam):
    """Adam."""

    capturable = True


def solver(estimator: Any) -> Penalised:
    """Make the optimizer that an estimator's parameters name; it is given its objective later."""
    if estimator.solver == "sgd":
        momentum = estimator.momentum
        nesterov = bool(estimator.nesterovs_momentum and momentum > 0)
        return PenalisedSGD(estimator.learning_rate_init, momentum, nesterov)
    betas = estimator.beta_1, estimator.beta_2
    return PenalisedAdam(estimator.learning_rate_init, *betas, estimator.epsilon)
