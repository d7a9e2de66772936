"""A model's weights as a state dictionary of PyTorch's, and back: which module each layer is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nnkit.layers.base import Layer
from nnkit.layers.containers import Concat, Residual
from nnkit.layers.orders import orders
from nnkit.layers.own_arrays import Array, Own, arrays_of, join, real
from nnkit.layers.torch_layout import COUNT, counted, turned, turned_back

State = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]


def state_dict(model: Layer, names: Iterable[str] | None) -> State:
    """The state that ``load_state_dict`` takes; under other names in their order."""
    layers = arrays_of(model)
    order = orders(model, model.pattern)
    paths = dict(zip(layers, _modules_in(names, layers), strict=True))
    made: State = {}
    for path, (layer, own) in layers.items():
        arrays = turned(layer, {name: real(join(path, name), a) for name, a in own.items()}, order)
        made |= {join(paths[path], name): array for name, array in arrays.items()}
        if counted(layer):
            made[join(paths[path], COUNT)] = np.array(0, np.int64)
    return made


def state(model: Layer, source: Mapping[str, Array], names: Iterable[str] | None) -> State:
    """What `Layer.restore` takes, of a state dictionary of PyTorch's."""
    layers = arrays_of(model)
    order = orders(model, model.pattern)
    given: dict[str, Own] = {}
    for name, array in source.items():
        module, _, own = name.rpartition(".")
        if own != COUNT:
            given.setdefault(module, {})[own] = real(name, array)
    wanted = {path: _shapes(turned(layer, own, order)) for path, (layer, own) in layers.items()}
    matched = _matched(model, wanted, given, names)
    if rest := given.keys() - set(matched.values()):
        raise ValueError(f"the model has no layer for its {min(rest)}")
    found: State = {}
    for path, module in matched.items():
        if _shapes(given.get(module, {})) != wanted[path]:
            raise ValueError(
                f"its {module} is {_shown(_shapes(given.get(module, {})))}, but layer {path}, "
                f"{layers[path][0]!r}, takes {_shown(wanted[path])}"
            )
        arrays = turned_back(layers[path][0], given[module], order)
        found |= {join(path, name): array for name, array in arrays.items()}
    return found


def _matched(
    model: Layer, wanted: dict[str, Shapes], given: dict[str, Own], names: Iterable[str] | None
) -> dict[str, str]:
    """Which module of the file each layer gets: by name, or in the order among those alike."""
    if names is not None:
        return dict(zip(wanted, _modules_in(names, wanted), strict=True))
    shapes = {module: _shapes(own) for module, own in given.items()}
    if shapes == wanted:
        return {path: path for path in wanted}
    matched = {}
    for path, kind in wanted.items():
        layers = [each for each, other in wanted.items() if other == kind]
        modules = [each for each, other in shapes.items() if other == kind]
        if len(layers) != len(modules):
            raise ValueError(
                f"it has {len(modules)} of {_shown(kind)} where the model has {len(layers)}: "
                f"{', '.join(layers)}"
            )
        kinds = {re.sub(r"\d+", "0", module) for module in modules}
        if len(kinds) > 1 or _beside_each_other(model, layers):
            raise ValueError(
                f"which of {', '.join(sorted(modules))} comes first cannot be said: give "
                "names=[...], the names of its tensors in the order of the model's layers"
            )
        modules.sort(key=lambda module: [int(number) for number in re.findall(r"\d+", module)])
        matched[path] = modules[layers.index(path)]
    return matched


def _beside_each_other(model: Layer, paths: list[str]) -> bool:
    """Whether some of these layers are on different ways of one `Residual` or `Concat`."""
    for outer, layer in model.walk():
        start = f"{outer}." if outer else ""
        inside = [path[len(start) :] for path in paths if path.startswith(start)]
        names = {path.partition(".")[0] for path in inside}
        ways = {name == "shortcut" for name in names} if isinstance(layer, Residual) else names
        if isinstance(layer, Residual | Concat) and len(ways) > 1:
            return True
    return False


def _modules_in(names: Iterable[str] | None, layers: Mapping[str, Any]) -> list[str]:
    """The modules that names of tensors are of, in their order: one for each layer."""
    if names is None:
        return [*layers]
    modules = [*dict.fromkeys(name.rpartition(".")[0] for name in names)]
    if len(modules) != len(layers):
        raise ValueError(
            f"names are of {len(modules)} modules, but {len(layers)} layers have weights: "
            f"{', '.join(layers)}"
        )
    return modules


def _shapes(own: Own) -> Shapes:
    return {name: array.shape for name, array in sorted(own.items())}


def _shown(shapes: Shapes) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "not there"
