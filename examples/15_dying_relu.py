"""Dying ReLU: three steps that are much too large, and most units are 0 for ever.

Where ReLU's input is negative, its slope is 0. A unit that is negative for every image therefore
has a gradient of exactly 0, and nothing moves its weights any more. A leaky ReLU keeps a slope of
0.1 there, by which it goes on learning.
"""

import numpy as np

import nnkit
from nnkit.data import load

digits = load("digits")
x, t = digits.x_train[:500], digits.t_train[:500]
numpy = nnkit.current_backend().to_numpy


def gradients(model):
    """Compute the gradients of all images together."""
    loss = nnkit.SoftmaxCrossEntropy()
    loss(model(x), t)
    model.backward(loss.backward())


def train(model, optimizer, steps, lr):
    """Take steps with all images."""
    optimizer.lr = lr
    for _ in range(steps):
        gradients(model)
        optimizer.step(model)


def report(when, model):
    """Say how many of the hidden units are negative for all images, and what is left of them."""
    gradients(model)
    silent = (numpy(model[0](x)) <= 0).all(axis=0)
    gradient = np.abs(numpy(model[0].W.grad))[:, silent].max(initial=0)
    accuracy = (numpy(model(x)).argmax(axis=1) == t).mean()
    print(f"  {when:<28} {silent.sum():6} of 30   {gradient:8.1e}   {accuracy:8.1%}")


print(f"{'':<30} silent units, their gradient, accuracy")
for activation in (nnkit.ReLU(), nnkit.LeakyReLU(alpha=0.1)):
    print(activation)
    layers = nnkit.Linear(64, 30), activation, nnkit.Linear(30, 10)
    model, optimizer = nnkit.Sequential(*layers, seed=0, dtype="float64"), nnkit.SGD()
    train(model, optimizer, steps=1, lr=0.1)
    report("1 step, learning rate 0.1", model)
    train(model, optimizer, steps=3, lr=50)
    report("3 more, learning rate 50", model)
    train(model, optimizer, steps=300, lr=0.1)
    report("300 more, learning rate 0.1", model)
