"""What a run is given to train and to validate on, as data on the model's backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from nnkit.given.arrays import is_array, taken
from nnkit.layers import Sequential
from nnkit.layers.inputs import Inputs
from nnkit.losses import Loss
from nnkit.targets import on_host
from nnkit.training import arguments
from nnkit.training.batches import Batches, are_several, is_list_of_batches
from nnkit.training.data import Data
from nnkit.training.progress import Progress
from nnkit.training.splitting import split
from nnkit.training.weights import ClassWeight, of_examples


class Examples(NamedTuple):
    """What `Trainer.fit` and `resume` take examples from, as arrays."""

    x: Any
    t: Any
    sample_weight: Any
    class_weight: ClassWeight | None
    validation_data: tuple[Any, Any, Any] | None
    batches: Batches | None
    """What the arrays were read from, if they came in batches."""

    @classmethod
    def of(
        cls,
        x: Any,
        t: Any,
        sample_weight: Any,
        class_weight: ClassWeight | None,
        validation_data: Any = None,
    ) -> Examples:
        """Take whatever is given for arrays; where t is None, x is batches of both.

        Raises TypeError and ValueError as `taken` and `Batches` do.
        """
        batches = None
        if t is None:
            if sample_weight is not None:
                raise TypeError(
                    "batches have their own weights: give (x, t, sample_weight) in each"
                )
            batches = Batches(x)
            x, t, sample_weight = batches.read()
        aside = None if validation_data is None else _validation(validation_data)
        return cls(taken(x), taken(t), sample_weight, class_weight, aside, batches)

    @property
    def ordered(self) -> bool:
        """Whether every epoch is read anew, in its own order."""
        return self.batches is not None and self.batches.again

    def batch_size(self, wanted: Any) -> Any:
        """Return the size that is wanted, or that batches have; TypeError where both are given."""
        if self.batches is None:
            return wanted
        if wanted is not None:
            raise TypeError("batches have a size already: leave batch_size out")
        return min(self.batches.size, len(self.x))

    @property
    def weighted(self) -> bool:
        """Whether some count more than others."""
        return self.sample_weight is not None or self.class_weight is not None


def prepared(
    model: Sequential, loss: Loss, given: Examples, run: Progress, inputs: Inputs
) -> tuple[Data, Data | None]:
    """Check the examples of a run, and those to validate on."""
    x, t, sample_weight, class_weight, validation_data, batches = given
    if validation_data is not None and run.validation_split is not None:
        raise ValueError("give validation_data or validation_split, not both")
    if given.ordered and run.validation_split is not None:
        raise ValueError(
            "validation_split cannot set aside a part of batches that are read anew in every epoch:"
            " give validation_data"
        )
    data, validation, backend = Data(model, loss, x, t, inputs), None, model.backend
    if validation_data is not None:
        x, t_validation, aside = validation_data
        validation = Data(model, loss, x, t_validation, data.fitted, "validation x")
        validation.weigh(of_examples(backend, loss, t_validation, aside))
    elif run.validation_split is not None:
        targets = on_host(backend, t)
        rows, others = split(targets, len(data) - run.examples, run.seed)
        data, validation = data.part(rows), data.part(others)
        validation.weigh(of_examples(backend, loss, t, sample_weight))
    data.weigh(of_examples(backend, loss, t, sample_weight, class_weight, *data.outputs))
    if batches is not None and batches.again:
        weighted = sample_weight is not None, class_weight
        data.renew = partial(_renew, model, loss, batches, weighted, data)
    return data, validation


def _renew(
    model: Sequential,
    loss: Loss,
    batches: Batches,
    weighted: tuple[bool, ClassWeight | None],
    data: Data,
) -> None:
    """Read the next epoch's batches, in the place of those before; those may have had weights."""
    x, t, sample_weight = batches.read()
    if len(x) != len(data):
        raise ValueError(
            f"the batches of an epoch had {len(data)} examples, but now they have {len(x)}: all "
            "epochs must have as many"
        )
    had_weights, class_weight = weighted
    if (sample_weight is not None) != had_weights:
        raise ValueError("the batches have a sample_weight in one epoch, and none in another")
    data.refill(model, loss, x, t)
    (outputs,) = data.outputs
    data.weigh(of_examples(model.backend, loss, t, sample_weight, class_weight, outputs))


def _validation(given: Any) -> tuple[Any, Any, Any]:
    """Return the x, t and weights to validate on, of arrays or of batches."""
    if is_list_of_batches(given) or (
        are_several(given) and not (is_array(given) or isinstance(given, Sequence))
    ):
        return Batches(given).read()
    x, t, sample_weight = arguments.triple(given)
    return taken(x), taken(t), sample_weight
