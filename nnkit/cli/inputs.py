"""Images as a network takes them: from files, or from the data that it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.cli.checkpoints import dataset_of
from nnkit.cli.command import Failure
from nnkit.files.paths import expand
from nnkit.recognising import Recogniser, as_fitted
from nnkit.training import Trainer


def read_input(trainer: Trainer, path: str, image: str) -> NDArray[Any]:
    """Read an image file, or take the test image of this number; (height, width) or with colours.

    `path` is that of the trainer's checkpoint.
    """
    if image.isdecimal() and not Path(image).exists():
        return _test_image(trainer, path, int(image))
    recogniser = Recogniser(trainer, path)
    pixels = recogniser.read(expand(image)).reshape(1, *recogniser.shape)
    return np.asarray(as_fitted(trainer, pixels)[0])


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
