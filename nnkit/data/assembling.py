"""Arrays of images and labels, checked and made a data set."""

from collections.abc import Mapping
from pathlib import Path

from nnkit.data.dataset import Dataset
from nnkit.data.image_arrays import (
    arranged,
    check_images,
    check_same_kind,
    check_same_length,
    image_shape,
    warn_of_channels_first,
)
from nnkit.data.labels import Named, class_numbers
from nnkit.data.splitting import NOTE, held_out


def assemble(path: Path, arrays: Mapping[str, Named], seed: int, note: str = "") -> Dataset:
    """Check the arrays of the `files.ROLES`, or of the first two of them, and make a data set.

    `path` names it, and `seed` chooses the images held out where there are none to test with.
    Raises DataError where arrays are no images or labels, or do not fit together.
    """
    parts = [part for part in ("train", "test") if f"x_{part}" in arrays]
    images = {part: check_images(arrays[f"x_{part}"]) for part in parts}
    t, class_names = class_numbers({part: arrays[f"t_{part}"] for part in parts})
    for part in parts:
        check_same_length(images[part], arrays[f"t_{part}"])
    warn_of_channels_first(images["train"])
    x = {part: arranged(images[part].array) for part in parts}
    if parts == ["train"]:
        test = held_out(t["train"], seed, str(path))
        x = {"train": x["train"][~test], "test": x["train"][test]}
        t = {"train": t["train"][~test], "test": t["train"][test]}
        note = "; ".join(filter(None, [NOTE, note]))
    else:
        check_same_kind(images["train"], images["test"])
    return Dataset(
        name=path.resolve().name,
        x_train=x["train"],
        t_train=t["train"],
        x_test=x["test"],
        t_test=t["test"],
        image_shape=image_shape(images["train"].array.shape),
        class_names=class_names,
        note=note,
    )
