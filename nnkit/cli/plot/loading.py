"""What pictures of networks begin with: the network, and what it says about test images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import dataset_of, load_classifier, load_trainer
from nnkit.cli.command import Failure
from nnkit.data import Dataset
from nnkit.plotting.convolutions import convolutions
from nnkit.recognising import class_names
from nnkit.training import Trainer


def load_model(path: str, backend: str | None = "numpy") -> Trainer:
    """Load a trainer, or one around the model where the file holds no more than that."""
    return load_trainer(path, get_backend(backend))


def load_convolutional(path: str) -> Trainer:
    """Load a trainer of a network that has convolutions."""
    trainer = load_model(path)
    if not convolutions(trainer.model):
        raise Failure(
            f"{path} has no convolutions; what its first layer sees, nnkit plot weights draws"
        )
    return trainer


def is_ink(preparation: str | None) -> bool | None:
    """Whether images prepared so are digits or the like, which are drawn dark; None: not known."""
    return None if preparation is None else preparation != "resize"


def answers_of(
    checkpoint: str, data: str | None, backend: str | None
) -> tuple[Dataset, NDArray[np.int64], tuple[str, ...]]:
    """Return the data, the network's answers to its test images, and the names of classes."""
    trainer = load_classifier(checkpoint, get_backend(backend))
    dataset, _ = dataset_of(trainer, checkpoint, data)
    probabilities = trainer.predict_proba(dataset.x_test)
    return dataset, probabilities.argmax(axis=1), class_names(trainer, probabilities.shape[1])
