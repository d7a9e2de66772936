"""Layers around layers: beside each other instead of one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnkit.backends import Array
from nnkit.layers.base import Layer
from nnkit.layers.chain import Chain
from nnkit.layers.named import as_layer
from nnkit.layers.shapes import is_open, last, named, through
from nnkit.showing.words import block, in_a_line


class Residual(Layer):
    """``y = f(x) + x``, where f is the layers in order; with a shortcut ``y = f(x) + shortcut(x)``.

    He et al. 2016, "Deep residual learning for image recognition".

    Parameters
    ----------
    layers
        The layers of f, at least one; activations may be names, as in `Sequential`.
    shortcut
        What x goes through on its way around them, where f changes the shape: a `Linear`, say, or a
        `Conv2d` of kernel_size 1. None leaves x as it is.

    Raises ValueError where the two outputs have not one shape.

    Notes
    -----
    Backward, x went two ways, so that two gradients come back: ``dx = df(dy) + dshortcut(dy)``.
    """

    capturable = True

    def __init__(self, *layers: Layer | str, shortcut: Layer | str | None = None) -> None:
        self.layers = _as_layers(self, layers)
        self.shortcut = None if shortcut is None else as_layer("Residual", shortcut)
        self.plan(fuse=True)

    def sublayers(self) -> Mapping[str, Layer]:
        """The layers of f, numbered, and the shortcut."""
        layers = {str(i): layer for i, layer in enumerate(self.layers)}
        return layers if self.shortcut is None else {**layers, "shortcut": self.shortcut}

    def plan(self, fuse: bool) -> None:
        """Pair the layers that are one operation together."""
        ways = self.children()
        around = [] if self.shortcut is None else [ways.pop()]
        self._through = Chain(self, ways, fuse)
        self._around = Chain(self, around, fuse) if around else None

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """That of the first layer."""
        return self.layers[0].input_shape

    @property
    def pattern(self) -> tuple[int, ...] | None:
        """That of the first layer."""
        return self.layers[0].pattern

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of f(x), which the shortcut's must be too."""
        ways = self.children()
        around = shape if self.shortcut is None else last([ways.pop()], shape)
        behind = last(ways, shape)
        if behind != around:
            raise ValueError(
                f"{in_a_line(self)} cannot add x of shape {around} to f(x) of shape {behind}: give "
                f"it a shortcut= layer from the one to the other{_such_as(around, behind)}"
            )
        return behind

    def shapes(
        self, shape: tuple[int, ...] | None, path: str = ""
    ) -> Iterator[tuple[str, Layer, tuple[int, ...] | None]]:
        """Each layer of the walk with the shape of one output."""
        yield path, self, None if shape is None else self.output_shape(shape)
        ways = self.children()
        around = [] if self.shortcut is None else [ways.pop()]
        for name, layer, given, _ in (*through(ways, shape), *through(around, shape)):
            yield from layer.shapes(given, f"{path}.{name}" if path else name)

    def forward(self, x: Array) -> Array:
        """y = f(x) + shortcut(x)."""
        through = self._through.forward(x)
        around = x if self._around is None else self._around.forward(x)
        return self.backend.add(through, around, self.new("y", through.shape))

    def backward(self, dy: Array) -> Array:
        """dx = the gradient through f + the gradient through the shortcut."""
        wanted = self.input_gradient
        through = self._through.backward(dy, wanted)
        around = dy if self._around is None else self._around.backward(dy, wanted)
        if not self.input_gradient:
            return None
        return self.backend.add(through, around, self.new("dx", through.shape))

    def config(self) -> dict[str, Any]:
        """Class name, the layers' configurations, the shortcut's."""
        layers = [layer.config() for layer in self.layers]
        shortcut = None if self.shortcut is None else self.shortcut.config()
        return {"class": type(self).__name__, "layers": layers, "shortcut": shortcut}

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Residual:
        """Make a layer of the arguments that `config` gave."""
        layers = arguments.pop("layers")
        return cls(*layers, **arguments)

    def __repr__(self) -> str:
        return _joined("Residual", self)


