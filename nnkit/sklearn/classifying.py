"""What classifiers share: classes of any kind, as the numbers that losses take, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from nnkit.losses import Loss
from nnkit.sklearn.estimator import Estimator
from nnkit.sklearn.outputs import outputs


class Classifying(ClassifierMixin, Estimator):
    """Classes, or several labels a row that each apply or not, as columns of 0 and 1."""

    classes_: np.ndarray[Any, Any]
    warm_start: bool
    _multilabel: bool

    def _settle_classes(self, y: Any, first: bool, once: bool) -> None:
        """Take the classes of a `first` fit, or know them later; `once` is `partial_fit`."""
        if first and not once:
            self._take_classes(y)
        else:
            self._know_classes(y, all_of_them=self.warm_start and not once)

    def _take_classes(self, y: Any) -> None:
        """Have the classes of these targets, sorted; of labels, the numbers of their columns."""
        check_classification_targets(y)
        self._multilabel = self._are_labels(y)
        self.classes_ = unique_labels(y)

    def _are_labels(self, y: Any) -> bool:
        """Whether these are columns of 0 and 1, not classes; ValueError where they are neither."""
        kind = type_of_target(y)  # which takes a good part of the time of a `partial_fit`
        if kind == "multiclass-multioutput":
            raise ValueError(
                f"{type(self).__name__} takes one column of classes, or columns of 0 and 1, but y "
                f"has {np.shape(y)[1]} columns of classes: fit one for each column, with "
                "sklearn.multioutput.MultiOutputClassifier"
            )
        if kind not in ("binary", "multiclass", "multilabel-indicator"):
            check_classification_targets(y)
        return bool(kind == "multilabel-indicator")

    def _know_classes(self, y: Any, all_of_them: bool) -> None:
        """Raise ValueError for classes that were not there in the first fit, or do not come now."""
        multilabel = self._are_labels(y)
        given = np.arange(y.shape[1]) if multilabel else np.unique(y)
        if all_of_them and set(given) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {given}"
            )
        if multilabel != self._multilabel or not set(given) <= set(self.classes_):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' "
                f"has {given}: give all of them as `classes` in the first call, or fit anew"
            )

    def _first_classes(self, y: Any, classes: Any) -> None:
        """Take the `classes` of the first call of `partial_fit`; later they must be the same."""
        if hasattr(self, "classes_"):
            known = classes is None or np.array_equal(self.classes_, classes)
            if not (known or np.array_equal(self.classes_, unique_labels(classes))):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                    f"{self.classes_!r}"
                )
            return
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        self._take_classes(y if type_of_target(y).startswith("multilabel") else classes)

    def _numbers(self, y: Any) -> np.ndarray[Any, Any]:
        """Class numbers (n,) from 0, or labels (n, labels) of 0 and 1."""
        return np.asarray(y) if self._multilabel else np.searchsorted(self.classes_, y)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """Classes (n,) of the rows of X, or labels (n, labels) of 0 and 1."""
        p = self.predict_proba(X)
        if self._multilabel:
            return (p > 0.5).astype(np.int64)
        numbers = p.argmax(axis=1) if len(self.classes_) > 1 else np.zeros(len(p), np.int64)
        classes: np.ndarray[Any, Any] = self.classes_[numbers]
        return classes

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:
        """Probabilities (n, classes), in the order of `classes_`, or of each label to apply."""
        check_is_fitted(self)
        backend, loss = self.model_.backend, self._loss
        p = outputs(self.model_, self._rows(X), lambda y: loss.probabilities(backend, y))
        return np.hstack([1 - p, p]) if p.shape[1] == 1 and not self._multilabel else p

    def predict_log_proba(self, X: Any) -> np.ndarray[Any, Any]:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):  # of a probability that is 0
            logarithms: np.ndarray[Any, Any] = np.log(self.predict_proba(X))
        return logarithms

    _loss: Loss

    def _score_of(self, y: np.ndarray[Any, Any], t: np.ndarray[Any, Any], weights: Any) -> float:
        """Accuracy of outputs; all labels of a row must be right.

        Outputs that are NaN are an answer too, as in scikit-learn: `fit` finds the weights.
        """
        right = self._loss.answers(y).reshape(t.shape) == t
        return float(np.average(right.reshape(len(t), -1).all(axis=1), weights=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
