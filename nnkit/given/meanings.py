"""What numbers mean: what a layer gives, and what a loss takes.

Both are declared where the layer and the loss are (`Layer.gives`, `Loss.takes`), so that a pair
that would train without an error, but badly, can be told: `nnkit.training.partners`.
"""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """A kind of outputs, in words."""

    words: str
    from_layer: str = ""
    """The layer that makes them of any numbers."""


ANY = Meaning("logits, any numbers")
ONE_SIDED = Meaning("numbers that are never, or hardly, negative")
BOUNDED = Meaning("numbers of a narrow range around 0")
PROBABILITIES = Meaning("probabilities, each from 0 to 1", "Sigmoid()")
DISTRIBUTIONS = Meaning("rows of probabilities that add up to 1", "Softmax()")
LOG_PROBABILITIES = Meaning("logarithms of probabilities", "LogSoftmax()")
UNCHANGED = Meaning("what it is given")
"""Of a layer that changes places or single elements, but not what they mean."""
