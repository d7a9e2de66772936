"""What users write, with types: mypy --strict and pyright pass it, and it runs; see test_typing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import nnkit
from nnkit.data import Dataset, load


class Scale(nnkit.Layer):
    """``y = s x``."""

    options = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n
        self.s = nnkit.Parameter((n,), "ones")

    def forward(self, x: Any) -> Any:
        self.x = x
        return self.s.value * x

    def backward(self, dy: Any) -> Any:
        self.s.grad[...] = (dy * self.x).sum(axis=0)
        return dy * self.s.value


class Absolute(nnkit.Loss):
    def prepare(
        self, backend: nnkit.Backend, target: Any, shape: tuple[int, ...], dtype: Any
    ) -> Any:
        return backend.asarray(target, dtype).reshape(shape)

    def measure(
        self,
        backend: nnkit.Backend,
        y: Any,
        t: Any,
        gradient: Any,
        log: Any,
        counters: Any,
        weights: Any = None,
    ) -> None:
        each = 1 if weights is None else weights[:, None]
        gradient[...] = each * backend.xp.sign(y - t) / y.size
        log[counters[0], 0] = (each * abs(y - t)).mean()


class UntilGood(nnkit.Callback):
    def __init__(self, loss: float) -> None:
        self.loss = loss
        self.largest: list[float] = []

    def on_epoch_end(self, trainer: nnkit.Trainer) -> None:
        self.largest.append(float(trainer.model[0].W.value.max()))
        trainer.stop = trainer.history.loss[-1] < self.loss


def build(widths: Sequence[int], seed: int = 0) -> nnkit.Sequential:
    layers: list[nnkit.Layer | str] = []
    for before, behind in pairwise(widths):
        layers += [nnkit.Linear(before, behind), "relu", Scale(behind)]
    return nnkit.Sequential(*layers, nnkit.Linear(widths[-1], 10), seed=seed, backend="numpy")


def mistakes(targets: NDArray[Any], answers: NDArray[Any]) -> float:
    return float((targets != answers).sum())


def train(model: nnkit.Sequential, digits: Dataset, path: Path) -> nnkit.History:
    trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.Adam(lr=0.003))
    history = trainer.fit(
        digits.x_train,
        digits.t_train,
        epochs=2,
        batch_size=64,
        validation_split=0.1,
        class_weight="balanced",
        metrics={"mistakes": mistakes},
        callbacks=[nnkit.EarlyStopping("val_loss", patience=2), UntilGood(0.1)],
        schedule=nnkit.schedules.Cosine(),
        compile=False,
        progress=False,
    )
    trainer.save(path, note="the first")
    return history


def outputs(model: nnkit.Sequential, x: NDArray[Any]) -> NDArray[Any]:
    return model(x)


def look(model: nnkit.Sequential) -> None:
    first = model[0]
    assert_type(first.W, nnkit.Parameter)
    assert_type(first.W.value.shape, Any)
    assert_type(model[:2], nnkit.Sequential)
    assert isinstance(first, nnkit.Linear)
    assert_type(first.W, nnkit.Parameter)
    assert_type(first.b, nnkit.Parameter | None)
    assert_type(first.in_features, int)
    for name, parameter in model.named_parameters():
        print(name, parameter.shape, parameter.to_numpy().mean())


def by_hand(model: nnkit.Sequential, x: NDArray[Any], t: NDArray[Any]) -> float:
    loss, optimizer = Absolute(), nnkit.SGD(lr=0.1)
    value = loss(model(x), t)
    model.backward(loss.backward())
    optimizer.step(model.train())
    return value


def main(folder: Path) -> None:
    digits = load("digits")
    model, path = build([64, 32]), folder / "run.safetensors"
    history = train(model, digits, path)
    assert_type(history.val_loss, list[float])
    assert_type(history.last(), dict[str, float])
    assert_type(history.to_dict(), dict[str, list[float]])
    assert_type(history["val_mistakes"], list[float])
    look(model)
    again = nnkit.Trainer.load(path, custom_layers=[Scale])
    again.resume(
        digits.x_train, digits.t_train, 3, class_weight="balanced", compile=False, progress=False
    )
    assert_type(again.model, nnkit.Sequential)
    weights = np.ones(len(digits.t_test))
    figures = again.evaluate(digits.x_test, digits.t_test, sample_weight=weights)
    labels, surely = again.predict(digits.x_test), again.predict_proba(digits.x_test)
    print(figures["accuracy"], labels.shape, surely.max(), digits.class_names[int(labels[0])])
    assert_type(nnkit.load(path, custom_layers=[Scale]), nnkit.Sequential)
    assert_type(nnkit.models.lenet((8, 8), backend="numpy"), nnkit.Sequential)
    print(outputs(model, digits.x_test[:3]).shape)
    print(by_hand(model, digits.x_train[:8], np.eye(10)[digits.t_train[:8]]))
    print(nnkit.gradcheck(build([4]), "mse", np.ones((2, 4)), np.ones((2, 10))).ok)
