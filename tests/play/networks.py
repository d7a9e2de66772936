"""Networks for the view "draw" that are trained in a moment, on digits of 8x8 pixels."""

from __future__ import annotations

import nnkit
from nnkit.data import load
from nnkit.play.drawing.gallery import Exhibit, Gallery
from nnkit.recognising import Recogniser


def trained(*layers, epochs=20, names=tuple("0123456789"), image_shape=(8, 8)):
    data = load("digits")
    model = nnkit.Sequential(*layers, seed=0)
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(lr=0.003))
    if epochs:
        trainer.fit(data.x_train, data.t_train, epochs, batch_size=32, progress=False)
    trainer.extra = {"image_shape": image_shape, "preparation": "fit", "class_names": names}
    return trainer


def exhibit(trainer, name="it", known=True):
    data = load("digits")
    rows = (data.x_test, data.t_test) if known else None
    return Exhibit(Recogniser(trainer, name), lambda: rows)


def gallery(**trainers):
    made = {name: exhibit(trainer, name) for name, trainer in trainers.items()}
    return Gallery({name: lambda _, there=there: there for name, there in made.items()})


def relu():
    return trained(nnkit.Linear(64, 32), nnkit.ReLU(), nnkit.Linear(32, 10))


def sigmoid():
    return trained(nnkit.Linear(64, 32), nnkit.Sigmoid(), nnkit.Linear(32, 10))
