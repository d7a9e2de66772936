"""Optimizers on a valley: f(x, y) = x^2 / 20 + y^2, from (-7, 2).

It is steep across and nearly flat along, as losses are: gradient descent swings from side to side.
The point is the weight of a layer that is fed 1, so that df is the gradient of its output.
With --plot FILE also the paths.
"""

import argparse

import numpy as np

import nnkit

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--plot", metavar="FILE", help="draw the paths; needs Matplotlib")
arguments = parser.parse_args()
numpy = nnkit.current_backend().to_numpy
STEPS = [1, 2, 5, 10, 20, 30]


def f(x, y):
    """Height of the valley."""
    return x**2 / 20 + y**2


def path(optimizer, steps=30):
    """Points (steps + 1, 2) on the way down."""
    model = nnkit.Sequential(nnkit.Linear(1, 2, bias=False, init=[[-7.0, 2.0]]), dtype="float64")
    points = []
    for _ in range(steps + 1):
        x, y = numpy(model([[1.0]]))[0]
        points.append((x, y))
        model.backward([[x / 10, 2 * y]])
        optimizer.step(model)
    return np.array(points)


OPTIMIZERS = {
    "SGD": lambda: nnkit.SGD(lr=0.95),
    "momentum": lambda: nnkit.SGD(lr=0.1, momentum=0.9),
    "Nesterov": lambda: nnkit.SGD(lr=0.1, momentum=0.9, nesterov=True),
    "AdaGrad": lambda: nnkit.AdaGrad(lr=1.5),
    "RMSProp": lambda: nnkit.RMSProp(lr=0.3, alpha=0.9),
    "Adam": lambda: nnkit.Adam(lr=0.3),
}
print("after step", *(f"{step:>14}" for step in STEPS), "     f at the end")
for name, make in OPTIMIZERS.items():
    points = path(make())
    shown = (f"({x:5.2f}, {y:5.2f})" for x, y in points[STEPS])
    print(f"{name:<10}", *shown, f"  {f(*points[-1]):.6f}")

if arguments.plot:
    from nnkit.plotting import optimizer_paths

    optimizer_paths({name: make() for name, make in OPTIMIZERS.items()}).savefig(arguments.plot)
    print("drawn in", arguments.plot)
