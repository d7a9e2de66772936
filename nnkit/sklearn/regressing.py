"""What regressors share."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from nnkit.losses import Loss
from nnkit.sklearn.estimator import Estimator
from nnkit.sklearn.outputs import outputs


class Regressing(RegressorMixin, Estimator):
    """Targets of any number of columns."""

    _loss: Loss

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """Predictions (n,), or (n, outputs) for several targets a row."""
        check_is_fitted(self)
        y = self._expected(outputs(self.model_, self._rows(X)))
        return y.ravel() if y.shape[1] == 1 else y

    def _expected(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What outputs say of the targets: rates, probabilities, or the numbers themselves."""
        if not self._loss.counts_correct:  # or else the answers are decisions
            return self._loss.answers(y)
        backend = self.model_.backend
        return backend.to_numpy(self._loss.probabilities(backend, backend.asarray(y)))

    def _score_of(self, y: np.ndarray[Any, Any], t: np.ndarray[Any, Any], weights: Any) -> float:
        """R^2 of outputs; NaN where they are not finite."""
        y = self._expected(y)
        if not np.isfinite(y).all():
            return float("nan")
        return float(r2_score(t, y, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
