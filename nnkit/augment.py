"""Augmentation: changes of pictures, drawn anew for each one in each training step.

    trainer.fit(x, t, augment=nnkit.augment.Shift(2))
    trainer.fit(x, t, augment=[nnkit.augment.Rotate(10), nnkit.augment.Flip()])

x must be images, (n, height, width) or (n, height, width, channels). Whatever their order in the
list, a picture is flipped, turned and scaled about its centre, moved, and has a square cut out;
what comes from outside of it is 0. All that is one operation of the backend, a part of the captured
step. What is drawn depends on the run's seed, the step and the picture's place in the batch: it is
the same on every backend. Validation data, and what is predicted, are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnkit.backends import get_backend
from nnkit.backends.contract import Changes
from nnkit.dtypes import as_reals
from nnkit.files import plain
from nnkit.files.checking import make
from nnkit.given import names
from nnkit.given.frozen import frozen
from nnkit.given.missing import missing
from nnkit.given.options import integer, number
from nnkit.layers.inputs import BYTE

__all__ = ["Augmentation", "Crop", "Cutout", "Flip", "Rotate", "Scale", "Shift", "apply"]

FIRST_KEY = 2**64 - 0x9E3779B97F4A7C15
"""What is added to a run's seed, so that no stochastic layer of its model has this key."""


class Augmentation:
    """A way to change pictures at random; those that there are follow."""

    change: ClassVar[str]
    """The field of `Changes` that it sets."""

    def amount(self) -> float:
        """Return what it sets that to: its only option."""
        (value,) = vars(self).values()
        return value  # type: ignore[no-any-return]


@frozen
class Shift(Augmentation):
    """Move by up to so many `pixels`, up or down and left or right; pixels are copied as they are.

    Each whole number is as likely as the others.
    """

    change = "shift"
    pixels: int = integer(least=1)


@frozen
class Crop(Augmentation):
    """Add a border of so many zeros on each side, and take a part of the old size at random.

    That is a `Shift` by up to as many pixels, as it is called where it is done to photographs.
    """

    change = "shift"
    padding: int = integer(least=1)


@frozen
class Flip(Augmentation):
    """Exchange left and right, with probability `p`: not for digits and letters."""

    change = "flip"
    p: float = number(above=0, most=1, default=0.5)


@frozen
class Rotate(Augmentation):
    """Turn about the centre by up to so many `degrees`, either way; interpolated (bilinear)."""

    change = "turn"
    degrees: float = number(above=0, most=180)

    def amount(self) -> float:
        """Return half turns."""
        return self.degrees / 180


@frozen
class Scale(Augmentation):
    """Make the picture ``1 - share`` to ``1 + share`` times as large; interpolated (bilinear).

    It keeps its number of pixels: what grows loses its border, around what shrinks are zeros.
    """

    change = "scale"
    share: float = number(above=0, most=0.9)


@frozen
class Cutout(Augmentation):
    """Set a square with sides of `size` pixels to 0 (DeVries & Taylor 2017).

    Its middle is anywhere in the picture, so that a part of it may be outside.
    """

    change = "cutout"
    size: int = integer(least=1)


AUGMENTATIONS = {cls.__name__: cls for cls in (Shift, Crop, Flip, Rotate, Scale, Cutout)}
Augment = tuple[Augmentation, ...]


def listed(augment: Any) -> Augment:
    """Return what `fit(augment=...)` was given as a tuple, empty for None.

    Raises TypeError for what is no augmentation, ValueError for two that are the same change.
    """
    if augment is None:
        return ()
    given = tuple(augment) if isinstance(augment, list | tuple) else (augment,)
    found: dict[str, Augmentation] = {}
    for each in given:
        if type(each) not in AUGMENTATIONS.values():
            wanted = "augment must be such as nnkit.augment.Shift(2), or a list of such"
            raise names.refuse(wanted, each, Augmentation)
        before = found.setdefault(each.change, each)
        if before is not each:
            raise ValueError(f"{before} and {each} are the same change: give one of them")
    return given


def changes(augment: Augment, shape: tuple[int, ...]) -> Changes:
    """Put together what pictures of shape (n, height, width[, channels]) are changed by.

    Raises ValueError, with the remedy, for data that are no images, or that would be lost.
    """
    if len(shape) not in (3, 4):
        side = isqrt(shape[-1])
        example = f"{side}, {side}" if len(shape) == 2 and side**2 == shape[-1] else "height, width"
        raise ValueError(
            "augment takes images, (n, height, width) or (n, height, width, channels), but x has "
            f"shape {shape}: give x.reshape(-1, {example}), to a model that begins with Flatten(), "
            f"or have it begin with Image({example})"
        )
    side = min(shape[1:3])
    for each in augment:
        if each.change in ("shift", "cutout") and each.amount() >= side:
            raise ValueError(
                f"{each} can leave nothing of images of {shape[1]}x{shape[2]} pixels: it must be "
                f"less than {side}"
            )
    return Changes(**{each.change: each.amount() for each in augment})  # type: ignore[arg-type]


def key(seed: int) -> int:
    """Return the 64-bit key by which a run of this seed draws."""
    return (seed + FIRST_KEY) % 2**64


def apply(
    images: Any, augment: Augmentation | Sequence[Augmentation], seed: int = 0, step: int = 0
) -> np.ndarray[Any, Any]:
    """Change images as the batch of a training step, to look at: a new NumPy array.

    Images are (n, height, width[, channels]); bytes become 0..1, as in training, and all but
    float64 float32. `step` counts a run's batches. Errors as for `Trainer.fit`.
    """
    given = np.asarray(images)
    most = changes(listed(augment), given.shape)
    real = np.float64 if given.dtype == np.float64 else np.float32
    x = as_reals(given, real, BYTE if given.dtype == np.uint8 else 1)
    out: np.ndarray[Any, Any] = np.empty_like(x)
    counters = np.array([0, 0, step], np.int64)
    get_backend("numpy").augment(x, most, key(seed), counters, out)
    return out


def config(augment: Augment) -> list[dict[str, Any]]:
    """Class names and arguments, as JSON can hold them."""
    return [{"class": type(each).__name__, **vars(each)} for each in augment]


def build(described: Any) -> Augment:
    """Make what `config` described; raises ValueError where it does not fit."""
    if not isinstance(described, list):
        raise ValueError(f"augment cannot be {described!r}")
    made = []
    for each in described:
        arguments = dict(each) if isinstance(each, dict) else {}
        name = arguments.pop("class", None)
        if not isinstance(name, str) or name not in AUGMENTATIONS:
            raise ValueError(f"augment cannot have {each!r}")
        made.append(make(AUGMENTATIONS[name], arguments))
    augment = listed(made)
    if found := plain.difference(described, config(augment), "augment"):
        raise ValueError(found)
    return augment


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
