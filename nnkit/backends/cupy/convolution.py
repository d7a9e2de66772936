"""Convolutions with what is fused with them, of a part of the images at a time.

What a part needs on the way lies in scratch memory, which is so bounded.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from nnkit.backends.contract import Array, Out, Window
from nnkit.backends.cupy import direct, unfolded
from nnkit.backends.cupy.activations import bias_activation_backward, bias_gradient
from nnkit.backends.cupy.lying import Lying
from nnkit.backends.cupy.pooling import largest, to_largest
from nnkit.backends.cupy.windows import seen_by
from nnkit.backends.cupy.workspace import Sum, arrays, parts

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def convolution(
    backend: CupyBackend,
    kind: str,
    x: Array,
    weight: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    pool: Window | None,
    y: Out,
    place: Out | None,
) -> None:
    if not y.size:
        return
    launcher, lying = backend.launcher, _lying(x, weight, window, groups, pool, y)
    needs = pool is not None, not (lying.few or lying.plain)
    for part in parts(len(x), x.itemsize * sum(map(prod, lying.room(1, *needs, x.dtype)))):
        images = x[part]
        z, rows = arrays(launcher, x.dtype, *lying.room(len(images), *needs, x.dtype))
        f, b, out = (kind, bias, y[part]) if pool is None else ("identity", None, z)
        if lying.few:
            direct.forward(launcher, f, lying, images, weight, b, out)
        else:
            unfolded.forward(backend, f, lying, images, weight, b, rows, out)
        if pool is not None and place is not None:
            largest(launcher, kind, z, bias, pool, y[part], place[part])


def convolution_backward(
    backend: CupyBackend,
    kind: str,
    dy: Array,
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    pool: Window | None,
    y: Array,
    place: Array | None,
    dweight: Out | None,
    dbias: Out | None,
    dx: Out | None,
) -> None:
    if not dy.size:
        for out in (dweight, dbias):
            if out is not None:
                out.fill(0)
        return
    launcher, lying = backend.launcher, _lying(x, weight, window, groups, pool, dy)
    masked = kind != "identity"
    needs = masked or pool is not None, not (lying.grouped_few or lying.plain)
    pieces = parts(len(dy), dy.itemsize * sum(map(prod, lying.room(1, *needs, dy.dtype))))
    several = len(pieces) if len(pieces) > 1 else 0
    of_parts = (several, *weight.shape), (several, lying.outputs)
    room = lying.room(pieces[0].stop, *needs, dy.dtype)
    of_weights, of_biases, z, rows = arrays(launcher, dy.dtype, *of_parts, *room)
    weights, biases = Sum(dweight, of_weights), Sum(dbias, of_biases)
    for number, part in enumerate(pieces):
        dz, db = dy[part], biases.part(number)
        if needs[0]:
            dz = z[: len(dz)]
        if pool is not None and place is not None:
            to_largest(launcher, dy[part], place[part], y[part] if masked else None, pool, dz)
        elif masked:
            d, passed, out = (a.reshape(-1, lying.outputs) for a in (dy[part], y[part], dz))
            bias_activation_backward(backend, kind, d, passed, out, db, 0.0)
            db = None
        seen = rows[: lying.room(len(dz), *needs, dy.dtype)[1][0]]
        of_images = None if dx is None else dx[part]
        _gradients(backend, lying, x[part], weight, dz, seen, weights.part(number), db, of_images)
    weights.finish(backend)
    biases.finish(backend)


def _lying(
    x: Array, weight: Array, window: Window, groups: int, pool: Window | None, y: Array
) -> Lying:
    places = y.shape[1:3] if pool is None else seen_by(pool, y.shape[1:3])
    return Lying(x.shape[1:3], places, window, x.shape[3], weight.shape[3], groups)


def _gradients(
    backend: CupyBackend,
    lying: Lying,
    x: Array,
    weight: Array,
    dz: Array,
    rows: Out,
    dweight: Out | None,
    dbias: Out | None,
    dx: Out | None,
) -> None:
    """Gradients of a convolution alone; `rows` is room for what the places see."""
    few = lying.grouped_few
    if dweight is not None and not few:
        unfolded.weight_gradient(backend, lying, x, dz, rows, dweight, dbias)
        dbias = None
    elif dweight is not None:
        direct.weight_gradient(backend.launcher, lying, x, dz, dweight)
    if dbias is not None:
        bias_gradient(backend, dz.reshape(-1, lying.outputs), dbias)
    if dx is not None and few:
        direct.image_gradient(backend.launcher, lying, dz, weight, dx)
    elif dx is not None:
        unfolded.image_gradient(backend, lying, dz, weight, rows, dx)
