"""Any model as a classifier or a regressor of scikit-learn's kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from sklearn.utils.class_weight import compute_sample_weight

from nnkit import losses
from nnkit.augment import Augmentation
from nnkit.backends import Backend
from nnkit.losses import LOSS_CLASSES, Loss
from nnkit.optimizers import Optimizer
from nnkit.schedules import Schedule
from nnkit.sklearn.classifying import Classifying
from nnkit.sklearn.network import Build, Network
from nnkit.sklearn.regressing import Regressing
from nnkit.training import Callback

OF_CLASSES = "SoftmaxCrossEntropy", "CategoricalCrossEntropy"
OF_LABELS = "SigmoidCrossEntropy", "BinaryCrossEntropy"
"""The losses that make probabilities of outputs, the usual ones first."""


class NetworkClassifier(Classifying, Network):
    """Any `Sequential` as a classifier.

    Parameters
    ----------
    build
        A function of (n_features, n_outputs) that returns the model. There is an output for each
        class, or for each label where several may apply. A model of images begins with `Image`,
        which makes them of rows. Seeds that the function does not set come from `random_state`, and
        the backend from `backend`.
    loss
        A loss or its name. None: SoftmaxCrossEntropy of classes, SigmoidCrossEntropy of labels;
        of nnkit's only CategoricalCrossEntropy and BinaryCrossEntropy can be taken instead, which
        are of probabilities, too.
    optimizer
        An optimizer, which is copied, or its name; None: Adam().
    epochs, batch_size
        At least 1. The batch size is at most that of the data.
    validation_split, scale, shuffle, schedule, augment
        As in `Trainer.fit`; `scale` is 1 unless said otherwise, also of bytes.
    callbacks
        `nnkit.Callback` objects.
    backend
        Name of the backend to build on; None is the current one.
    random_state
        An integer or a generator, for initial weights, dropout and the order of the examples.
    warm_start
        Whether `fit` goes on with the model that there is.
    verbose
        Whether to show a progress bar.
    class_weight
        "balanced", or a weight for each class by name. It multiplies those of the examples.
    """

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
        class_weight: Mapping[Any, float] | str | None = None,
    ) -> None:
        super().__init__(
            build,
            loss=loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            validation_split=validation_split,
            scale=scale,
            shuffle=shuffle,
            schedule=schedule,
            augment=augment,
            callbacks=callbacks,
            backend=backend,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def _prepared(self, X: Any, y: Any, first: bool, once: bool) -> tuple[Any, Any]:
        """Rows, and class numbers or labels."""
        X, y = self._checked(X, y, first)
        self._settle_classes(y, first, once)
        self.n_outputs_ = len(self.classes_)
        if self.n_outputs_ < 2 and not self._multilabel:
            raise ValueError(
                f"NetworkClassifier needs two classes at least, but y has one class only: "
                f"{self.classes_.tolist()[0]!r}"
            )
        fitting = OF_LABELS if self._multilabel else OF_CLASSES
        self._loss = losses.get(self.loss or fitting[0])
        name = type(self._loss).__name__
        if name in LOSS_CLASSES and name not in fitting:  # one's own says itself what it takes
            what = "labels that each apply or not" if self._multilabel else "classes"
            raise ValueError(
                f"NetworkClassifier: loss must be {' or '.join(fitting)} for {what}, not {name}, "
                "which gives no probability of each"
            )
        return X, self._numbers(y)

    def _weighted(self, weights: Any, y: Any) -> Any:
        """Weights of the examples times those of their classes."""
        if self.class_weight is None:
            return weights
        of_classes = compute_sample_weight(self.class_weight, y)
        return of_classes if weights is None else weights * of_classes

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Make one epoch over these rows, and go on from the last call.

        The first call must be given all `classes` that there will ever be.
        """
        self._first_classes(y, classes)
        return self._fit(X, y, sample_weight, once=True)


class NetworkRegressor(Regressing, Network):
    """Any `Sequential` as a regressor.

    For the parameters see `NetworkClassifier`; the loss is MeanSquaredError where none is given,
    and there is an output for each column of targets.
    """

    def _prepared(self, X: Any, y: Any, first: bool, once: bool) -> tuple[Any, Any]:
        """Rows and targets."""
        X, y = self._checked(X, y, first, y_numeric=True)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._loss = losses.get(self.loss or "mean_squared_error")
        return X, y

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Make one epoch over these rows, and go on from the last call."""
        return self._fit(X, y, sample_weight, once=True)
