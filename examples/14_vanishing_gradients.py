"""Vanishing gradients: how much of the gradient arrives at the first layer of a deep network.

Every layer of sigmoids multiplies it by at most 0.25 on the way back, so that early layers hardly
learn. ReLU's slope is 1 where it is not 0. With --plot FILE also as a figure.
"""

import argparse

import numpy as np

import nnkit

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--plot", metavar="FILE", help="draw the table; needs Matplotlib")
arguments = parser.parse_args()

DEPTHS = (1, 2, 3, 5, 10, 20, 30)
WIDTH = 64
numpy = nnkit.current_backend().to_numpy
rng = np.random.default_rng(0)
x, dy = rng.normal(size=(200, WIDTH)), rng.normal(size=(200, WIDTH))


def first_gradient(activation, depth):
    """Size of the gradient by the network's input, over that by its output."""
    layers = [layer for _ in range(depth) for layer in (nnkit.Linear(WIDTH, WIDTH), activation())]
    model = nnkit.Sequential(*layers, seed=0, dtype="float64")
    model(x)
    return np.linalg.norm(numpy(model.backward(dy))) / np.linalg.norm(dy)


activations = (nnkit.Sigmoid, nnkit.Tanh, nnkit.ReLU)  # Xavier's start, Xavier's, He's
table = {a.__name__: [first_gradient(a, depth) for depth in DEPTHS] for a in activations}
print("layers", *(f"{name:>10}" for name in table))
for depth, *ratios in zip(DEPTHS, *table.values(), strict=True):
    print(f"{depth:6}", *(f"{ratio:10.1e}" for ratio in ratios))

if arguments.plot:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, ratios in table.items():
        axes.semilogy(DEPTHS, ratios, "o-", label=name)
    axes.set(xlabel="layers", ylabel="gradient at the input / at the output")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(arguments.plot)
    print("drawn in", arguments.plot)
