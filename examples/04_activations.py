"""Activation functions: their values, their slopes, and how steep they can be.

With --plot FILE also a picture of them.
"""

import argparse

import numpy as np

import nnkit

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--plot", metavar="FILE", help="draw the functions; needs Matplotlib")
arguments = parser.parse_args()

backend = nnkit.current_backend()
x = np.linspace(-5, 5, 1001)[:, None]


def value_and_slope(layer, x):
    """Return f(x) and f'(x): backward gives dy times the slope."""
    model = nnkit.Sequential(layer, dtype="float64")
    y = backend.to_numpy(model(x))
    return y, backend.to_numpy(model.backward(np.ones_like(y)))


print("step   (-2, 1, 3) =", backend.to_numpy(nnkit.Step()([[-2.0, 1.0, 3.0]]))[0])
curves = {}
for layer in (nnkit.Sigmoid(), nnkit.Tanh(), nnkit.ReLU()):
    name = type(layer).__name__
    values, _ = value_and_slope(layer, [[-2.0, 1.0, 3.0]])
    curves[name] = value_and_slope(layer, x)
    print(f"{name.lower():<7}(-2, 1, 3) =", values[0].round(8))
for name, (_, slope) in curves.items():
    print(f"{name.lower()}' is at most {slope.max():g}, first at x = {x[slope.argmax(), 0]:g}")

if arguments.plot:
    from nnkit.plotting import activation_functions

    activation_functions(["step", "sigmoid", "tanh", "relu"]).savefig(arguments.plot)
    print("drawn in", arguments.plot)