class Concat(Layer):
    """``y = [f1(x), f2(x), ...]``: each branch computes from x, the outputs lie side by side.

    They are joined along the last axis, which are features or the channels of images (Szegedy et
    al. 2015, Huang et al. 2017).

    Parameters
    ----------
    branches
        A layer each, at least one; a `Sequential` for several layers, `Identity` for x itself.

    Raises ValueError where the outputs differ in another axis than the last.

    Notes
    -----
    Backward, each branch gets its columns of dy, and dx is the sum of what comes back.
    """

    capturable = True

    def __init__(self, *branches: Layer | str) -> None:
        self.branches = _as_layers(self, branches)
        self.plan(fuse=True)

    def sublayers(self) -> Mapping[str, Layer]:
        """The branches, numbered."""
        return {str(i): branch for i, branch in enumerate(self.branches)}

    def plan(self, fuse: bool) -> None:
        """Prepare each branch as a chain of its own."""
        self._chains = [Chain(self, [child], fuse) for child in self.children()]

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """That of the first branch that determines it."""
        shapes = (branch.input_shape for branch in self.branches)
        return next((shape for shape in shapes if shape is not None), None)

    @property
    def pattern(self) -> tuple[int, ...] | None:
        """That of the first branch that has one."""
        shapes = (branch.pattern for branch in self.branches)
        return next((shape for shape in shapes if shape is not None), None)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(..., the sum of the branches' last axes)."""
        shapes = []
        for name, branch in self.children():
            try:
                shapes.append(branch.output_shape(shape))
            except ValueError as error:
                raise named(error, name) from None
        if any(each[:-1] != shapes[0][:-1] for each in shapes) or not all(shapes):
            raise ValueError(
                f"{in_a_line(self)} joins along the last axis, but its branches' outputs of shapes "
                f"{', '.join(map(str, shapes))} differ in another one"
            )
        return (*shapes[0][:-1], sum(each[-1] for each in shapes))

    def shapes(
        self, shape: tuple[int, ...] | None, path: str = ""
    ) -> Iterator[tuple[str, Layer, tuple[int, ...] | None]]:
        """Each layer of the walk with the shape of one output."""
        yield path, self, None if shape is None else self.output_shape(shape)
        for name, branch in self.children():
            yield from branch.shapes(shape, f"{path}.{name}" if path else name)

    def forward(self, x: Array) -> Array:
        """y = the branches' outputs side by side."""
        parts = [chain.forward(x) for chain in self._chains]
        self._widths = [part.shape[-1] for part in parts]
        y = self.new("y", (*parts[0].shape[:-1], sum(self._widths)))
        first = 0
        for part, width in zip(parts, self._widths, strict=True):
            self.backend.put_columns(part, first, y)
            first += width
        return y

    def backward(self, dy: Array) -> Array:
        """dx = the sum of the branches' gradients, each for its own columns of dy."""
        dx: Array = None
        first = 0
        for i, (chain, width) in enumerate(zip(self._chains, self._widths, strict=True)):
            part = self.new(f"dy {i}", (*dy.shape[:-1], width))
            self.backend.take_columns(dy, first, part)
            gradient = chain.backward(part, self.input_gradient)
            first += width
            if not self.input_gradient:
                continue
            if dx is None:
                dx = gradient
            else:
                dx = self.backend.add(dx, gradient, self.new(f"dx {i}", gradient.shape))
        return dx

    def config(self) -> dict[str, Any]:
        """Class name and the branches' configurations."""
        branches = [branch.config() for branch in self.branches]
        return {"class": type(self).__name__, "branches": branches}

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Concat:
        """Make a layer of the arguments that `config` gave."""
        return cls(*arguments.pop("branches"), **arguments)

    def __repr__(self) -> str:
        return _joined("Concat", self)


def _joined(name: str, layer: Layer) -> str:
    """The repr: in one line, or where something inside has several in as many."""
    # Once for each: twice on every level would be forever for layers deep inside others.
    inside = [(label, repr(each)) for label, each in layer.children()]
    if any("\n" in text for _, text in inside):
        return block(name, inside)
    parts = [f"shortcut={text}" if label == "shortcut" else text for label, text in inside]
    return f"{name}({', '.join(parts)})"


def _as_layers(owner: Layer, given: tuple[Layer | str, ...]) -> tuple[Layer, ...]:
    name = type(owner).__name__
    if not given:
        raise ValueError(f"{name} needs at least one layer")
    return tuple(as_layer(name, each) for each in given)


def _such_as(before: tuple[int, ...], behind: tuple[int, ...]) -> str:
    """Name a shortcut from one shape to another, if it is one of rows or of images."""
    if len(before) == len(behind) == 1:
        return f", such as Linear({before[0]}, {behind[0]})"
    if len(before) != 3 or len(behind) != 3:
        return ""
    if is_open(before) or is_open(behind):
        return f", such as Conv2d({before[2]}, {behind[2]}, 1), with the stride that f has"
    rows, columns = (-(-before[i] // behind[i]) for i in (0, 1))
    if ((before[0] - 1) // rows + 1, (before[1] - 1) // columns + 1) != behind[:2]:
        return "; a convolution of stride 1 keeps the size with padding='same'"
    stride = rows if rows == columns else (rows, columns)
    return f", such as Conv2d({before[2]}, {behind[2]}, 1{f', {stride}' if stride != 1 else ''})"
