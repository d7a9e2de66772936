"""Perceptron learning (Rosenblatt 1958): weights move by the error times the input.

    w <- w + (t - y) x        b <- b + (t - y)

The rule is one backward pass of the linear layer alone with dy = y - t: its weight gradient is
x.T @ (y - t), its bias gradient the sum of y - t. The step behind it has no gradient to speak of.
"""

import numpy as np

import nnkit

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
GATES = {"AND": [0, 0, 0, 1], "NAND": [1, 1, 1, 0], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}
numpy = nnkit.current_backend().to_numpy


def learn(targets, epochs=50):
    """Learn one gate, one example at a time; return the perceptron and the epochs it took."""
    linear, step = nnkit.Sequential(nnkit.Linear(2, 1, init="zeros")), nnkit.Step()
    optimizer = nnkit.SGD(lr=1)
    epoch, mistakes = 0, 1
    while mistakes and epoch < epochs:
        epoch, mistakes = epoch + 1, 0
        for x, t in zip(INPUTS, targets, strict=True):
            error = numpy(step(linear([x]))) - t
            linear.backward(error)
            optimizer.step(linear)
            mistakes += int(abs(error).sum())
    return linear, epoch, mistakes


for name, targets in GATES.items():
    linear, epoch, mistakes = learn(targets)
    (w1,), (w2,) = numpy(linear[0].W.value)
    (b,) = numpy(linear[0].b.value)
    answers = numpy(nnkit.Step()(linear(INPUTS))).ravel().astype(int).tolist()
    outcome = f"learned in {epoch} epochs" if mistakes == 0 else f"not learned in {epoch} epochs"
    print(f"{name:>4}: {outcome:<24} w = ({w1:+.0f}, {w2:+.0f})  b = {b:+.0f}  answers {answers}")
print("No line separates the answers of XOR: for it, the rule never comes to rest.")
