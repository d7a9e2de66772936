"""Overfitting, and what helps against it: weight decay, L1, dropout, stopping early.

One in five of 300 training labels is wrong. A large network learns even those by heart; what counts
are the 355 images, rightly labelled, that it has never seen.
"""

import numpy as np

import nnkit
from nnkit.data import load

digits = load("digits")
x, t = digits.x_train[:300], digits.t_train[:300].copy()
rng = np.random.default_rng(0)
t[:60] = (t[:60] + rng.integers(1, 10, 60)) % 10
validation = digits.x_train[300:600], digits.t_train[300:600]
test = digits.x_test, digits.t_test


def network(p=0.0):
    """Return a network of three layers, with dropout of probability p behind the hidden ones."""
    return nnkit.Sequential(
        nnkit.Linear(64, 100),
        nnkit.ReLU(),
        nnkit.Dropout(p),
        nnkit.Linear(100, 100),
        nnkit.ReLU(),
        nnkit.Dropout(p),
        nnkit.Linear(100, 10),
        seed=0,
    )


stop = nnkit.EarlyStopping("val_accuracy", patience=5)
RUNS = {  # network, optimizer, callbacks
    "as it is": (network(), nnkit.SGD(lr=0.1), []),
    "stopped early": (network(), nnkit.SGD(lr=0.1), [stop]),
    "weight decay 0.02": (network(), nnkit.SGD(lr=0.1, weight_decay=0.02), []),
    "L1 0.002": (network(), nnkit.SGD(lr=0.1, l1=0.002), []),
    "dropout 0.5": (network(0.5), nnkit.SGD(lr=0.1), []),
}
print(f"{'':<18} epochs  training  test    weights below 0.001")
for name, (model, optimizer, callbacks) in RUNS.items():
    trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), optimizer)
    settings = {"validation_data": validation, "callbacks": callbacks}
    epochs = len(trainer.fit(x, t, epochs=80, batch_size=30, **settings))
    small = float((abs(model.flat.values) < 0.001).mean())
    seen, unseen = trainer.evaluate(x, t)["accuracy"], trainer.evaluate(*test)["accuracy"]
    print(f"{name:<18} {epochs:6}  {seen:8.1%}  {unseen:6.1%}  {small:6.1%}")
