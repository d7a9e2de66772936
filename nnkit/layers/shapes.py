"""Shapes from layer to layer: what fits is told when a model is made, as far as it is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnkit.layers.base import Layer

Shape = tuple[int, ...]
GIVER = " (layer "
"""How an error of shapes begins to say which layer a shape is from."""


class Open(int):
    """A size that is not known yet, with a name.

    What is computed with it is as open, and it fits whatever it is compared with. So what is known,
    the number of dimensions and of channels, goes through the layers' own `output_shape`.
    """

    name: str

    def __new__(cls, name: str) -> Open:  # noqa: D102
        self = super().__new__(cls, 1)
        self.name = name
        return self

    def _open(self, other: Any = None) -> Open:
        return self

    def _times(self, other: Any) -> Open:
        return NUMBERS if isinstance(other, Open) else self

    __add__ = __radd__ = __sub__ = __rsub__ = _open
    __floordiv__ = __rfloordiv__ = __truediv__ = __rtruediv__ = _open
    __mod__ = __rmod__ = __neg__ = __abs__ = _open
    __mul__ = __rmul__ = _times

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, int)

    def __lt__(self, other: int) -> bool:
        return False

    __gt__ = __lt__
    __le__ = __ge__ = __eq__
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return self.name


HEIGHT, WIDTH, NUMBERS = map(Open, ("height", "width", "numbers"))


def is_open(shape: Shape) -> bool:
    """Whether a size in it is not known."""
    return any(isinstance(size, Open) for size in shape)


def through(
    layers: Iterable[tuple[str, Layer]], shape: Shape | None
) -> Iterator[tuple[str, Layer, Shape | None, Shape | None]]:
    """Each layer of a chain, by name, with the shape of its input and of its output.

    Where nothing is known, None, it begins anew with the next layer that has a `pattern`. Raises
    ValueError where a shape does not fit, naming the layer and the one that the shape is from.
    """
    giver: tuple[str, Layer] | None = None
    for name, layer in layers:
        giver = None if shape is None else giver
        given = layer.pattern if shape is None else shape
        if given is not None and is_open(given) and not _knows_open_sizes(layer):
            given = None
        try:
            behind = None if given is None else layer.output_shape(given)
        except ValueError as error:
            gives = f"{giver[0]}, {giver[1].title}, gives shape {given}" if giver else ""
            raise named(error, name, gives) from None
        if type(layer).output_shape is not Layer.output_shape:
            giver = name, layer
        shape = behind
        yield name, layer, given, behind


def last(layers: Iterable[tuple[str, Layer]], shape: Shape) -> Shape:
    """The shape behind a chain of layers; errors as those of `through`."""
    for _, _, _, behind in through(layers, shape):
        assert behind is not None
        shape = behind
    return shape


def named(error: ValueError, path: str, giver: str = "") -> ValueError:
    """Say in which layer of ours an error of shapes is, "layer 1.0: ...", and who gives them."""
    text = str(error)
    inner = text.removeprefix("layer ")
    text = f"layer {path}: {text}" if inner == text else f"layer {path}.{inner}"
    if GIVER in text:
        return ValueError(text.replace(GIVER, f"{GIVER}{path}."))
    return ValueError(f"{text}{GIVER}{giver})" if giver else text)


def _knows_open_sizes(layer: Layer) -> bool:
    """Whether this and all inside are nnkit's: what others do with an `Open` cannot be said."""
    methods = (type(each).output_shape for _, each in layer.walk())
    modules = (getattr(each, "__module__", None) or "" for each in methods)
    return all(module.partition(".")[0] == "nnkit" for module in modules)
