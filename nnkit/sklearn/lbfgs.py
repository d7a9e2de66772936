"""The quasi-Newton solver: SciPy's L-BFGS-B over all parameters of a model (Byrd et al. 1995)."""

from __future__ import annotations

from copy import deepcopy
from math import inf
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.exceptions import ConvergenceWarning

from nnkit.backends import Array
from nnkit.layers import Sequential
from nnkit.layers.workspace import Workspace
from nnkit.showing.warning import warn
from nnkit.sklearn.estimator import dense
from nnkit.sklearn.objective import Objective


class Surface:
    """The objective of all rows as a function of a model's parameters, with its gradient."""

    def __init__(
        self, model: Sequential, objective: Objective, x: Any, t: Any, weights: Any
    ) -> None:
        backend, model = model.backend, deepcopy(model)  # whose layers keep x and what they make
        self.model, self.objective, self.backend = model, objective, backend
        objective.punish(model)
        self.x = backend.asarray(np.ascontiguousarray(dense(x, inf), model.dtype))
        self.workspace, self.flat = Workspace(), model.flat
        self.log, self.counters = backend.zeros((1, 2), np.float64), backend.zeros(3, np.int64)
        shape = x.shape[0], objective.outputs
        self.t = objective.prepare(backend, t, shape, model.dtype)
        self.gradient = backend.empty(shape, model.dtype)
        self.weights: Array = None
        if weights is not None:
            self.weights = backend.asarray(weights / weights.mean(), model.dtype)

    def __call__(self, parameters: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        """Value and gradient, in float64, as the solver wants them."""
        model, objective, backend = self.model, self.objective, self.backend
        self.flat.values[...] = backend.asarray(parameters, model.dtype)
        with model.using(self.workspace):
            y = model.run_forward(self.x)
            how = self.log, self.counters, self.weights
            objective.measure(backend, y, self.t, self.gradient, *how)
            model.run_backward(self.gradient)
        for weight in objective.punished:
            weight.grad += objective.strength * weight.value
        value = objective.reported(float(backend.to_numpy(self.log)[0, 0]))
        value += objective.strength * float(objective.penalties(backend, 1)[0])
        return value, backend.to_numpy(self.flat.grads).astype(np.float64)


def minimise(estimator: Any, surface: Surface) -> None:
    """Leave an estimator's model at the minimum of its surface; warn where that was not reached."""
    flat, backend = estimator.model_.flat, surface.backend
    estimator.n_iter_ = 0

    def tell(intermediate_result: OptimizeResult) -> None:
        estimator.n_iter_ += 1
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {intermediate_result.fun:.8f}")

    result = minimize(
        surface,
        backend.to_numpy(flat.values).astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=tell,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
        },
    )
    flat.values[...] = backend.asarray(result.x, surface.model.dtype)
    estimator.n_iter_, estimator.loss_ = min(result.nit, estimator.max_iter), float(result.fun)
    if result.status != 0:
        warn(
            f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) (status="
            f"{result.status}):\n{result.message}\n\nIncrease max_iter (now {estimator.max_iter}) "
            f"or max_fun (now {estimator.max_fun}), or scale the data, as with StandardScaler().",
            ConvergenceWarning,
        )
