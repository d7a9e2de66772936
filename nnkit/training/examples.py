"""What a run is given to train and to validate on, as data on the model's backend."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnkit.layers import Sequential
from nnkit.layers.inputs import Inputs
from nnkit.losses import Loss
from nnkit.targets import on_host
from nnkit.training import arguments
from nnkit.training.data import Data
from nnkit.training.progress import Progress
from nnkit.training.splitting import split
from nnkit.training.weights import ClassWeight, of_examples


class Examples(NamedTuple):
    """What `Trainer.fit` and `resume` take examples from."""

    x: Any
    t: Any
    sample_weight: Any
    class_weight: ClassWeight | None
    validation_data: Any

    @property
    def weighted(self) -> bool:
        """Whether some count more than others."""
        return self.sample_weight is not None or self.class_weight is not None


def prepared(
    model: Sequential, loss: Loss, given: Examples, run: Progress, inputs: Inputs
) -> tuple[Data, Data | None]:
    """Check the examples of a run, and those to validate on."""
    x, t, sample_weight, class_weight, validation_data = given
    if validation_data is not None and run.validation_split is not None:
        raise ValueError("give validation_data or validation_split, not both")
    data, validation, backend = Data(model, loss, x, t, inputs), None, model.backend
    weights = of_examples(backend, loss, t, sample_weight)
    if validation_data is not None:
        x, t_validation, aside = arguments.triple(validation_data)
        validation = Data(model, loss, x, t_validation, data.fitted, "validation x")
        validation.weigh(of_examples(backend, loss, t_validation, aside))
    elif run.validation_split is not None:
        targets = on_host(backend, t)
        rows, others = split(targets, len(data) - run.examples, run.seed)
        data, validation = data.part(rows), data.part(others)
        validation.weigh(weights)
    data.weigh(of_examples(backend, loss, t, sample_weight, class_weight))
    return data, validation
