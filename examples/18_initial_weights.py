"""Initial weights: what comes out of each of five layers, before any training.

Too large, and sigmoids sit at 0 and 1, where their slope is 0; too small, and all units say the
same. Xavier's spread (for sigmoid and tanh) and He's (for ReLU) keep the outputs alive.
"""

import numpy as np

import nnkit
from nnkit.initializers import normal

numpy = nnkit.current_backend().to_numpy
x = np.random.default_rng(0).normal(size=(1000, 100))


def outputs(activation, init):
    """Outputs of each of the five layers."""
    y = x
    for seed in range(5):
        layer = nnkit.Sequential(nnkit.Linear(100, 100, init=init), activation(), seed=seed)
        y = layer(y)
        yield numpy(y)


def bars(y, low, high):
    """Draw a histogram in ten characters."""
    counts, _ = np.histogram(y, bins=10, range=(low, high))
    return "".join(" .:-=+*#%@"[min(9, int(9 * n / counts.max() + 0.99))] for n in counts)


STARTS = {"deviation 1": normal(1), "deviation 0.01": normal(0.01), "Xavier": "xavier", "He": "he"}
for activation, high in ((nnkit.Sigmoid, 1), (nnkit.ReLU, 2)):
    print(f"\n{activation.__name__}: outputs from 0 to {high} in ten bins, and their deviation")
    print(f"{'':<15}", *(f"{f'layer {i}':<19}" for i in range(1, 6)))
    for name, init in STARTS.items():
        shown = (f"|{bars(y, 0, high)}| {y.std():.3f} " for y in outputs(activation, init))
        print(f"{name:<15}", *shown)
