"""What a network says to its validation data now: whom it takes for whom, and where it is wrong."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.training import Trainer
from nnkit.training.data import Data
from nnkit.training.evaluation import outputs_of

EXAMPLES, AT_THE_END = 2_000, 10_000
"""That are looked at, spread evenly over the data where there are more: in a run, and behind it."""

CLASSES = 200
"""Of more there is no matrix."""

WRONG, PAIRS, POINTS = 24, 10, 600
"""Wrong answers that are shown, pairs of classes, and amounts."""

SIDE = 64
"""Pixels of a picture's side."""

Fields = dict[str, Any]


def kind_of(trainer: Trainer) -> str:
    """What a network's answers are: "classes", "amounts", or several yes or no, "labels"."""
    if not trainer.loss.counts_correct:
        return "amounts"
    return "classes" if trainer.answers_per_row == 1 else "labels"


def answers(
    trainer: Trainer, data: Data, image_shape: tuple[int, ...] | None, most: int = EXAMPLES
) -> Fields:
    """Counts, and the wrong answers, of a network in evaluation mode, to at most so many examples.

    Of classes: "counts" int32 (classes, classes), truth by answer; "pairs", the commonest mistakes;
    "wrong", the most confident ones, with "pictures" uint8 (n, height, width, channels) of them. Of
    amounts: "truth" and "said", float32 (n,).
    """
    whole = len(data)
    if whole > most:
        some = np.linspace(0, whole - 1, most).round().astype(np.int64)
        data = data.part(data.rows[some])
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = outputs_of(trainer.model, data, lambda y: y)
    kind = kind_of(trainer)
    about = {"looked_at": len(data), "examples": whole, "epoch": len(trainer.history)}
    if kind == "classes":
        return about | _of_classes(trainer, data, outputs, image_shape)
    return about | (_of_amounts(data.targets(), outputs) if kind == "amounts" else {})


def _of_amounts(truth: NDArray[Any], said: NDArray[Any]) -> Fields:
    """Pairs of what is and what is said, of all outputs together, spread evenly."""
    count = truth.size
    some = np.unique(np.linspace(0, count - 1, min(POINTS, count)).astype(np.int64))
    return {
        "truth": truth.reshape(-1)[some].astype(np.float32),
        "said": said.reshape(-1)[some].astype(np.float32),
    }


def _of_classes(
    trainer: Trainer, data: Data, outputs: NDArray[Any], image_shape: tuple[int, ...] | None
) -> Fields:
    classes = max(2, outputs.shape[1])
    said = (trainer.loss.answers(outputs).reshape(len(outputs)) > 0).astype(np.int64)
    if outputs.shape[1] > 1:
        said = trainer.loss.answers(outputs)
    truth = _labels(data.targets(), classes)
    wrong = np.flatnonzero(said != truth)
    sure = _probabilities(trainer, outputs[wrong], said[wrong])
    first = np.argsort(-sure, kind="stable")[:WRONG]
    rows = data.rows[wrong[first]]
    listed = [
        {"row": int(row), "said": int(said[i]), "truth": int(truth[i]), "probability": float(p)}
        for row, i, p in zip(rows, wrong[first], sure[first], strict=True)
    ]
    return {
        **({"counts": _counts(truth, said, classes)} if classes <= CLASSES else {}),
        "right": len(said) - len(wrong),
        "pairs": _pairs(truth[wrong], said[wrong]),
        "wrong": listed,
        **_pictures(data, rows, image_shape),
    }


def _labels(targets: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Class numbers (n,) of targets as they were given: numbers, yes or no, or rows."""
    labels: NDArray[np.int64]
    if targets.ndim == 2 and targets.shape[1] == classes:
        labels = targets.argmax(axis=1)
        return labels
    column = targets.reshape(len(targets))
    labels = ((column > 0.5) if classes == 2 else column).astype(np.int64)
    return labels


def _probabilities(trainer: Trainer, outputs: NDArray[Any], said: NDArray[Any]) -> NDArray[Any]:
    """How sure the network is of what it says, (n,); a loss without probabilities gives margins."""
    if not len(outputs):
        return np.empty(0)
    backend = trainer.model.backend
    found = trainer.loss.probabilities(backend, backend.asarray(outputs, trainer.model.dtype))
    p: NDArray[np.float64] = backend.to_numpy(found).astype(np.float64)
    if p.shape[1] > 1:
        chosen: NDArray[np.float64] = p[np.arange(len(p)), said]
        return chosen
    return np.where(said == 1, p[:, 0], 1 - p[:, 0])


def _counts(truth: NDArray[Any], said: NDArray[Any], classes: int) -> NDArray[np.int32]:
    """How often each class, in rows, got each answer, in columns."""
    counts = np.zeros((classes, classes), np.int32)
    np.add.at(counts, (truth, said), 1)
    return counts


def _pairs(truth: NDArray[Any], said: NDArray[Any]) -> list[list[int]]:
    """The commonest of these mistakes: truth, answer, how often."""
    pairs = Counter(zip(truth.tolist(), said.tolist(), strict=True))
    ordered = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return [[*pair, n] for pair, n in ordered[:PAIRS]]


def _pictures(data: Data, rows: NDArray[np.int64], shape: tuple[int, ...] | None) -> Fields:
    """The examples in these rows as images, where they are some: black is the least number."""
    if shape is None or not len(rows) or prod(shape) != prod(data.x.shape[1:]):
        return {}
    x = data.backend.to_numpy(data.examples(rows))
    step = max(1, -(-max(shape[:2]) // SIDE))
    channels = 3 if len(shape) == 3 and shape[2] == 3 else 1
    x = x.reshape(-1, *(*shape, 1)[:3])[:, ::step, ::step, :channels]
    if x.dtype != np.uint8 or x.max() <= 1:
        x = x.astype(np.float32)
        low, high = min(0.0, float(x.min())), float(x.max())
        x = (255 * (x - low) / ((high - low) or 1)).round().astype(np.uint8)
    return {"pictures": np.ascontiguousarray(x)}
