"""What layers of weights W and a bias b share."""

from __future__ import annotations

from typing import Any

from nnkit import initializers
from nnkit.initializers import Initializer
from nnkit.layers.base import Layer
from nnkit.parameters import Parameter


class Weighted(Layer):
    """A layer that multiplies by W and adds b, if it has one."""

    W: Parameter
    b: Parameter | None
    default_init: bool
    """Whether nobody has chosen initial weights."""

    def own_parameters(self) -> dict[str, Parameter]:
        """Return W as "weight" and b as "bias"."""
        return {"weight": self.W} if self.b is None else {"weight": self.W, "bias": self.b}

    @property
    def weight(self) -> Parameter:
        """The parameter W."""
        return self.W

    def suit(self, behind: Layer) -> None:
        """Take the initialiser that suits an activation, if none was chosen."""
        if self.default_init and behind.suits is not None and self.W.value is None:
            self.W.init = self.initializer(behind.suits)

    def initializer(self, init: Any) -> Initializer:
        """Return what draws W: a name, a function or an array; see `nnkit.initializers.get`."""
        return initializers.get(init)
