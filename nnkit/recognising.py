"""A trained network for images: how pictures become what it takes, and what it says of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from math import prod
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.images import Preparation, prepared, read_image
from nnkit.layers import Linear, Sequential
from nnkit.training import Trainer

Numbers = NDArray[Any]


class NotForImagesError(ValueError):
    """A network takes no images that files or drawings could be made."""


class Recogniser:
    """Tells what is on pictures, prepared as those were that its network was trained on.

    Parameters
    ----------
    trainer
        Of a network that tells classes apart; `extra` says what is known about its images.
    name
        What errors call it: the path of its file.

    Raises NotForImagesError where the network is not for images of bytes.
    """

    def __init__(self, trainer: Trainer, name: str) -> None:
        self.trainer, self.name = trainer, name
        self.shape, self.how = input_of(trainer, name)
        """(height, width), or (height, width, 3) in colour; and how pictures become that."""
        self.taken = as_taken(trainer.model, self.shape) or self.shape
        """The shape in which the network takes one."""

    @property
    def gray(self) -> bool:
        """Whether its images have no colours."""
        return len(self.shape) == 2

    def prepared(self, pixels: Numbers) -> NDArray[np.uint8]:
        """Make gray bytes (rows, columns) an image (height, width) as the network knows them.

        Raises ImageError where there is nothing on it.
        """
        height, width = self.shape[:2]
        return prepared(pixels.astype(np.float64), (height, width), self.how)

    def read(self, path: str | PathLike[str], raw: bool = False) -> NDArray[np.uint8]:
        """Read an image file the same way, errors as for `read_image`; `raw`: it is only scaled."""
        return read_image(path, self.shape, "resize" if raw else self.how)

    def batch(self, images: Numbers) -> Numbers:
        """Images of bytes (n, ...) in the shape and the scale in which the network takes them."""
        return as_fitted(self.trainer, images.reshape(len(images), *self.taken))

    def probabilities(self, image: Numbers) -> Numbers:
        """What the network says of one prepared image, (classes,)."""
        said: Numbers = self.trainer.predict_proba(self.batch(image[None]))[0]
        return said

    def names(self, outputs: int) -> tuple[str, ...]:
        """The classes' names."""
        return class_names(self.trainer, outputs)

    def having(self, copied: Callable[[Sequential], Sequential]) -> Recogniser:
        """Another one like it, whose model is what `copied` makes of this one's."""
        trainer = Trainer(copied(self.trainer.model), self.trainer.loss)
        trainer.extra = self.trainer.extra
        return Recogniser(trainer, self.name)


def input_of(trainer: Trainer, path: str) -> tuple[tuple[int, ...], Preparation]:
    """Return the shape of the network's images, 3 at its end if in colour, and how to prepare."""
    about = trainer.extra
    low, high = about.get("pixel_range", (0, 1))
    if low < 0 or high > 1:
        raise NotForImagesError(
            f"{path} was trained on pixels from {low:g} to {high:g}: image files hold bytes, which "
            "are 0 to 1 here; use nnkit.load in Python"
        )
    shape: tuple[int, ...] | None = about.get("image_shape")
    if shape is None and "data" not in about:
        shape = _of_model(trainer)
    if shape is None or tuple(shape[2:]) not in {(), (1,), (3,)}:
        raise NotForImagesError(f"{path} is no network for images, gray or in colour")
    height, width, *channels = shape
    shape = (height, width, 3) if channels == [3] else (height, width)
    usual: Preparation = "mnist" if shape == (28, 28) else "resize"
    return shape, about.get("preparation", usual)


def _of_model(trainer: Trainer) -> tuple[int, ...] | None:
    """Return the shape of images that a network says it takes, which may be square in a row."""
    shape = trainer.model.input_shape
    if shape is not None and len(shape) in (2, 3):
        return shape
    features = input_features(trainer) or 0
    side = math.isqrt(features)
    return (side, side) if features and side * side == features else None


def input_features(trainer: Trainer) -> int | None:
    """How many numbers an input has, where a layer says so."""
    if (shape := trainer.model.input_shape) is not None:
        return prod(shape)
    return next((layer.in_features for layer in trainer.model if isinstance(layer, Linear)), None)


def as_taken(model: Sequential, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape in which a network takes an image: as a row, or with its channels.

    None where it takes no image of this size.
    """
    for candidate in ((prod(shape),), shape, (*shape, 1)):
        with contextlib.suppress(ValueError):
            model.output_shape(candidate)
            return candidate
    return None


def as_fitted(trainer: Trainer, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Return bytes where the model scales them or was fitted on 0 to 255, else numbers 0 to 1."""
    inputs = trainer.model.inputs
    if inputs.factor(pixels) != 1 or (inputs.high or 0) > 1:
        return pixels
    return pixels / np.float32(255)


def class_names(trainer: Trainer, outputs: int) -> tuple[str, ...]:
    """Name each of the network's outputs, with its number where the checkpoint has no name."""
    names = trainer.extra.get("class_names", ())
    return (*names, *map(str, range(len(names), outputs)))
