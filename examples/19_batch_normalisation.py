"""Batch normalisation (Ioffe & Szegedy 2015): learning where the initial weights are bad.

Between a linear layer and its activation, each column is brought to mean 0 and variance 1 over the
batch, then scaled and shifted by two trained numbers. At evaluation, running means take the batch's
place. Four layers learn 500 digits for 10 epochs, from weights of several sizes.
"""

import nnkit
from nnkit.data import load
from nnkit.initializers import normal


def accuracy(deviation, normalised):
    """Train a network whose initial weights have this standard deviation."""
    layers = []
    for width in (64, 50, 50):
        between = [nnkit.BatchNorm1d(50)] if normalised else []
        layers += [nnkit.Linear(width, 50, init=normal(deviation)), *between, nnkit.ReLU()]
    model = nnkit.Sequential(*layers, nnkit.Linear(50, 10), seed=0)
    trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.SGD(lr=0.3))
    trainer.fit(x, t, epochs=10, batch_size=50)
    return trainer.evaluate(*test)["accuracy"]


digits = load("digits")
x, t, test = digits.x_train[:500], digits.t_train[:500], (digits.x_test, digits.t_test)
print("deviation   without   with batch normalisation")
for deviation in (0.001, 0.01, 0.1, 0.3, 1.0):
    print(f"{deviation:9}  {accuracy(deviation, False):8.1%}  {accuracy(deviation, True):8.1%}")
