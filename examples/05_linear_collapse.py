"""Why activations must not be linear: any number of linear layers is one linear layer.

With h(x) = c x, three layers are h(h(h(x))) = c^3 x; with matrices, x W1 W2 W3 = x (W1 W2 W3).
"""

import numpy as np

import nnkit

numpy = nnkit.current_backend().to_numpy


def linear(weights):
    """Return a linear layer without a bias."""
    return nnkit.Linear(*np.shape(weights), bias=False, init=weights)


c = 1.5
three = nnkit.Sequential(linear([[c]]), linear([[c]]), linear([[c]]))
one = nnkit.Sequential(linear([[c**3]]))
x = [[-2.0], [1.0], [3.0]]
print(f"h(h(h(x))) with h(x) = {c} x:", numpy(three(x)).ravel())
print(f"one layer, {c}^3 x = {c**3} x: ", numpy(one(x)).ravel())

rng = np.random.default_rng(0)
matrices = [rng.normal(size=shape) for shape in ((4, 8), (8, 8), (8, 2))]
x = rng.normal(size=(100, 4))
deep = nnkit.Sequential(*map(linear, matrices))
shallow = nnkit.Sequential(linear(matrices[0] @ matrices[1] @ matrices[2]))
difference = abs(numpy(deep(x)) - numpy(shallow(x))).max()
print(f"\n4-8-8-2 without activations: {deep.n_parameters} weights")
print(f"4-2, the product of its matrices: {shallow.n_parameters} weights")
print(f"largest difference on 100 inputs: {difference:.0e}")

bent = nnkit.Sequential(linear(matrices[0]), nnkit.ReLU(), linear(matrices[1]), linear(matrices[2]))
best, *_ = np.linalg.lstsq(x, numpy(bent(x)), rcond=None)
off = abs(numpy(bent(x)) - x @ best).max()
print(f"with one ReLU in it, the best single layer is off by up to {off:.1f}")
