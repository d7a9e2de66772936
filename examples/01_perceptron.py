"""Logic gates: AND, NAND and OR are one perceptron each, with weights chosen by hand.

A perceptron adds up its weighted inputs and a bias, and answers 1 if the sum is above 0.
"""

import nnkit

GATES = {  # weights and bias
    "AND": ([0.5, 0.5], -0.7),
    "NAND": ([-0.5, -0.5], 0.7),
    "OR": ([0.5, 0.5], -0.2),
}
INPUTS = [[0, 0], [0, 1], [1, 0], [1, 1]]


def perceptron(weights, bias):
    """Return a network of a single perceptron."""
    model = nnkit.Sequential(nnkit.Linear(2, 1, init=[[w] for w in weights]), nnkit.Step())
    model[0].b.value = [bias]
    return model


print("x1 x2 |", *(f"{name:>4}" for name in GATES))
answers = [perceptron(*gate)(INPUTS).ravel() for gate in GATES.values()]
for row, x in enumerate(INPUTS):
    print(f" {x[0]}  {x[1]} |", *(f"{int(y[row]):4}" for y in answers))
