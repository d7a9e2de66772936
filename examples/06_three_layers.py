"""Forward propagation through three layers, 2-3-2-2, with the weights that the texts write down.

Sigmoid in the hidden layers and the identity, as for regression, at the output.
"""

import nnkit

WEIGHTS = [
    [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
    [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]],
    [[0.1, 0.3], [0.2, 0.4]],
]
BIASES = [[0.1, 0.2, 0.3], [0.1, 0.2], [0.1, 0.2]]

model = nnkit.Sequential(
    nnkit.Linear(2, 3, init=WEIGHTS[0]),
    nnkit.Sigmoid(),
    nnkit.Linear(3, 2, init=WEIGHTS[1]),
    nnkit.Sigmoid(),
    nnkit.Linear(2, 2, init=WEIGHTS[2]),
    nnkit.Identity(),
)
for linear, bias in zip(model.layers[::2], BIASES, strict=True):
    linear.b.value = bias
print(model.summary(), "\n")

x = nnkit.current_backend().asarray([[1.0, 0.5]], "float32")
print(f"{'x':>14}: {x[0]}")
for number, layer in enumerate(model):
    x = layer(x)
    name = f"{'a' if number % 2 == 0 else 'z'}{number // 2 + 1}"
    print(f"{name:>3} = {type(layer).__name__:>8}: {x[0]}")
print(f"\nthe whole model at once: {model([[1.0, 0.5]])[0]}")
