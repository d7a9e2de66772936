"""Images as a network takes them: from files, or from the data that it was trained on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.cli.checkpoints import dataset_of, input_features
from nnkit.cli.command import Failure
from nnkit.files.paths import expand
from nnkit.images import Preparation, read_image
from nnkit.training import Trainer


def read_input(trainer: Trainer, path: str, image: str) -> NDArray[Any]:
    """Read an image file, or take the test image of this number; (height, width) or with colours.

    `path` is that of the trainer's checkpoint.
    """
    if image.isdecimal() and not Path(image).exists():
        return _test_image(trainer, path, int(image))
    shape, how = input_of(trainer, path)
    batch = read_image(expand(image), shape, how).reshape(1, *shape)
    return np.asarray(as_fitted(trainer, batch)[0])


def _test_image(trainer: Trainer, path: str, number: int) -> NDArray[Any]:
    if "data" not in trainer.extra:
        raise Failure(
            f"{path} does not say which data it was trained on: give an image file, not {number}"
        )
    dataset, _ = dataset_of(trainer, path, None)
    if dataset.image_shape is None:
        raise Failure(f"{dataset.name} has no images")
    if number >= len(dataset.x_test):
        raise Failure(
            f"{dataset.name} has no test image {number}: they are 0 to {len(dataset.x_test) - 1:,}"
        )
    return np.asarray(dataset.x_test[number]).reshape(dataset.image_shape)


def input_of(trainer: Trainer, path: str) -> tuple[tuple[int, ...], Preparation]:
    """Return the shape of the network's images, 3 at its end if in colour, and how to prepare."""
    about = trainer.extra
    low, high = about.get("pixel_range", (0, 1))
    if low < 0 or high > 1:
        raise Failure(
            f"{path} was trained on pixels from {low:g} to {high:g}: image files hold bytes, which "
            "are 0 to 1 here; use nnkit.load in Python"
        )
    shape: tuple[int, ...] | None = about.get("image_shape")
    if shape is None and "data" not in about:
        shape = _of_model(trainer)
    if shape is None or tuple(shape[2:]) not in {(), (1,), (3,)}:
        raise Failure(f"{path} is no network for images, gray or in colour")
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


def as_fitted(trainer: Trainer, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Return bytes where the model scales them or was fitted on 0 to 255, else numbers 0 to 1."""
    inputs = trainer.model.inputs
    if inputs.factor(pixels) != 1 or (inputs.high or 0) > 1:
        return pixels
    return pixels / np.float32(255)
